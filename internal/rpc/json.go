package rpc

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan"
)

// ValuesFromJSON decodes a JSON object, as a request body or a parameter has
// it, into the values that a form would give: strings as they are, numbers and
// booleans as they are written, lists and objects as JSON text, null as
// absent. A name given twice is refused.
func ValuesFromJSON(data []byte) (Values, error) { return objectFromJSON("Body", data) }

func objectFromJSON(name string, data []byte) (Values, error) {
	malformed := portolan.Invalid(name, "must be a JSON object")
	dec := json.NewDecoder(bytes.NewReader(data))
	if token, err := dec.Token(); err != nil || token != json.Delim('{') || !utf8.Valid(data) {
		return nil, malformed
	}
	values := Values{}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		member, ok := key.(string)
		if err != nil || !ok {
			return nil, malformed
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, malformed
		}
		if seen[member] {
			return nil, portolan.Invalid(name, "must not have the member %q twice", member)
		}
		seen[member] = true
		if text, _ := textOfJSON(raw); !bytes.Equal(raw, []byte("null")) {
			values[member] = text
		}
	}
	if !ended(dec) {
		return nil, malformed
	}
	return values, nil
}

// itemsFromJSON decodes a JSON list of scalars or of objects; empty strings
// are absent.
func itemsFromJSON(name, text string, objects bool) ([]item, error) {
	malformed := portolan.Invalid(name, "must be a JSON list")
	dec := json.NewDecoder(strings.NewReader(text))
	if _, err := dec.Token(); err != nil || !utf8.ValidString(text) {
		return nil, malformed
	}
	var items []item
	for n := 1; dec.More(); n++ {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, malformed
		}
		text, scalar := textOfJSON(raw)
		switch {
		case n > MaxItems:
			return nil, portolan.Invalid(name, "must have at most %d items", MaxItems)
		case scalar == objects:
			return nil, portolan.Invalid(name+"."+strconv.Itoa(n), "is not of the list's type")
		case text != "":
			items = append(items, item{n: n, value: text})
		}
	}
	if !ended(dec) {
		return nil, malformed
	}
	return items, nil
}

// ended reads the closing bracket and makes sure that nothing follows.
func ended(dec *json.Decoder) bool {
	if _, err := dec.Token(); err != nil {
		return false
	}
	_, err := dec.Token()
	return err == io.EOF
}

// textOfJSON is the text of a scalar, and whether it is one: null is not.
// Other values are answered as they are written.
func textOfJSON(raw json.RawMessage) (text string, scalar bool) {
	switch raw[0] {
	case '"':
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	case '{', '[', 'n':
		return string(raw), false
	}
	return string(raw), true
}
