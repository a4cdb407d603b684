package oci_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	everybody := func(w http.ResponseWriter, r *http.Request) {
		if user, _, ok := r.BasicAuth(); ok && user != "reader" {
			problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
		if r.URL.Path == "/v2/_zot/ext/mgmt" {
			_, _ = fmt.Fprint(w, `{"distSpecVersion":"1.1.1","binaryType":"full","releaseTag":"v2.1.0"}`)
		}
	}
	tests := map[string]struct {
		handler    http.Handler
		credential portolan.Credential
		want       connector.Probe
		class      portolan.ErrorClass
	}{
		"distribution":     {&server{bearer: true}, connectortest.Credential, connector.Probe{Product: "distribution", Identity: "reader"}, ""},
		"open to all":      {http.HandlerFunc(everybody), portolan.Credential{}, connector.Probe{Product: "zot", Version: "2.1.0", Identity: "anonymous"}, ""},
		"not asked":        {http.HandlerFunc(everybody), connectortest.Credential, connector.Probe{Product: "zot", Version: "2.1.0", Identity: "anonymous", Warnings: []string{"r.example.com lets everybody in without asking for the user name and password; whether they are right cannot be told."}}, ""},
		"wrong, not asked": {http.HandlerFunc(everybody), portolan.Credential{UserName: "other", Password: "x"}, connector.Probe{}, portolan.BadCredentials},
		"no registry":      {http.NotFoundHandler(), portolan.Credential{}, connector.Probe{}, portolan.NotThisProduct},
		"web page": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
		}), portolan.Credential{}, connector.Probe{}, portolan.NotThisProduct},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := open(t, test.handler, func(c *connector.Config) { c.Credential = test.credential })
			for range 2 { // before and after
				got, err := r.Probe(t.Context())
				if test.class != "" {
					if connector.ClassOf(err) != test.class {
						t.Fatalf("got %v of class %s, want %s", err, connector.ClassOf(err), test.class)
					}
					continue
				}
				if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
			}
		})
	}
}

// TestProbeAnew: the second probe does not rest on the first one's token.
func TestProbeAnew(t *testing.T) {
	t.Parallel()
	disabled := false
	base := &server{bearer: true}
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if disabled && r.URL.Path == "/token" {
			problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
			return
		}
		base.ServeHTTP(w, r)
	}), nil)
	if _, err := r.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	disabled = true
	if _, err := r.Probe(t.Context()); connector.ClassOf(err) != portolan.BadCredentials {
		t.Errorf("a disabled account: %v of class %s", err, connector.ClassOf(err))
	}
}
