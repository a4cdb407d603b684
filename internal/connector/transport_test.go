package connector_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
)

type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func reply(r *http.Request, status int, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Request: r, Body: io.NopCloser(strings.NewReader("body"))}
}

var start = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sleeper notes the waits and lets them pass at once.
type sleeper struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (s *sleeper) config(base http.RoundTripper) connector.TransportConfig {
	s.now = start
	return connector.TransportConfig{
		Base: base,
		Now: func() time.Time {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.now
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.waits = append(s.waits, d)
			s.now = s.now.Add(d)
			return ctx.Err()
		},
		Jitter: func(d time.Duration) time.Duration { return d },
	}
}

func request(t *testing.T, method string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://r.example.com/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTransportRetries(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	tests := map[string]struct {
		method  string
		answers []any // status, error, or header pairs with 429 and 503
		status  int
		wait    time.Duration // of a ThrottledError
		err     error
		waits   []time.Duration
	}{
		"good":                 {answers: []any{200}, status: 200},
		"fails once":           {answers: []any{500, 200}, status: 200, waits: []time.Duration{500 * ms}},
		"fails for good":       {answers: []any{502, 504, 408, 500}, status: 500, waits: []time.Duration{500 * ms, 1000 * ms, 2000 * ms}},
		"HEAD":                 {method: "HEAD", answers: []any{500, 200}, status: 200, waits: []time.Duration{500 * ms}},
		"POST":                 {method: "POST", answers: []any{500}, status: 500},
		"no retry":             {answers: []any{404}, status: 404},
		"reset":                {answers: []any{syscall.ECONNRESET, 200}, status: 200, waits: []time.Duration{500 * ms}},
		"cut off":              {answers: []any{io.ErrUnexpectedEOF, 200}, status: 200, waits: []time.Duration{500 * ms}},
		"refused":              {answers: []any{syscall.ECONNREFUSED}, err: syscall.ECONNREFUSED},
		"reset for good":       {answers: []any{syscall.ECONNRESET, io.EOF, syscall.EPIPE, syscall.ECONNRESET}, err: syscall.ECONNRESET, waits: []time.Duration{500 * ms, 1000 * ms, 2000 * ms}},
		"429 with seconds":     {answers: []any{"429 7", 200}, status: 200, waits: []time.Duration{7000 * ms}},
		"429 with date":        {answers: []any{"429 " + start.Add(9*time.Second).Format(http.TimeFormat), 200}, status: 200, waits: []time.Duration{9000 * ms}},
		"429 with past date":   {answers: []any{"429 " + start.Add(-time.Hour).Format(http.TimeFormat), 200}, status: 200, waits: []time.Duration{500 * ms}},
		"429 without":          {answers: []any{"429 ", "429 ", 200}, status: 200, waits: []time.Duration{500 * ms, 1000 * ms}},
		"429 with rubbish":     {answers: []any{"429 soon", 200}, status: 200, waits: []time.Duration{500 * ms}},
		"503 with seconds":     {answers: []any{"503 3", 200}, status: 200, waits: []time.Duration{3000 * ms}},
		"429 too long":         {answers: []any{"429 3600"}, wait: time.Hour},
		"429 beyond all sense": {answers: []any{"429 4294967295"}, wait: 24 * time.Hour},
		"POST throttled":       {method: "POST", answers: []any{"429 3"}, wait: 3 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, sent := &sleeper{}, 0
			transport := connector.NewTransport(s.config(wire(func(r *http.Request) (*http.Response, error) {
				if got := r.Header.Get("User-Agent"); got != portolan.UserAgent() {
					t.Errorf("User-Agent %q", got)
				}
				sent++
				switch a := test.answers[sent-1].(type) {
				case int:
					return reply(r, a), nil
				case string:
					status := map[string]int{"429": 429, "503": 503}[a[:3]]
					return reply(r, status, "Retry-After", a[4:]), nil
				default:
					return nil, a.(error)
				}
			})))
			resp, err := transport.RoundTrip(request(t, test.method))
			throttled, _ := errors.AsType[*connector.ThrottledError](err)
			switch {
			case test.wait != 0:
				if throttled == nil || throttled.Wait != test.wait {
					t.Fatalf("got %v, want a wait of %s", err, test.wait)
				}
				if got := transport.Meter().Throttled(); got != 0 {
					t.Errorf("%s are counted that were not waited", got)
				}
			case test.err != nil:
				if !errors.Is(err, test.err) {
					t.Fatalf("got %v, want %v", err, test.err)
				}
			case err != nil || resp.StatusCode != test.status:
				t.Fatalf("got %v, %v, want %d", resp, err, test.status)
			}
			if diff := cmp.Diff(test.waits, s.waits); diff != "" {
				t.Errorf("waits: %s", diff)
			}
			if sent != len(test.answers) || transport.Meter().Requests() != int64(sent) {
				t.Errorf("%d requests sent, %d metered, want %d", sent, transport.Meter().Requests(), len(test.answers))
			}
			if resp != nil {
				_ = resp.Body.Close()
			}
		})
	}
}

