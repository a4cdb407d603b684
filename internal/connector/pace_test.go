package connector_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portolan/internal/connector"
)

// busy answers with a status and notes when it was asked.
type busy struct {
	mu     sync.Mutex
	times  []time.Time
	status func(n int) int
	header []string
}

func (s *busy) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.times = append(s.times, time.Now())
	status := http.StatusOK
	if s.status != nil {
		status = s.status(len(s.times))
	}
	s.mu.Unlock()
	if status != http.StatusOK {
		time.Sleep(time.Second) //nolint:forbidigo // the time of a bubble
	}
	return reply(r, status, s.header...), nil
}

// most is the largest number of requests within a time.
func (s *busy) most(within time.Duration) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	most, from := 0, 0
	for to := range s.times {
		for s.times[to].Sub(s.times[from]) >= within {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

func (s *busy) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.times)
}

// askMany sends n requests, some at once, and waits for their end.
func askMany(t *testing.T, n int, transports ...http.RoundTripper) {
	t.Helper()
	var wg sync.WaitGroup
	todo := make(chan http.RoundTripper)
	for range 8 {
		wg.Go(func() {
			for transport := range todo {
				resp, err := transport.RoundTrip(request(t, http.MethodGet))
				if err != nil {
					t.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	for i := range n {
		todo <- transports[i%len(transports)]
	}
	close(todo)
	wg.Wait()
}

// What an owner allows in a minute is never exceeded, by any number of users
// of the credential, and is used.
func TestPacePerMinute(t *testing.T) {
	t.Parallel()
	for _, perMinute := range []int{20, 60, 600} {
		synctest.Test(t, func(t *testing.T) {
			s, pace := &busy{}, connector.NewPace(connector.PaceConfig{})
			capped := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace, PerMinute: perMinute})
			defer capped.Close()
			free := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
			began := time.Now()
			askMany(t, 3*perMinute, capped, free)
			if most := s.most(time.Minute); most > perMinute {
				t.Errorf("%d requests within a minute, %d are allowed", most, perMinute)
			}
			if took := time.Since(began); took > 6*time.Minute {
				t.Errorf("%d requests took %s", 3*perMinute, took)
			}
		})
	}
}

// When the one that demands it is closed, the others are free of it.
func TestPaceClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, pace := &busy{}, connector.NewPace(connector.PaceConfig{})
		capped := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace, PerMinute: 20})
		free := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
		if pace.Idle(time.Now()) {
			t.Error("a pace in use is idle")
		}
		capped.Close()
		capped.Close()
		began := time.Now()
		askMany(t, 200, free)
		if took := time.Since(began); took > 0 {
			t.Errorf("200 free requests took %s", took)
		}
		free.Close()
		if !pace.Idle(time.Now()) {
			t.Error("a pace without users is not idle")
		}
	})
}

// A kind's own limit holds from the first request on.
func TestPacePerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{}
		transport := connector.NewTransport(connector.TransportConfig{Base: s, Pace: connector.NewPace(connector.PaceConfig{PerSecond: 4})})
		began := time.Now()
		askMany(t, 90, transport)
		if took := time.Since(began); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("90 requests took %s, want 20 s: 10 at once, then 4 a second", took)
		}
	})
}

// Whoever is told to slow down, all do: the rate halves, once for all that was
// under way, and comes back slowly.
func TestPaceAdapts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{header: []string{"Retry-After", "1"}}
		s.status = func(n int) int {
			if n <= connector.DefaultConcurrent { // all that are under way
				return http.StatusTooManyRequests
			}
			return http.StatusOK
		}
		pace := connector.NewPace(connector.PaceConfig{PerSecond: 40})
		one := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
		two := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
		askMany(t, 8, one)
		s.mu.Lock()
		s.times = nil
		s.mu.Unlock()
		s.status = nil
		askMany(t, 400, two)
		if most := s.most(10 * time.Second); most < 190 || most > 260 {
			t.Errorf("%d requests in 10 s after the halving of 40 a second", most)
		}
		time.Sleep(3 * time.Minute) //nolint:forbidigo // the time of a bubble
		began := time.Now()
		askMany(t, 410, two)
		if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("after a while 410 requests take %s, want 10 s again", took)
		}
	})
}

