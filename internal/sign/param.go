package sign

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"portolan"
)

// Param is one decoded parameter.
type Param struct{ Name, Value string }

// Limits bounds what is decoded; the zero value allows nothing.
type Limits struct {
	// Params is how many parameters query and body may have together.
	Params int
	// Name and Value are lengths in bytes, after decoding.
	Name  int
	Value int
}

// Decode reads the parameters of a query and a body and answers them sorted by
// name. The body is a JSON object if the content type says so, else a form;
// JSON lists and objects come out as Name.1 and Name.Key, null and empty ones
// not at all. An empty body is not looked at.
//
// Errors are *portolan.Error with status 400: RequestTooLarge for what is over
// the limits, else InvalidParameter: bad escapes, text that is not UTF-8, an
// empty name, and a name that comes twice, wherever. A client may have signed
// either value of such a pair, so none can be believed.
func Decode(rawQuery, contentType string, body []byte, limits Limits) ([]Param, error) {
	d, err := decode(rawQuery, contentType, body, limits)
	return d.all, err
}

// decoded are the parameters of a request, each slice sorted by name.
type decoded struct {
	query []Param
	// all may share its array with query.
	all []Param
}

func decode(rawQuery, contentType string, body []byte, limits Limits) (decoded, error) {
	query := decoder{limits: limits}
	if err := query.form(rawQuery); err != nil {
		return decoded{}, err
	}
	limits.Params -= len(query.params)
	rest := decoder{limits: limits}
	if err := rest.body(contentType, body); err != nil {
		return decoded{}, err
	}
	byName(query.params)
	d := decoded{query: query.params, all: query.params}
	if len(rest.params) > 0 {
		d.all = slices.Concat(query.params, rest.params)
		byName(d.all)
	}
	for i := 1; i < len(d.all); i++ {
		if d.all[i].Name == d.all[i-1].Name {
			return decoded{}, portolan.Invalid(d.all[i].Name, "is given twice; send it once, in the query or in the body")
		}
	}
	return d, nil
}

func byName(params []Param) {
	slices.SortFunc(params, func(a, b Param) int { return strings.Compare(a.Name, b.Name) })
}

func (d decoded) find(name string) (int, bool) {
	return slices.BinarySearchFunc(d.all, name, func(p Param, name string) int { return strings.Compare(p.Name, name) })
}

func (d decoded) has(name string) bool {
	_, found := d.find(name)
	return found
}

// get answers "" for a parameter that is absent.
func (d decoded) get(name string) string {
	if i, found := d.find(name); found {
		return d.all[i].Value
	}
	return ""
}

// decoder collects parameters as long as they are within the limits.
type decoder struct {
	limits Limits
	params []Param
}

// body reads a body by its media type. None counts as a form, which is what
// all clients send unless they say JSON.
func (d *decoder) body(contentType string, body []byte) error {
	if len(body) == 0 {
		return nil
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "", formType:
		return d.form(string(body))
	case "application/json":
		return d.json(body)
	}
	return portolan.Invalid("Content-Type", "must be %s or application/json", formType)
}

const formType = "application/x-www-form-urlencoded"

// form reads the text of a query or form. A plus sign is a space.
func (d *decoder) form(text string) error {
	if text == "" {
		return nil
	}
	d.params = make([]Param, 0, min(strings.Count(text, "&")+1, max(d.limits.Params, 0)))
	for pair := range strings.SplitSeq(text, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return portolan.Invalid("A parameter", "has a name with a bad escape; write a percent sign as %%25")
		}
		value, err := url.QueryUnescape(rawValue)
		if err == nil {
			err = d.add(name, value)
		} else if err = d.checkName(name); err == nil {
			err = portolan.Invalid(name, "has a value with a bad escape; write a percent sign as %%25")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) add(name, value string) error {
	if len(d.params) >= d.limits.Params {
		return tooLarge("too many parameters")
	}
	if err := d.checkName(name); err != nil {
		return err
	}
	if len(value) > d.limits.Value {
		return tooLarge("the value of " + name + " is too long")
	}
	if !utf8.ValidString(value) {
		return portolan.Invalid(name, "must be text in UTF-8")
	}
	d.params = append(d.params, Param{name, value})
	return nil
}

func (d *decoder) checkName(name string) error {
	switch {
	case name == "":
		return portolan.Invalid("A parameter", "has no name")
	case len(name) > d.limits.Name:
		return tooLarge("a parameter's name is too long")
	case !utf8.ValidString(name):
		return portolan.Invalid("A parameter", "has a name that is not UTF-8")
	}
	return nil
}

func tooLarge(why string) error {
	return portolan.Refused("RequestTooLarge", "The request is too large: %s.", why)
}
