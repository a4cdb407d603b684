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
	route    *route        // of the endpoint
	answer   *answer
	bounds   deadline // of the rest of the call, once the endpoint is found
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
		route:   g.unknown,
		answer:  newAnswer(w, r, g.pools, id),
	}
	defer c.bounds.end()
	code, status := codeOK, http.StatusOK
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
	return c.answer.send(c.route.plan, response)
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
	c.route = g.routes[c.endpoint]
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
	c.bounds.parent = ctx
	c.bounds.at = time.Now().Add(min(cmp.Or(c.endpoint.Timeout, handlerTimeout), longestCall))
	return &c.bounds
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
		slog.String("operation", c.route.name),
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
	now := g.Now()
	took := now.Sub(c.started)
	c.route.seen.observe(code, took)
	if !g.Log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	// Where in the code a call is logged is of no use, and dear to find out.
	line := slog.NewRecord(now, slog.LevelInfo, "call", 0)
	line.AddAttrs(
		slog.String("request_id", c.caller.RequestID),
		slog.String("operation", c.route.name),
		slog.String("access_key", c.caller.Principal.AccessKeyID),
		slog.String("peer", c.caller.Peer.String()),
		slog.Int("status", status),
		slog.String("code", code),
		slog.Duration("took", took),
	)
	if c.caller.SourceIP != "" {
		if claim, err := netip.ParseAddr(c.caller.SourceIP); err == nil {
			line.AddAttrs(slog.String("claimed_source", claim.String()))
		}
	}
	_ = g.Log.Handler().Handle(ctx, line) // a log that cannot be written has nowhere to say so
}