// TestTransportGivesUpThrottling: a registry that throttles without end is
// left to the engine's plan.
func TestTransportGivesUpThrottling(t *testing.T) {
	t.Parallel()
	s := &sleeper{}
	transport := connector.NewTransport(s.config(wire(func(r *http.Request) (*http.Response, error) { return reply(r, 429), nil })))
	_, err := transport.RoundTrip(request(t, "GET"))
	if _, ok := errors.AsType[*connector.ThrottledError](err); !ok || transport.Meter().Requests() != 10 {
		t.Errorf("got %v after %d requests, want a ThrottledError after 10", err, transport.Meter().Requests())
	}
	if transport.Meter().Throttled() < 60*time.Second {
		t.Errorf("throttled for %s", transport.Meter().Throttled())
	}
}

// TestTransportPauses: what one request is told holds for all, and a wait
// past the deadline is not begun.
func TestTransportPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var throttle atomic.Bool
		throttle.Store(true)
		var times []time.Duration
		began := time.Now()
		transport := connector.NewTransport(connector.TransportConfig{Base: wire(func(r *http.Request) (*http.Response, error) {
			times = append(times, time.Since(began))
			if throttle.Swap(false) {
				return reply(r, 429, "Retry-After", "10"), nil
			}
			return reply(r, 200), nil
		})})
		var wg sync.WaitGroup
		wg.Go(func() { get(t.Context(), t, transport) })
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := transport.RoundTrip(request(t, "GET").WithContext(short))
		if throttled, ok := errors.AsType[*connector.ThrottledError](err); !ok || throttled.Wait != 10*time.Second {
			t.Errorf("got %v, want a wait of 10 s at once", err)
		}
		wg.Go(func() { get(t.Context(), t, transport) })
		wg.Wait()
		if diff := cmp.Diff([]time.Duration{0, 10 * time.Second, 10 * time.Second}, times); diff != "" {
			t.Error(diff)
		}
		if got := transport.Meter().Throttled(); got != 10*time.Second {
			t.Errorf("throttled for %s, want 10 s", got)
		}
	})
}

func get(ctx context.Context, t *testing.T, transport http.RoundTripper) {
	resp, err := transport.RoundTrip(request(t, "GET").WithContext(ctx))
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// TestTransportSlots: an answer holds its slot until it is read or closed.
func TestTransportSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := connector.NewTransport(connector.TransportConfig{Concurrent: 2, Base: wire(func(r *http.Request) (*http.Response, error) {
			return reply(r, 200), nil
		})})
		first, _ := transport.RoundTrip(request(t, "GET"))
		second, _ := transport.RoundTrip(request(t, "GET"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := transport.RoundTrip(request(t, "GET").WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a third request at once: %v", err)
		}
		_, _ = io.ReadAll(first.Body) // the end gives the slot back
		third, err := transport.RoundTrip(request(t, "GET"))
		if err != nil {
			t.Fatal(err)
		}
		_ = first.Body.Close() // no second slot
		_ = second.Body.Close()
		_ = second.Body.Close()
		fourth, _ := transport.RoundTrip(request(t, "GET"))
		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := transport.RoundTrip(request(t, "GET").WithContext(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("closing twice gave two slots: %v", err)
		}
		_ = third.Body.Close()
		_ = fourth.Body.Close()
		if got := transport.Meter().BytesRead(); got != 4 {
			t.Errorf("%d bytes metered, want 4", got)
		}
	})
}
