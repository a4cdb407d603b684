package rpc

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Param is one row of a request table.
//
// The field of a request is an exported string, bool, int, int32 or int64, a
// named type of those, a pointer to one (nil when the parameter is absent), or
// a slice of scalars or structs. Its name is that of the Go field unless the
// tag `rpc:"Name"` says otherwise; `rpc:"Name,keepempty"` on a *string tells an
// empty parameter (pointer to "") from an absent one. More tags:
//
//	doc:"..."        for people
//	example:"..."    for people and the API explorer
//	default:"20"     used when the parameter is absent
//	required:"true"  Missing<Name> when it is absent
//	range:"1,1000"   of an integer; of the characters of a string; of the
//	                 length of a list; either end may be left out
//	enum:"a,b"       the values allowed
//	in:"body"        where clients send it, "query" if not said; on an embedded
//	                 struct, for all its fields. Both are understood
//
// Embedded structs are flattened.
type Param struct {
	Name string
	// Type is string, boolean, int32, long or object; that of the elements
	// when List is set.
	Type     string
	List     bool
	Doc      string
	Example  string
	Default  string
	Required bool
	// Min and Max are meaningful when Ranged is set. For numbers they are
	// always set.
	Min, Max int64
	Ranged   bool
	Enum     []string
	// In is "query" or "body".
	In string
	// Fields are the members of a list of objects.
	Fields []Param
}

// Constraint says in words what a value must be, as it follows "must be" in
// an error: "an integer from 1 to 1000". It is "" when anything goes.
func (p *Param) Constraint() string {
	switch {
	case len(p.Enum) > 0:
		return "one of " + strings.Join(p.Enum, ", ")
	case p.Type == "boolean":
		return "true or false"
	case p.integer() && p.Min == math.MinInt64 && p.Max == math.MaxInt64:
		return "an integer"
	case p.integer():
		return fmt.Sprintf("an integer from %d to %d", p.Min, p.Max)
	case p.Ranged && p.Type == "string" && !p.List:
		return p.extent("characters")
	}
	return ""
}

func (p *Param) extent(unit string) string {
	switch {
	case p.Max == math.MaxInt64:
		return fmt.Sprintf("at least %d %s", p.Min, unit)
	case p.Min <= 0:
		return fmt.Sprintf("at most %d %s", p.Max, unit)
	}
	return fmt.Sprintf("%d to %d %s", p.Min, p.Max, unit)
}

func (p *Param) integer() bool { return p.Type == "int32" || p.Type == "long" }

// plan is how one request type is decoded.
type plan struct {
	fields []planField
	// lists finds the field of a list by name.
	lists map[string]int
}

type planField struct {
	Param
	index     []int
	keepEmpty bool
	// elem decodes the elements of a list of structs.
	elem *plan
}

func (p *plan) params() []Param {
	params := make([]Param, len(p.fields))
	for i, f := range p.fields {
		params[i] = f.Param
	}
	return params
}

// planOf reads a request type. It is called once per operation.
func planOf(operation string, t reflect.Type) *plan {
	if t.Kind() != reflect.Struct {
		mistake(operation, "the request is %s, not a struct", t)
	}
	p := &plan{lists: map[string]int{}}
	names := map[string]bool{}
	for f := range structFields(t) {
		field := fieldOf(operation, t, f)
		if names[field.Name] {
			mistake(operation, "parameter %s is declared twice", field.Name)
		}
		names[field.Name] = true
		if field.List {
			p.lists[field.Name] = len(p.fields)
		}
		p.fields = append(p.fields, field)
	}
	return p
}

func fieldOf(operation string, t reflect.Type, sf reflect.StructField) planField {
	if !sf.IsExported() {
		mistake(operation, "field %s is not exported", sf.Name)
	}
	name, option, _ := strings.Cut(sf.Tag.Get("rpc"), ",")
	if name == "" {
		name = sf.Name
	}
	f := planField{
		Param: Param{
			Name: name, Doc: sf.Tag.Get("doc"), Example: sf.Tag.Get("example"),
			Default: sf.Tag.Get("default"), Required: sf.Tag.Get("required") == "true",
			In: position(t, sf),
		},
		index: sf.Index, keepEmpty: option == "keepempty",
	}
	if option != "" && !f.keepEmpty || f.keepEmpty && sf.Type != reflect.TypeFor[*string]() {
		mistake(operation, "parameter %s: option %q needs to be keepempty, on a *string", name, option)
	}
	if f.In != "query" && f.In != "body" {
		mistake(operation, "parameter %s: in is %q", name, f.In)
	}
	f.setType(operation, sf.Type)
	f.setRange(operation, sf.Tag)
	if enum := sf.Tag.Get("enum"); enum != "" {
		f.Enum = strings.Split(enum, ",")
	}
	f.checkDefault(operation, sf.Type)
	return f
}

// position is the tag in of the field, or of the struct that it is embedded
// with.
func position(t reflect.Type, sf reflect.StructField) string {
	if in := sf.Tag.Get("in"); in != "" {
		return in
	}
	if len(sf.Index) > 1 {
		if in := t.FieldByIndex(sf.Index[:1]).Tag.Get("in"); in != "" {
			return in
		}
	}
	return "query"
}

func (f *planField) setType(operation string, t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		t = t.Elem()
	case reflect.Slice:
		f.List, t = true, t.Elem()
	default:
	}
	if f.List && t.Kind() == reflect.Struct {
		f.Type = "object"
		f.elem = planOf(operation, t)
		f.Fields = f.elem.params()
		return
	}
	if f.Type = typeWord(t.Kind()); f.Type == "" {
		mistake(operation, "parameter %s has the unsupported type %s", f.Name, t)
	}
}

func (f *planField) setRange(operation string, tag reflect.StructTag) {
	f.Min, f.Max = 0, math.MaxInt64
	switch f.Type {
	case "int32":
		f.Min, f.Max = math.MinInt32, math.MaxInt32
	case "long":
		f.Min = math.MinInt64
	}
	text, ok := tag.Lookup("range")
	if !ok {
		return
	}
	low, high, ok := strings.Cut(text, ",")
	f.Ranged = ok
	for _, end := range []struct {
		text string
		to   *int64
	}{{low, &f.Min}, {high, &f.Max}} {
		if end.text == "" {
			continue
		}
		n, err := strconv.ParseInt(end.text, 10, 64)
		if *end.to = n; err != nil {
			f.Ranged = false
		}
	}
	if !f.Ranged || f.Min > f.Max || f.List && f.integer() {
		mistake(operation, "parameter %s: range %q is not of this type", f.Name, text)
	}
}

// checkDefault decodes the default as if it had been sent.
func (f *planField) checkDefault(operation string, t reflect.Type) {
	if f.Default == "" {
		return
	}
	if f.List || f.Required || f.keepEmpty {
		mistake(operation, "parameter %s: no default on a list, keepempty or required parameter", f.Name)
	}
	if err := f.set(reflect.New(t).Elem(), f.Name, f.Default); err != nil {
		mistake(operation, "parameter %s: default: %v", f.Name, err)
	}
}

func (p *Param) allows(text string) bool {
	return len(p.Enum) == 0 || slices.Contains(p.Enum, text)
}
