package connector

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"portolan"
)

// Defaults of a transport.
const (
	DefaultConcurrent = 4
	DefaultTries      = 4
)

// TransportConfig says how a registry is spoken to. Only Base is needed.
type TransportConfig struct {
	// Base sends a request once.
	Base http.RoundTripper
	// Concurrent is how many requests run at once, counted until their answer
	// is read to its end or closed. Default DefaultConcurrent.
	Concurrent int
	// Tries is how often a GET or HEAD is sent before its failure is believed.
	// Default DefaultTries.
	Tries int
	// Now, Sleep and Jitter are the real clock and chance if nil. Jitter
	// answers a duration between half of d and d.
	Now    func() time.Time
	Sleep  func(ctx context.Context, d time.Duration) error
	Jitter func(d time.Duration) time.Duration
}

// Transport sends the requests of one registry: a few at once, and again after a passing failure. When the registry asks to wait, all its
// requests wait; a wait that does not fit before the context's deadline is a
// ThrottledError.
type Transport struct {
	config TransportConfig
	slots  chan struct{}
	meter  Meter

	mu    sync.Mutex
	until time.Time // no request before it: the registry asked for a pause
}

// NewTransport makes a Transport.
func NewTransport(c TransportConfig) *Transport {
	if c.Concurrent <= 0 {
		c.Concurrent = DefaultConcurrent
	}
	if c.Tries <= 0 {
		c.Tries = DefaultTries
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Jitter == nil {
		c.Jitter = func(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) } //nolint:gosec // spreads load, keeps no secret
	}
	return &Transport{config: c, slots: make(chan struct{}, c.Concurrent)}
}

// Meter counts what the transport did. It may be read at any time.
func (t *Transport) Meter() *Meter { return &t.meter }

// Meter counts the traffic with one registry.
type Meter struct{ requests, bytes, throttled atomic.Int64 }

// Requests is the number of requests sent, tokens and retries included.
func (m *Meter) Requests() int64 { return m.requests.Load() }

// BytesRead is the number of bytes of answers read, after decompression.
func (m *Meter) BytesRead() int64 { return m.bytes.Load() }

// Throttled is how long requests waited because the registry asked for it.
func (m *Meter) Throttled() time.Duration { return time.Duration(m.throttled.Load()) }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", portolan.UserAgent())
	}
	for try := 1; ; try++ {
		resp, err := t.once(req)
		again := t.judge(req, resp, err, try)
		if !again.retry {
			return resp, err
		}
		discard(resp)
		if err := t.wait(req.Context(), again); err != nil {
			return nil, err
		}
	}
}

// once sends the request when it is its turn.
func (t *Transport) once(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := t.turn(ctx); err != nil {
		return nil, err
	}
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	release := sync.OnceFunc(func() { <-t.slots })
	t.meter.requests.Add(1)
	resp, err := t.config.Base.RoundTrip(req)
	if err != nil {
		release()
		return nil, err
	}
	resp.Body = &meteredBody{ReadCloser: resp.Body, meter: &t.meter, release: release}
	return resp, nil
}

// turn waits for the end of a pause.
func (t *Transport) turn(ctx context.Context) error {
	t.mu.Lock()
	pause := t.until.Sub(t.config.Now())
	t.mu.Unlock()
	return t.hold(ctx, pause)
}

func (t *Transport) hold(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if !t.fits(ctx, d) {
		return &ThrottledError{Wait: d}
	}
	return t.config.Sleep(ctx, d)
}

// fits reports whether a wait ends before the deadline and is worth a
// goroutine; a longer one is the caller's to plan.
func (t *Transport) fits(ctx context.Context, d time.Duration) bool {
	deadline, ok := ctx.Deadline()
	return d <= longestWait && (!ok || t.config.Now().Add(d).Before(deadline))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// meteredBody counts what is read and gives the slot back at the end.
type meteredBody struct {
	io.ReadCloser
	meter   *Meter
	release func()
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.meter.bytes.Add(int64(n))
	if err != nil {
		b.release()
	}
	return n, err
}

func (b *meteredBody) Close() error {
	defer b.release()
	return b.ReadCloser.Close()
}
