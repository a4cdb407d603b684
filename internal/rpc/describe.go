package rpc

import (
	"iter"
	"reflect"
	"strings"
)

// Field is one row of a response table, and all that an encoder needs to know
// of a response.
//
// A field of a response is an exported string, bool, int, int32 or int64, a
// struct, a pointer to one of those, a slice of them, or a Seq. Its name is
// that of the Go field or of its json tag; omitempty leaves out "", 0, false
// and empty lists. A nil pointer is left out too: null is never sent. The tags
// doc and example describe it. Embedded structs are flattened.
type Field struct {
	Name string
	// Type is string, boolean, int32, long or object; that of the elements
	// when List is set.
	Type string
	List bool
	// Optional fields are absent when they have nothing to tell.
	Optional bool
	Doc      string
	Example  string
	// Fields are those of an object.
	Fields []Field

	// Go is the type of the field, Index its place in the struct that holds it,
	// for reflect.Value.FieldByIndex.
	Go    reflect.Type
	Index []int
}

// Rows walks a tree of fields in table order, each with its path, such as
// "List[].RegistryName".
func Rows(fields []Field) iter.Seq2[string, Field] {
	return func(yield func(string, Field) bool) { walkRows("", fields, yield) }
}

func walkRows(prefix string, fields []Field, yield func(string, Field) bool) bool {
	for _, f := range fields {
		path := prefix + f.Name
		if f.List {
			path += "[]"
		}
		if !yield(path, f) || !walkRows(path+".", f.Fields, yield) {
			return false
		}
	}
	return true
}

// FieldsOf describes a type by the rules of Field. It panics when the type
// breaks them.
func FieldsOf(t reflect.Type) []Field { return resultOf(t.String(), t, 0) }

const maxDepth = 8

func resultOf(operation string, t reflect.Type, depth int) []Field {
	if t.Kind() != reflect.Struct || depth > maxDepth {
		mistake(operation, "the response needs structs, at most %d deep, not %s", maxDepth, t)
	}
	var fields []Field
	for sf := range structFields(t) {
		name, option, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if name == "-" || !sf.IsExported() {
			continue
		}
		if name == "" {
			name = sf.Name
		}
		if name == "RequestId" && depth == 0 {
			mistake(operation, "RequestId is added to every response")
		}
		f := Field{
			Name: name, Optional: option == "omitempty",
			Doc: sf.Tag.Get("doc"), Example: sf.Tag.Get("example"),
			Go: sf.Type, Index: sf.Index,
		}
		f.setType(operation, depth)
		fields = append(fields, f)
	}
	return fields
}

func (f *Field) setType(operation string, depth int) {
	t := f.Go
	switch row, sequence := rowOf(t); {
	case sequence:
		f.List, t = true, row
	case t.Kind() == reflect.Slice:
		f.List, t = true, t.Elem()
	}
	if t.Kind() == reflect.Pointer {
		f.Optional, t = f.Optional || !f.List, t.Elem()
	}
	if t.Kind() == reflect.Struct {
		f.Type, f.Fields = "object", resultOf(operation, t, depth+1)
		return
	}
	if f.Type = typeWord(t.Kind()); f.Type == "" {
		mistake(operation, "field %s has the unsupported type %s", f.Name, t)
	}
}

// structFields walks the fields of a struct, those of embedded structs in
// place of them. Index counts from t.
func structFields(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			embedded := f.Anonymous && f.Type.Kind() == reflect.Struct
			if !embedded && !yield(f) {
				return
			}
		}
	}
}

// typeWord is the vendor's word for a scalar, "" for anything else.
func typeWord(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int32:
		return "int32"
	case reflect.Int64:
		return "long"
	default:
		return ""
	}
}
