package rpc

import "reflect"

// Decoder answers a function that decodes and validates values as an operation
// with that request does, for what comes another way than a call. It reads the
// type once, and panics when its tags are wrong.
func Decoder[Req any](name string) func(Values) (*Req, error) {
	plan := planOf(name, reflect.TypeFor[Req]())
	return func(values Values) (*Req, error) {
		req := new(Req)
		if err := plan.decode(reflect.ValueOf(req).Elem(), values, ""); err != nil {
			return nil, err
		}
		return req, nil
	}
}
