package connector_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
)

// Every try goes through the layer, also those that the transport makes of its
// own accord, and what the layer makes of an answer is what the transport sees.
func TestLayer(t *testing.T) {
	t.Parallel()
	var nonces []string
	base := connectortest.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nonces = append(nonces, r.Header.Get("Nonce"))
		if len(nonces) < 3 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	transport := connector.NewTransport(connector.TransportConfig{
		Base: base, Sleep: func(context.Context, time.Duration) error { return nil },
	})
	tries := 0
	ctx := connector.WithLayer(t.Context(), func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		tries++
		req = req.Clone(req.Context())
		req.Header.Set("Nonce", strconv.Itoa(tries))
		resp, err := next.RoundTrip(req)
		if err == nil && resp.StatusCode == http.StatusTeapot {
			resp.StatusCode = http.StatusBadGateway
		}
		return resp, err
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://registry.example.com/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK || len(nonces) != 3 || nonces[0] == nonces[1] {
		t.Errorf("%v, %v, nonces %q", resp, err, nonces)
	}
	if got := transport.Meter().Requests(); got != 3 {
		t.Errorf("%d requests were counted, want 3", got)
	}
}

func TestBearerChallenge(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][2]string{
		`Bearer realm="https://auth.example.com/token",service="registry"`: {"https://auth.example.com/token", "registry"},
		`Basic realm="x", Bearer realm="y", service=z`:                     {"y", "z"},
		`Basic realm="x"`: {},
		``:                {},
	} {
		realm, service := connector.BearerChallenge(http.Header{"Www-Authenticate": {header}})
		if got := [2]string{realm, service}; got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
}
