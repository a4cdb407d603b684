package rpc

import "reflect"

// Seq is a list in a response that is produced while it is sent, so that a
// long one is never held in memory. An error ends it, and the client sees a
// broken answer rather than a short list. A nil Seq is an empty list.
type Seq[T any] func(yield func(T, error) bool)

// Sequence is what every Seq is to an encoder that does not know its type.
type Sequence interface {
	// Each yields pointers to rows. A pointer is valid until the next row.
	Each(yield func(row any, err error) bool)
	row() reflect.Type
}

// Each implements Sequence.
func (s Seq[T]) Each(yield func(row any, err error) bool) {
	if s == nil {
		return
	}
	var row T
	for r, err := range s {
		row = r
		if !yield(&row, err) {
			return
		}
	}
}

func (Seq[T]) row() reflect.Type { return reflect.TypeFor[T]() }

// rowOf answers the row type of a Seq type.
func rowOf(t reflect.Type) (reflect.Type, bool) {
	s, ok := reflect.TypeAssert[Sequence](reflect.Zero(t))
	if !ok {
		return nil, false
	}
	return s.row(), true
}
