package connectortest

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"portolan/internal/connector"
)

// fault is a way in which a request goes wrong.
type fault func(*http.Request, http.RoundTripper) (*http.Response, error)

// faults are those that must never make a reading incomplete without an
// error. Each tells the secret where a source could be careless.
var faults = map[string]fault{
	"server failure": status(http.StatusInternalServerError),
	"unavailable":    status(http.StatusBadGateway),
	"forbidden":      status(http.StatusForbidden),
	"unauthorized":   status(http.StatusUnauthorized),
	"not found":      status(http.StatusNotFound),
	"redirect": func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		resp := answer(r, http.StatusFound, "text/plain", secret)
		resp.Header.Set("Location", "https://elsewhere.example.com/?password="+secret)
		return resp, nil
	},
	"html": func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return answer(r, http.StatusOK, "text/html; charset=utf-8", "<html>log in, "+secret+"</html>"), nil
	},
	"wrong json": func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return answer(r, http.StatusOK, "application/json", `"`+secret+`"`), nil
	},
	"other json": func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		return answer(r, http.StatusOK, "application/json", `{"errors":[{"code":"`+secret+`"}]}`), nil
	},
	"half": func(r *http.Request, next http.RoundTripper) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		return rewrite(resp, func(b []byte) []byte { return b[:len(b)/2] }), nil
	},
	"cut off": func(*http.Request, http.RoundTripper) (*http.Response, error) {
		return nil, syscall.ECONNRESET
	},
}

func status(code int) fault {
	return func(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
		body := `{"errors":[{"code":"` + secret + `","message":"` + secret + r.Header.Get("Authorization") + `"}]}`
		return answer(r, code, "application/json", body), nil
	}
}

// testThrottled slows every request of a reading down once.
func (s Suite) testThrottled(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"with Retry-After": "2", "without": ""} {
		s.atEach(t, func(t *testing.T, n int) {
			r := s.newRig(t, Credential)
			r.bend = func(i int, req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if i != n {
					return next.RoundTrip(req)
				}
				resp := answer(req, http.StatusTooManyRequests, "text/plain", "")
				if header != "" {
					resp.Header.Set("Retry-After", header)
				}
				return resp, nil
			}
			r.mustBe(r.read(t.Context()), r.model.lines())
			if r.transport.Meter().Throttled() <= 0 {
				t.Fatalf("%s, request %d: no waiting was counted", name, n)
			}
		})
	}
}

func hourLong(r *http.Request, _ http.RoundTripper) (*http.Response, error) {
	resp := answer(r, http.StatusTooManyRequests, "text/plain", "")
	resp.Header.Set("Retry-After", strconv.Itoa(int(time.Hour.Seconds())))
	return resp, nil
}

// testLongWait asks for an hour: that is the engine's to plan.
func (s Suite) testLongWait(t *testing.T) {
	t.Parallel()
	s.atEach(t, func(t *testing.T, n int) {
		r := s.newRig(t, Credential)
		r.bend = always(n, hourLong) //nolint:bodyclose // the transport closes what it does not hand on
		got := r.read(t.Context())
		r.mustNotLie("long wait", got, r.model.lines())
		throttled, ok := errors.AsType[*connector.ThrottledError](got.err())
		if len(got.errs) > 0 && (!ok || throttled.Wait != time.Hour) {
			t.Fatalf("request %d: got %v, want a wait of an hour", n, got.err())
		}
	})
}

// testForeignLink lets every Link lead to another host, which is never asked.
func (s Suite) testForeignLink(t *testing.T) {
	t.Parallel()
	s.testLink(t, func(r *http.Request) string {
		return "<https://elsewhere.example.com" + r.URL.RequestURI() + `>; rel="next"`
	})
}

// testCircularLink lets every Link lead back to its own page.
func (s Suite) testCircularLink(t *testing.T) {
	t.Parallel()
	s.testLink(t, func(r *http.Request) string { return "<" + r.URL.RequestURI() + `>; rel="next"` })
}

func (s Suite) testLink(t *testing.T, link func(*http.Request) string) {
	r := s.newRig(t, Credential)
	r.bend = func(_ int, req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if strings.HasPrefix(req.URL.Host, "elsewhere") {
			t.Errorf("%s was asked", req.URL.Host)
		}
		resp, err := next.RoundTrip(req)
		if err == nil && resp.Header.Get("Link") != "" {
			resp.Header.Set("Link", link(req))
		}
		return resp, err
	}
	got := r.read(t.Context())
	if !errors.Is(got.err(), connector.ErrTruncated) {
		t.Fatalf("got %v, want ErrTruncated", got.err())
	}
	r.mustNotLie("link", got, r.model.lines())
}
