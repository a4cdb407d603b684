package connector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector"
)

// guardError is as the guard that dials makes them.
type guardError struct{}

func (guardError) Error() string                   { return "10.0.0.1 is a private address" }
func (guardError) ErrorClass() portolan.ErrorClass { return portolan.AddressForbidden }

func TestSendClasses(t *testing.T) {
	t.Parallel()
	const hidden = "hidden-secret"
	respond := func(status int, body string) wire {
		return func(r *http.Request) (*http.Response, error) {
			resp := reply(r, status, "Content-Type", "application/json")
			resp.Body = io.NopCloser(strings.NewReader(body))
			return resp, nil
		}
	}
	fail := func(err error) wire { return func(*http.Request) (*http.Response, error) { return nil, err } }
	tests := map[string]struct {
		wire   wire
		scheme string
		class  portolan.ErrorClass
		text   string
	}{
		"401":              {respond(401, hidden), "https", portolan.BadCredentials, "User name or password not accepted by r.example.com."},
		"403":              {respond(403, hidden), "https", portolan.Forbidden, "r.example.com refuses this to the account in use."},
		"denied":           {respond(400, `{"errors":[{"code":"DENIED"}]}`), "https", portolan.Forbidden, "r.example.com refuses this"},
		"404":              {respond(404, hidden), "https", portolan.ServerFailure, "r.example.com does not know"},
		"500":              {respond(500, hidden), "https", portolan.ServerFailure, "r.example.com failed (status 500)."},
		"520":              {respond(520, hidden), "https", portolan.ServerFailure, "r.example.com failed (status 520)."},
		"redirect":         {respond(304, hidden), "https", portolan.ServerFailure, "redirects"},
		"HTTP to HTTPS":    {respond(400, "Client sent an HTTP request to an HTTPS server.\n"), "http", portolan.TLSFailure, "speaks HTTPS"},
		"nginx's":          {respond(400, "<h1>The plain HTTP request was sent to HTTPS port</h1>"), "http", portolan.TLSFailure, "speaks HTTPS"},
		"not JSON":         {respond(200, hidden), "https", portolan.ServerFailure, "not complete JSON"},
		"wrong JSON":       {respond(200, `{"list":"`+hidden+`"}`), "https", portolan.ServerFailure, "string where slice was expected"},
		"number":           {respond(200, `{"list":123456}`), "https", portolan.ServerFailure, "(number where slice was expected)"},
		"cut off":          {fail(io.EOF), "https", portolan.ConnectFailure, "cut off"},
		"already known":    {fail(fmt.Errorf("dialling: %w", guardError{})), "https", portolan.AddressForbidden, "10.0.0.1 is a private address"},
		"something else":   {fail(errors.New("boom")), "https", portolan.ConnectFailure, "cut off"},
		"not even a media": {respond(200, ""), "https", portolan.ServerFailure, "not complete JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := &url.URL{Scheme: test.scheme, Host: "r.example.com", Path: "/v2/", RawQuery: "q=" + hidden}
			client := &http.Client{Transport: test.wire, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			var v struct{ List []string }
			_, err := connector.GetJSON(t.Context(), client, u, nil, connector.MaxList, &v)
			if err == nil || connector.ClassOf(err) != test.class || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v of class %s, want %q of class %s", err, connector.ClassOf(err), test.text, test.class)
			}
			if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, hidden) {
				t.Errorf("%q shows what is hidden", text)
			}
			if _, ok := errors.AsType[*url.Error](err); ok {
				t.Errorf("%v keeps the address", err)
			}
			if errors.Is(err, connector.ErrNotExist) != (name == "404") {
				t.Errorf("%v is ErrNotExist: %v", err, errors.Is(err, connector.ErrNotExist))
			}
		})
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]portolan.ErrorClass{
		guardError{}:       portolan.AddressForbidden,
		errors.New("boom"): portolan.ServerFailure,
		connector.Errorf(portolan.Forbidden, "no: %w", guardError{}): portolan.Forbidden,
	} {
		if got := connector.ClassOf(fmt.Errorf("reading: %w", err)); got != want {
			t.Errorf("%v is of class %s, want %s", err, got, want)
		}
	}
}

func TestSendPassesOn(t *testing.T) {
	t.Parallel()
	u := &url.URL{Scheme: "https", Host: "r.example.com"}
	for _, want := range []error{context.Canceled, context.DeadlineExceeded, &connector.ThrottledError{Wait: 5}} {
		client := &http.Client{Transport: wire(func(*http.Request) (*http.Response, error) { return nil, want })}
		if _, err := connector.Send(t.Context(), client, http.MethodGet, u, nil); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	client := &http.Client{Transport: wire(func(r *http.Request) (*http.Response, error) {
		resp := reply(r, 404)
		resp.Body = io.NopCloser(strings.NewReader(`{"errors":[{"code":"MANIFEST_UNKNOWN"},{"code":"a password"}]}`))
		return resp, nil
	})}
	_, err := connector.Send(t.Context(), client, http.MethodGet, &url.URL{Scheme: "https", Host: "r.example.com"}, nil)
	status, ok := errors.AsType[*connector.StatusError](err)
	if !ok || !status.Has("MANIFEST_UNKNOWN") || status.Has("a password") || status.Status != 404 {
		t.Errorf("got %#v", status)
	}
}

// TestCaps: what is too large is refused by its decompressed size.
func TestCaps(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 1<<20))
	_ = z.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	}))
	defer server.Close()
	u, _ := url.Parse(server.URL)
	var v any
	_, err := connector.GetJSON(t.Context(), server.Client(), u, nil, 1<<19, &v)
	if err == nil || !strings.Contains(err.Error(), "at once") {
		t.Errorf("%d bytes that unfold to 1 MiB were read: %v", bomb.Len(), err)
	}
}

// TestEndless: no more is read than may be.
func TestEndless(t *testing.T) {
	t.Parallel()
	const limit = 1 << 16
	transport := connector.NewTransport(connector.TransportConfig{Base: wire(func(r *http.Request) (*http.Response, error) {
		resp := reply(r, 200)
		resp.Body = io.NopCloser(io.LimitReader(zeros{}, 1<<24))
		return resp, nil
	})})
	u := &url.URL{Scheme: "https", Host: "r.example.com"}
	_, _, err := connector.Get(t.Context(), &http.Client{Transport: transport}, u, nil, limit)
	if err == nil || transport.Meter().BytesRead() > limit+1 {
		t.Errorf("%d bytes were read, %v", transport.Meter().BytesRead(), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
