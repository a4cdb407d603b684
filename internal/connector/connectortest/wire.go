package connectortest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// roundTrip is a function as http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Handler answers requests by a handler, without a network.
func Handler(h http.Handler) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		body := io.Reader(http.NoBody)
		if r.Body != nil {
			defer func() { _ = r.Body.Close() }()
			body = r.Body
		}
		in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), body)
		in.Header = r.Header.Clone()
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, in)
		resp := recorder.Result()
		resp.Request = r
		if r.Method == http.MethodHead {
			resp.Body = http.NoBody
		}
		return resp, nil
	})
}

// answer makes a response.
func answer(r *http.Request, status int, contentType, body string) *http.Response {
	resp := &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewBufferString(body)),
	}
	if r.Method == http.MethodHead {
		resp.Body = http.NoBody
	}
	return resp
}

// rewrite changes the body of a response.
func rewrite(resp *http.Response, change func([]byte) []byte) *http.Response {
	body, _ := io.ReadAll(resp.Body)
	resp.Body = io.NopCloser(bytes.NewReader(change(body)))
	resp.ContentLength = -1
	return resp
}

// clock passes only while somebody sleeps.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now tells the time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep lets d pass at once.
func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return ctx.Err()
}
