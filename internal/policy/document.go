package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document. The grammar needs six levels:
// document, Statement, statement, Condition, operator, list of values.
const maxDepth = 8

// object is a JSON object with its members in their order. The values of a
// decoded document are object, []any, string, json.Number, bool and nil.
type object []member

type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	i := slices.IndexFunc(o, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].value, true
}

// only refuses members beyond those that are named.
func (o object) only(path string, names ...string) error {
	for _, m := range o {
		if !slices.Contains(names, m.name) {
			return fmt.Errorf("%s%q is not an element here; use %s", path, m.name, strings.Join(names, ", "))
		}
	}
	return nil
}

// decode reads one JSON value. Unlike encoding/json it refuses duplicate names,
// which other readers of the same document could resolve the other way, and
// text that is not UTF-8.
func decode(document string) (any, error) {
	if !utf8.ValidString(document) {
		return nil, errors.New("the document is not valid UTF-8")
	}
	d := decoder{json.NewDecoder(strings.NewReader(document))}
	d.UseNumber()
	value, err := d.value(1)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("the document goes on after its end, at byte %d", d.InputOffset())
	}
	return value, nil
}

type decoder struct{ *json.Decoder }

func (d decoder) value(depth int) (any, error) {
	token, err := d.token()
	if err != nil {
		return nil, err
	}
	delim, nested := token.(json.Delim)
	switch {
	case !nested:
		return token, nil
	case depth > maxDepth:
		return nil, fmt.Errorf("the document is nested deeper than %d levels", maxDepth)
	case delim == '{':
		return d.object(depth)
	default:
		return d.list(depth)
	}
}

func (d decoder) object(depth int) (any, error) {
	var o object
	for d.More() {
		token, err := d.token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the decoder lets nothing else stand here
		if _, twice := o.get(name); twice {
			return nil, fmt.Errorf("the name %q stands twice in one object, at byte %d", name, d.InputOffset())
		}
		value, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	_, err := d.token()
	return o, err
}

func (d decoder) list(depth int) (any, error) {
	list := []any{}
	for d.More() {
		value, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, err := d.token()
	return list, err
}

func (d decoder) token() (json.Token, error) {
	token, err := d.Token()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the document is empty or cut off")
	case err != nil:
		return nil, fmt.Errorf("the document is not JSON at byte %d: %w", d.InputOffset(), err)
	}
	return token, nil
}