// Servers that fail again and again have too much to do; there is a rate below
// which nobody is brought.
func TestPaceFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{status: func(int) int { return http.StatusBadGateway }}
		pace := connector.NewPace(connector.PaceConfig{PerSecond: 100})
		transport := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace, Tries: 1})
		askMany(t, 200, transport)
		s.mu.Lock()
		s.times = nil
		s.mu.Unlock()
		began := time.Now()
		askMany(t, 20, transport)
		if took := time.Since(began); took < 10*time.Second || took > 60*time.Second {
			t.Errorf("20 requests took %s", took)
		}
	})
}

// A source tells what its registry says in its own way.
func TestSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, pace := &busy{}, connector.NewPace(connector.PaceConfig{PerSecond: 10})
		one := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
		two := connector.NewTransport(connector.TransportConfig{Base: s, Pace: pace})
		one.Slow(7 * time.Second)
		began := time.Now()
		askMany(t, 1, two)
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("the next request of another went after %s", took)
		}
		if pace.Idle(time.Now()) {
			t.Error("idle while in use")
		}
	})
}

// Four requests at once are four for all who share the pace.
func TestPaceSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var active, most atomic.Int64
		base := wire(func(r *http.Request) (*http.Response, error) {
			n := active.Add(1)
			defer active.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				continue
			}
			time.Sleep(time.Second) //nolint:forbidigo // the time of a bubble
			return reply(r, http.StatusOK), nil
		})
		pace := connector.NewPace(connector.PaceConfig{})
		askMany(t, 40, connector.NewTransport(connector.TransportConfig{Base: base, Pace: pace}), connector.NewTransport(connector.TransportConfig{Base: base, Pace: pace}))
		if most.Load() != connector.DefaultConcurrent {
			t.Errorf("%d requests at once", most.Load())
		}
	})
}

// A wait for the pace that does not fit is told as such, takes no turn, and is
// long enough for some requests in a row.
func TestPaceDoesNotFit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{}
		transport := connector.NewTransport(connector.TransportConfig{Base: s, PerMinute: 20})
		askMany(t, 10, transport)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, err := transport.RoundTrip(request(t, http.MethodGet).WithContext(ctx))
			cancel()
			throttled, ok := errors.AsType[*connector.ThrottledError](err)
			if !ok || !throttled.Paced || throttled.Wait != time.Minute {
				t.Fatalf("%v: %+v", err, throttled)
			}
		}
		time.Sleep(time.Minute) //nolint:forbidigo // the time of a bubble
		began := time.Now()
		askMany(t, 10, transport)
		if took := time.Since(began); took > 0 {
			t.Errorf("10 requests after the wait took %s", took)
		}
		if s.count() != 20 {
			t.Errorf("%d requests", s.count())
		}
	})
}

// What is halved is how fast the registry was asked of late, not ever.
func TestPaceOfLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{}
		transport := connector.NewTransport(connector.TransportConfig{Base: s})
		for i := range 600 {
			n := 4 // each tenth of a second
			if i < 200 {
				n = 40
			}
			askMany(t, n, transport)
			time.Sleep(time.Second / 10) //nolint:forbidigo // the time of a bubble
		}
		complained := s.count() + 1
		s.status = func(n int) int {
			if n == complained {
				return http.StatusTooManyRequests
			}
			return http.StatusOK
		}
		askMany(t, 1, transport)
		s.mu.Lock()
		s.times = nil
		s.mu.Unlock()
		s.status = nil
		askMany(t, 400, transport)
		if most := s.most(10 * time.Second); most < 190 || most > 260 {
			t.Errorf("%d requests in 10 s after the halving of 40 a second", most)
		}
	})
}

// Who gives up while waiting takes neither a slot nor a turn away from others.
func TestPaceGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &busy{}
		transport := connector.NewTransport(connector.TransportConfig{Base: s, PerMinute: 20})
		askMany(t, 10, transport)
		for range 3 * connector.DefaultConcurrent {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			if _, err := transport.RoundTrip(request(t, http.MethodGet).WithContext(ctx)); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		began := time.Now()
		askMany(t, 1, transport)
		if took := time.Since(began); took > 6*time.Second || s.count() != 11 {
			t.Errorf("the next of %d requests went after %s, want 6 s at most", s.count(), took)
		}
	})
}
