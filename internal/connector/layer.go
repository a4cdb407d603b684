package connector

import (
	"context"
	"net/http"
)

// Layer sends one try of a request by next. It may send a changed clone of the
// request, and answer something else than next did.
type Layer func(req *http.Request, next http.RoundTripper) (*http.Response, error)

type layerKey struct{}

// WithLayer has a Transport send every try of the requests under the context
// through the layer, beneath its retries and pace: for a signature that holds
// for one try only, and for a product that asks for a wait in its own words.
// The way is that of net/http/httptrace.
func WithLayer(ctx context.Context, l Layer) context.Context {
	return context.WithValue(ctx, layerKey{}, l)
}

// send sends a request once, through its layer if it has one.
func send(req *http.Request, next http.RoundTripper) (*http.Response, error) {
	if l, ok := req.Context().Value(layerKey{}).(Layer); ok {
		return l(req, next)
	}
	return next.RoundTrip(req)
}
