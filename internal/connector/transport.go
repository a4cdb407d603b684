package connector

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
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
	// Pace is shared with the others who ask with the same credential; one of
	// its own if nil.
	Pace *Pace
	// PerMinute is how many requests a minute the registry's owner allows, 0
	// for any number.
	PerMinute int
	// Concurrent is how many requests run at once, counted until their answer
	// is read to its end or closed, if Pace is nil. Default DefaultConcurrent.
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

// Transport sends the requests of one registry: at its pace, a few at once,
// and again after a passing failure. When the registry asks to wait, all who
// share the pace wait; a wait that does not fit before the context's deadline
// is a ThrottledError.
type Transport struct {
	config TransportConfig
	pace   *Pace
	leave  func()
	meter  Meter
}

// NewTransport makes a Transport.
func NewTransport(c TransportConfig) *Transport {
	if c.Pace == nil {
		c.Pace = NewPace(PaceConfig{Concurrent: c.Concurrent})
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
	c.Pace.join(c.PerMinute)
	return &Transport{config: c, pace: c.Pace, leave: sync.OnceFunc(func() { c.Pace.leave(c.PerMinute) })}
}

// Close takes back what the transport's registry demanded of the pace.
func (t *Transport) Close() { t.leave() }

// Slow has everybody who shares the pace wait, and ask less often from then on.
// It is for sources whose registries ask for that in their own way; statuses
// 429 and 503 are heard anyway.
func (t *Transport) Slow(wait time.Duration) {
	now := t.config.Now()
	t.pace.extend(now, now.Add(wait))
	t.pace.heard(0, true, now, now)
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
	if req.Header.Get("User-Agent") == "" { // a request for a token
		req = req.Clone(req.Context())
		req.Header["User-Agent"] = userAgent
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
	release, err := t.slot(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.turn(ctx); err != nil {
		release()
		return nil, err
	}
	t.meter.requests.Add(1)
	sent := t.config.Now()
	resp, err := send(req, t.config.Base)
	if err != nil {
		release()
		return nil, err
	}
	now := t.config.Now()
	_, told := retryAfter(resp.Header, now)
	t.pace.heard(resp.StatusCode, told && resp.StatusCode == http.StatusServiceUnavailable, sent, now)
	resp.Body = &meteredBody{ReadCloser: resp.Body, meter: &t.meter, release: release}
	return resp, nil
}

// slot waits for the end of a pause and for a slot, and answers what gives it
// back. A pause that begins while others have the slots is waited for too.
func (t *Transport) slot(ctx context.Context) (release func(), err error) {
	for {
		if err := t.hold(ctx, t.pace.pause(t.config.Now())); err != nil {
			return nil, err
		}
		select {
		case t.pace.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if t.pace.pause(t.config.Now()) <= 0 {
			return func() { <-t.pace.slots }, nil
		}
		<-t.pace.slots
	}
}

// turn waits until the pace allows a request.
func (t *Transport) turn(ctx context.Context) error {
	wait, taken := t.pace.turn(t.config.Now(), func(d time.Duration) bool { return t.fits(ctx, d) })
	if !taken {
		return &ThrottledError{Wait: wait, Paced: true}
	}
	err := t.hold(ctx, wait)
	if err == nil {
		err = t.hold(ctx, t.pace.pause(t.config.Now())) // one that began meanwhile
	}
	if err != nil {
		t.pace.giveBack()
	}
	return err
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
	once    sync.Once
}

func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.meter.bytes.Add(int64(n))
	if err != nil {
		b.once.Do(b.release)
	}
	return n, err
}

func (b *meteredBody) Close() error {
	defer b.once.Do(b.release)
	return b.ReadCloser.Close()
}
