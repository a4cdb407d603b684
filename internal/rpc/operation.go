// Package rpc turns typed operations into endpoints: what an operation is
// called, who may call it, which parameters it takes, what it answers, and the
// handler behind it, as one value.
//
// The same value feeds decoding and validation, authorisation, the command
// line, the reference pages and the tests. The package knows Go types and wire
// names; it knows no HTTP, no signature, no encoder and no product.
package rpc

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"portolan"
)

// Access is what an operation does to the account's data. It decides how a
// repeated call is recognised, and whether a call outlives its client.
type Access string

// The access levels, in the words of RAM's authorisation tables.
const (
	Read  Access = "read"
	List  Access = "list"
	Write Access = "write"
)

// Spec is what is known of an operation without its types.
type Spec struct {
	// Name is the wire's Action, such as "PageImageRegistry".
	Name string
	// Product is "Sas", "Ram", "Sts" or "Ims".
	Product string
	// Version is the date by which the wire names the product's API.
	Version string
	// Action is what a policy allows, such as "yundun-sas:PageImageRegistry".
	Action string
	Access Access
	// Summary is one line; Doc is Markdown, for what the tables do not say.
	Summary string
	Doc     string
	// Example is the shell command that the reference page shows.
	Example string
	// Errors are those of this operation; the common ones are not repeated.
	Errors []Err
	// Since is the release that brought the operation.
	Since string
	// Timeout is how long a call may take, 0 for what all may.
	Timeout time.Duration
	// Extension is set for operations that are ours and not the vendor's.
	Extension bool
}

// Err is one row of an operation's error table.
type Err struct {
	Code   string
	Status int
	Doc    string
}

// Caller is who calls and how: the same for every operation.
type Caller struct {
	RequestID string
	Principal portolan.Principal
	// Peer is the address of the client, taken from a trusted proxy if there
	// is one.
	Peer netip.Addr
	// Secure is set when the client speaks TLS.
	Secure bool
	// SourceIP is what the client claims its address to be. It is logged and
	// never decides anything.
	SourceIP string
}

// Values are the decoded parameters of a call, each name once.
type Values map[string]string

// Operation is a typed handler with its Spec. Req and Resp are structs; the
// tags of their fields are described at Param and Field.
type Operation[Req, Resp any] struct {
	Spec
	Handle func(ctx context.Context, caller *Caller, req *Req) (*Resp, error)
}

// Endpoint is an operation with its types erased.
type Endpoint struct {
	Spec
	// Params and Result describe the request and the response, in struct order.
	Params []Param
	Result []Field
	// Response is the type of what Call answers a pointer to.
	Response reflect.Type

	call func(context.Context, *Caller, Values) (any, error)
}

// Call decodes and validates the values, and runs the handler. The answer is
// never nil without an error: it points to a value of type e.Response.
func (e *Endpoint) Call(ctx context.Context, caller *Caller, values Values) (any, error) {
	return e.call(ctx, caller, values)
}

// Endpoint closes over the handler. It reads the types once, and panics when
// the operation is put together wrongly.
func (o Operation[Req, Resp]) Endpoint() Endpoint {
	o.check()
	plan := planOf(o.Name, reflect.TypeFor[Req]())
	response := reflect.TypeFor[Resp]()
	call := func(ctx context.Context, caller *Caller, values Values) (any, error) {
		req := new(Req)
		if err := plan.decode(reflect.ValueOf(req).Elem(), values, ""); err != nil {
			return nil, err
		}
		resp, err := o.Handle(ctx, caller, req)
		if err != nil {
			return nil, err
		}
		if resp == nil {
			resp = new(Resp)
		}
		return resp, nil
	}
	return Endpoint{
		Spec: o.Spec, Params: plan.params(), Result: resultOf(o.Name, response, 0),
		Response: response, call: call,
	}
}

func (o Operation[Req, Resp]) check() {
	for field, value := range map[string]string{"Name": o.Name, "Product": o.Product, "Version": o.Version} {
		if value == "" {
			mistake(o.Name, "Spec.%s is empty", field)
		}
	}
	if !strings.Contains(o.Action, ":") {
		mistake(o.Name, "Spec.Action %q is not product:Name", o.Action)
	}
	if o.Access != Read && o.Access != List && o.Access != Write {
		mistake(o.Name, "Spec.Access %q is not read, list or write", o.Access)
	}
	if o.Handle == nil {
		mistake(o.Name, "no handler")
	}
}

// mistake stops the program while it is being put together.
func mistake(operation, format string, args ...any) {
	panic("rpc: " + operation + ": " + fmt.Sprintf(format, args...)) //nolint:forbidigo // a wrongly declared operation is found at start, by every test
}
