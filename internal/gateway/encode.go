package gateway

import (
	"reflect"
	"slices"
	"strconv"

	"portolan/internal/rpc"
)

// Appender is a response, or a part of one, that writes its own JSON, mostly
// because it keeps it ready. What it appends must be one complete value with
// the members that its fields describe; XML is still made from the fields.
type Appender interface {
	AppendJSON(dst []byte) []byte
}

var appenderType = reflect.TypeFor[Appender]()

// plan is how a response type is encoded. It is made once per endpoint from
// the fields that the endpoint describes.
type plan struct {
	name    string // of the XML root, or of the member
	key     []byte // "Name": in JSON
	index   []int
	list    bool
	stream  bool // an rpc.Seq
	pointer bool // the value, or each element, is a pointer
	appends bool
	// optional members are left out when they are zero.
	optional bool
	object   bool
	members  []plan
}

// planOf makes the plan of a whole response.
func planOf(name string, t reflect.Type, fields []rpc.Field) *plan {
	p := &plan{name: name, object: true, members: membersOf(fields)}
	p.appends = reflect.PointerTo(t).Implements(appenderType)
	return p
}

func membersOf(fields []rpc.Field) []plan {
	members := make([]plan, len(fields))
	for i, f := range fields {
		members[i] = memberOf(f)
	}
	return members
}

func memberOf(f rpc.Field) plan {
	p := plan{
		name: f.Name, key: append(appendJSONString(nil, f.Name), ':'), index: f.Index,
		list: f.List, optional: f.Optional, object: f.Type == "object",
		members: membersOf(f.Fields),
	}
	t := f.Go
	switch {
	case t.Kind() == reflect.Func:
		p.stream, t = true, t.In(0).In(0)
	case f.List:
		t = t.Elem()
	}
	if t.Kind() == reflect.Pointer {
		p.pointer, t = true, t.Elem()
	}
	p.appends = reflect.PointerTo(t).Implements(appenderType)
	return p
}

// value finds a member in its struct, and whether it is to be sent.
func (p *plan) value(object reflect.Value) (reflect.Value, bool) {
	v := object.Field(p.index[0])
	if len(p.index) > 1 {
		v = object.FieldByIndex(p.index)
	}
	switch {
	case !p.optional:
		return v, true
	case p.list && !p.stream:
		return v, v.Len() > 0
	}
	return v, !v.IsZero()
}

// each calls visit for the elements of a list, without nil pointers.
func (p *plan) each(v reflect.Value, e *encoder, visit func(reflect.Value)) {
	if p.stream {
		sequence, _ := reflect.TypeAssert[rpc.Sequence](v)
		sequence.Each(func(row any, err error) bool {
			if err != nil {
				e.err = err
				return false
			}
			p.element(reflect.ValueOf(row).Elem(), visit)
			return e.relieve()
		})
		return
	}
	for i := range v.Len() {
		p.element(v.Index(i), visit)
	}
}

func (p *plan) element(v reflect.Value, visit func(reflect.Value)) {
	if p.pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	visit(v)
}

// encoder collects a document, and hands it on in pieces when it grows.
type encoder struct {
	buf []byte
	// flush takes a piece; nil keeps everything in buf.
	flush func([]byte) error
	err   error
}

// pieceSize is what an answer grows to before it is sent in pieces. Up to
// then an error can still become an error answer.
const pieceSize = 64 << 10

// relieve hands on what has grown, between two rows of a stream.
func (e *encoder) relieve() bool {
	if len(e.buf) >= pieceSize && e.flush != nil && e.err == nil {
		e.err = e.flush(e.buf)
		e.buf = e.buf[:0]
	}
	return e.err == nil
}

// plain writes what looks alike in JSON and XML: booleans and integers.
func (e *encoder) plain(v reflect.Value) {
	if v.Kind() == reflect.Bool {
		e.buf = strconv.AppendBool(e.buf, v.Bool())
		return
	}
	e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
}

// encode writes a whole response, which is a pointer to the plan's type.
func (e *encoder) encode(p *plan, response any, requestID string, xml bool) error {
	v := reflect.ValueOf(response).Elem()
	e.buf = slices.Grow(e.buf, 1<<10)
	if xml {
		e.xmlDocument(p, v, requestID)
	} else {
		e.jsonDocument(p, v, requestID)
	}
	return e.err
}
