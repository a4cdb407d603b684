package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"portolan"
	"portolan/internal/rpc"
)

// call is one request on its way through the gateway.
type call struct {
	started  time.Time
	caller   rpc.Caller
	endpoint *rpc.Endpoint // nil until it is found
	answer   *answer
	cancel   context.CancelFunc
}

// ServeHTTP runs a call and answers it.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.extra(r.URL.Path); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	id := g.RequestID()
	client, secure := g.Proxies.Client(r)
	c := &call{
		started: g.Now(),
		caller:  rpc.Caller{RequestID: id, Peer: client, Secure: secure},
		answer:  newAnswer(w, r, g.pools, id),
		cancel:  func() {},
	}
	defer func() { c.cancel() }()
	code, status := "OK", http.StatusOK
	switch err := g.handle(c, w, r); {
	case err == nil:
	case errors.Is(err, errClient), errors.Is(err, context.Canceled) && r.Context().Err() != nil:
		code, c.answer.broken = "ClientGone", true
	default:
		code, status = g.fail(c, r, err)
	}
	g.record(r.Context(), c, code, status)
	if c.answer.broken {
		panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http is told to cut the connection: a short list must not look whole
	}
}

// handle makes an error of a panic, which may come from an operation or from a
// list that is produced while it is encoded.
func (g *Gateway) handle(c *call, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &fault{value: p, stack: debug.Stack()}
		}
	}()
	response, err := g.run(c, w, r)
	if err != nil {
		return err
	}
	return c.answer.send(g.plans[c.endpoint], response)
}

// run is a call from the request to the operation's result, in the order that
// is promised: parse, find the operation, authenticate, throttle, authorise,
// validate, run.
func (g *Gateway) run(c *call, w http.ResponseWriter, r *http.Request) (any, error) {
	signature, xml, err := parse(w, r)
	c.answer.xml = xml
	if err != nil {
		return nil, err
	}

	if c.endpoint, err = g.Catalog.Find(signature.Version, signature.Action); err != nil {
		return nil, err
	}
	ctx := c.deadline(r.Context())

	if signature.Anonymous() {
		return nil, g.refused(portolan.Missing("AccessKeyId"))
	}
	c.caller.Principal, err = g.Authenticate(ctx, signature, c.endpoint.Access, c.caller.Peer)
	if err != nil {
		return nil, g.refused(err)
	}

	if err := g.throttle.take(c.caller.Principal.AccessKeyID); err != nil {
		return nil, err
	}

	if err := g.Authorize(ctx, &c.caller, &c.endpoint.Spec); err != nil {
		return nil, err
	}

	values := valuesOf(signature)
	c.caller.SourceIP = values["SourceIp"]
	return c.endpoint.Call(ctx, &c.caller, values) // validates, runs
}

// deadline bounds the rest of the call. A write whose client is gone goes on:
// it would be left half done, and the client could not know.
func (c *call) deadline(ctx context.Context) context.Context {
	if c.endpoint.Access == rpc.Write {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, c.cancel = context.WithTimeout(ctx, min(cmp.Or(c.endpoint.Timeout, handlerTimeout), longestCall))
	return ctx
}

// refused counts a call that could not be authenticated.
func (g *Gateway) refused(err error) error {
	if e, ok := errors.AsType[*portolan.Error](err); ok {
		g.metrics.refused.WithLabelValues(e.Code).Inc()
	}
	return err
}

// fail answers an error, unless a part of the result has been sent already.
func (g *Gateway) fail(c *call, r *http.Request, err error) (code string, status int) {
	e, internal := wireError(err, c.endpoint)
	if internal || e.Status >= http.StatusInternalServerError {
		g.logFault(r.Context(), c, err)
	}
	if c.answer.begun {
		c.answer.broken = true
	} else {
		c.answer.sendError(g.errors, e, r.Host)
	}
	return e.Code, e.Status
}

// fault is a panic of an operation.
type fault struct {
	value any
	stack []byte
}

func (f *fault) Error() string { return fmt.Sprintf("panic: %v", f.value) }

// logFault logs what the client is not told. It is the one place where an
// internal error is logged.
func (g *Gateway) logFault(ctx context.Context, c *call, err error) {
	attrs := []slog.Attr{
		slog.String("request_id", c.caller.RequestID),
		slog.String("operation", operation(c.endpoint)),
		slog.Any("error", err),
	}
	if f, ok := errors.AsType[*fault](err); ok {
		attrs = append(attrs, slog.String("stack", string(f.stack)))
	}
	g.Log.LogAttrs(ctx, slog.LevelError, "call failed", attrs...)
}

// record writes the access log and the metrics. Parameters are not logged but
// for SourceIp, which is a claim and shown as one.
func (g *Gateway) record(ctx context.Context, c *call, code string, status int) {
	took := g.Now().Sub(c.started)
	g.metrics.observe(c.endpoint, code, took)
	if !g.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", c.caller.RequestID),
		slog.String("operation", operation(c.endpoint)),
		slog.String("access_key", c.caller.Principal.AccessKeyID),
		slog.String("peer", c.caller.Peer.String()),
		slog.Int("status", status),
		slog.String("code", code),
		slog.Duration("took", took),
	}
	if claim, err := netip.ParseAddr(c.caller.SourceIP); err == nil {
		attrs = append(attrs, slog.String("claimed_source", claim.String()))
	}
	g.Log.LogAttrs(ctx, slog.LevelInfo, "call", attrs...)
}
