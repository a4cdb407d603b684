// Package distribution reads the reference registry, distribution 3, as it
// runs in earnest: with token authentication, over a network.
package distribution

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/auth/token"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/sirupsen/logrus"
)

const (
	issuer  = "test issuer"
	service = "test registry"
	keyID   = "test key"

	reader   = "reader"
	password = "read-it"
	pusher   = "pusher"
	// hidden is a repository that the reader may not read.
	hidden = "hidden/app"
)

// registry is distribution with its token server.
type registry struct {
	*testing.T
	url    string
	client *http.Client
	signer jose.Signer

	mu       sync.Mutex
	requests []string
	// oneScope makes the token server take one scope at a time.
	oneScope bool
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{T: t}
	auth := httptest.NewServer(http.HandlerFunc(r.serveToken))
	t.Cleanup(auth.Close)
	config := &configuration.Configuration{Version: "0.1"}
	config.Storage = configuration.Storage{"inmemory": nil, "delete": {"enabled": true}}
	config.Auth = configuration.Auth{"token": {
		"realm": auth.URL + "/token", "issuer": issuer, "service": service,
		"jwks": r.makeKeys(), "signingalgorithms": []any{"ES256"},
	}}
	config.HTTP.Secret = "for uploads only"
	config.Catalog.MaxEntries = 100
	config.Log.Level = "panic"
	logrus.SetOutput(io.Discard)
	app := handlers.NewApp(t.Context(), config)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.note(req)
		app.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.url, r.client = server.URL, server.Client()
	return r
}

// makeKeys makes the key that signs tokens and answers the file by which the
// registry trusts it.
func (r *registry) makeKeys() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.Fatal(err)
	}
	r.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: keyID}}, nil)
	if err != nil {
		r.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: keyID}}})
	if err != nil {
		r.Fatal(err)
	}
	path := filepath.Join(r.TempDir(), "jwks.json")
	if err := os.WriteFile(path, set, 0o600); err != nil {
		r.Fatal(err)
	}
	return path
}

func (r *registry) serveToken(w http.ResponseWriter, req *http.Request) {
	r.note(req)
	user, secret, _ := req.BasicAuth()
	scopes := req.URL.Query()["scope"]
	if secret != password || user != reader && user != pusher {
		http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
		return
	}
	if r.oneScope && len(scopes) > 1 {
		http.Error(w, `{"errors":[{"code":"UNSUPPORTED"}]}`, http.StatusBadRequest)
		return
	}
	text, err := jwt.Signed(r.signer).Claims(r.claims(user, scopes)).Serialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, text)
}

func (r *registry) claims(user string, scopes []string) token.ClaimSet {
	claims := token.ClaimSet{
		Issuer: issuer, Subject: user, Audience: token.AudienceList{service},
		NotBefore: time.Now().Add(-time.Minute).Unix(), Expiration: time.Now().Add(5 * time.Minute).Unix(),
	}
	for _, scope := range scopes {
		parts := strings.Split(scope, ":")
		if len(parts) != 3 || user == reader && parts[1] == hidden {
			continue
		}
		actions := strings.Split(parts[2], ",")
		if user == reader && parts[0] == "repository" {
			actions = slices.DeleteFunc(actions, func(a string) bool { return a != "pull" })
		}
		claims.Access = append(claims.Access, &token.ResourceActions{Type: parts[0], Name: parts[1], Actions: actions})
	}
	return claims
}

func (r *registry) note(req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
}

// takeRequests answers the requests since the last call.
func (r *registry) takeRequests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}

// push sends what a client sends: its blobs, then the manifest.
func (r *registry) push(repository, reference string, m manifest) {
	r.Helper()
	for _, blob := range m.blobs {
		location := r.send(http.MethodPost, r.url+"/v2/"+repository+"/blobs/uploads/", repository, "", nil, http.StatusAccepted).Get("Location")
		r.send(http.MethodPut, location+"&digest="+string(digest(blob)), repository, "application/octet-stream", blob, http.StatusCreated)
	}
	r.send(http.MethodPut, r.url+"/v2/"+repository+"/manifests/"+reference, repository, m.mediaType, m.body, http.StatusCreated)
}

func (r *registry) send(method, url, repository, contentType string, body []byte, want int) http.Header {
	r.Helper()
	text, err := jwt.Signed(r.signer).Claims(r.claims(pusher, []string{"repository:" + repository + ":pull,push,delete"})).Serialize()
	if err != nil {
		r.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.Context(), method, url, strings.NewReader(string(body)))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+text)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		text, _ := io.ReadAll(resp.Body)
		r.Fatalf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return resp.Header
}
