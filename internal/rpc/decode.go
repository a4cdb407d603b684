package rpc

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"portolan"
)

// MaxItems is the largest number of elements of a list parameter, and the
// highest N of Name.N.
const MaxItems = 1_000

// item is one parameter of the form Name.N or Name.N.Rest.
type item struct {
	n           int
	rest, value string
}

// decode fills the struct v. Errors are *portolan.Error, that of the first
// wrong field in struct order. The prefix is for the names of nested
// parameters in errors.
func (p *plan) decode(v reflect.Value, values Values, prefix string) error {
	items, err := p.collect(values, prefix)
	if err != nil {
		return err
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.List {
			err = f.decodeList(v.FieldByIndex(f.index), values[f.Name], items[i], prefix+f.Name)
		} else {
			err = f.decodeScalar(v.FieldByIndex(f.index), values, prefix+f.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// collect finds the parameters of the form Name.N, in the order of N. Gaps are
// allowed, and an empty one is an absent one.
func (p *plan) collect(values Values, prefix string) (map[int][]item, error) {
	if len(p.lists) == 0 {
		return nil, nil
	}
	var items map[int][]item
	var wrong string
	for key, value := range values {
		name, rest, dotted := strings.Cut(key, ".")
		if !dotted || value == "" {
			continue
		}
		i, known := p.lists[name]
		if !known {
			continue
		}
		number, rest, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > MaxItems || strconv.Itoa(n) != number {
			wrong = max(wrong, key)
			continue
		}
		if items == nil {
			items = make(map[int][]item)
		}
		items[i] = append(items[i], item{n, rest, value})
	}
	if wrong != "" {
		return nil, portolan.Invalid(prefix+wrong, "must be numbered from 1 to %d", MaxItems)
	}
	for _, list := range items {
		slices.SortFunc(list, func(a, b item) int { return cmp.Or(a.n-b.n, strings.Compare(a.rest, b.rest)) })
	}
	return items, nil
}

func (f *planField) decodeScalar(v reflect.Value, values Values, name string) error {
	text, given := values[f.Name]
	switch {
	case text != "" || f.keepEmpty && given:
	case f.Required:
		return portolan.Missing(name)
	case f.Default != "":
		text = f.Default
	default:
		return nil
	}
	return f.set(v, name, text)
}

// set converts one text into a scalar or a pointer to one.
func (f *planField) set(v reflect.Value, name, text string) error {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if !f.allows(text) {
		return portolan.Invalid(name, "must be %s", f.Constraint())
	}
	switch v.Kind() {
	case reflect.String:
		if err := f.checkText(name, text); err != nil {
			return err
		}
		v.SetString(text)
	case reflect.Bool:
		yes := strings.EqualFold(text, "true")
		if !yes && !strings.EqualFold(text, "false") {
			return portolan.Invalid(name, "must be %s", f.Constraint())
		}
		v.SetBool(yes)
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < f.Min || n > f.Max {
			return portolan.Invalid(name, "must be %s", f.Constraint())
		}
		v.SetInt(n)
	}
	return nil
}

// checkText refuses what databases and encoders cannot keep, and a string
// that is too short or too long.
func (f *planField) checkText(name, text string) error {
	if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 {
		return portolan.Invalid(name, "must be valid UTF-8 without NUL characters")
	}
	if !f.Ranged || f.List {
		return nil
	}
	if n := int64(utf8.RuneCountInString(text)); n < f.Min || n > f.Max {
		return portolan.Invalid(name, "must have %s", f.Constraint())
	}
	return nil
}

// decodeList takes one of the forms Name, Name.N and JSON text.
func (f *planField) decodeList(v reflect.Value, text string, items []item, name string) error {
	if text != "" && len(items) > 0 {
		return portolan.Invalid(name, "must be given as %s or as %s.N, not both", name, name)
	}
	if text != "" {
		items = []item{{n: 1, value: text}}
	}
	if strings.HasPrefix(text, "[") {
		var err error
		if items, err = itemsFromJSON(name, text, f.elem != nil); err != nil {
			return err
		}
	}
	for len(items) > 0 {
		n := items[0].n
		end := slices.IndexFunc(items, func(it item) bool { return it.n != n })
		if end < 0 {
			end = len(items)
		}
		if err := f.append(v, items[:end], name+"."+strconv.Itoa(n)); err != nil {
			return err
		}
		items = items[end:]
	}
	return f.checkLength(v.Len(), name)
}

func (f *planField) checkLength(n int, name string) error {
	switch {
	case n == 0 && f.Required:
		return portolan.Missing(name)
	case n > 0 && f.Ranged && (int64(n) < f.Min || int64(n) > f.Max):
		return portolan.Invalid(name, "must have %s", f.extent("items"))
	}
	return nil
}

// append decodes the parameters that share one N into a new element: a scalar,
// an object as JSON text, or an object member by member.
func (f *planField) append(v reflect.Value, items []item, name string) error {
	elem := reflect.New(v.Type().Elem()).Elem()
	whole := len(items) == 1 && items[0].rest == ""
	var err error
	switch {
	case f.elem == nil && whole:
		err = f.set(elem, name, items[0].value)
	case f.elem == nil:
		err = portolan.Invalid(name, "must be a single value")
	case whole:
		var members Values
		if members, err = objectFromJSON(name, []byte(items[0].value)); err == nil {
			err = f.setObject(elem, name, members)
		}
	default:
		members := Values{}
		for _, it := range items {
			members[it.rest] = it.value
		}
		err = f.setObject(elem, name, members)
	}
	if err == nil {
		v.Set(reflect.Append(v, elem))
	}
	return err
}

// setObject decodes an object. Its members are all of ours, so an unknown one
// is a mistake, unlike among a call's parameters.
func (f *planField) setObject(elem reflect.Value, name string, members Values) error {
	for _, key := range slices.Sorted(maps.Keys(members)) {
		member, _, _ := strings.Cut(key, ".")
		if !slices.ContainsFunc(f.Fields, func(p Param) bool { return p.Name == member }) {
			return portolan.Invalid(name, "has the unknown member %q", key)
		}
	}
	return f.elem.decode(elem, members, name+".")
}
