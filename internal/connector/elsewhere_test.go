package connector_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector"
)

// What a redirect to another host leads to is believed only as far as it does
// not depend on who asks, and its challenge is nobody's to answer.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer     http.HandlerFunc
		credential portolan.Credential
		believed   bool
	}{
		"list for a reader":  {listed, portolan.Credential{UserName: "robot", Password: "canary"}, false},
		"list for anybody":   {listed, portolan.Credential{}, true},
		"token for a thief":  {stealing(`Bearer realm="/token"`), portolan.Credential{UserName: "robot", Password: "canary"}, false},
		"passwords, please":  {stealing(`Basic realm="x"`), portolan.Credential{UserName: "robot", Password: "canary"}, false},
		"a token of nothing": {stealing(`Bearer realm="/token"`), portolan.Credential{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != "" || strings.Contains(r.RequestURI, "token") {
					t.Errorf("%s with %q came to the other host", r.RequestURI, r.Header.Get("Authorization"))
				}
				test.answer(w, r)
			}))
			defer other.Close()
			registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.credential.Password != "" && r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				http.Redirect(w, r, other.URL+r.RequestURI, http.StatusTemporaryRedirect)
			}))
			defer registry.Close()
			base, err := url.Parse(registry.URL)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: registry.Client().Transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
				r.Header.Del("Authorization")
				return nil
			}}
			auth := connector.NewAuthenticator(connector.Config{BaseURL: base, Credential: test.credential, Client: client})
			var v any
			_, err = connector.GetJSON(t.Context(), auth.Catalog(), base.JoinPath("/v2/_catalog"), nil, connector.MaxList, &v)
			if test.believed {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if connector.ClassOf(err) != portolan.ServerFailure || !strings.Contains(err.Error(), "redirects to where") {
				t.Errorf("got %v, want a refused redirect", err)
			}
		})
	}
}

func listed(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"repositories":[]}`)) }

func stealing(challenge string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	}
}
