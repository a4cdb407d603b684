package quay_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay"
	"portolan/internal/connector/quay/quaytest"
)

const (
	secret   = "canary-9d2c-do-not-show"
	ociImage = "application/vnd.oci.image.manifest.v1+json"
	ociIndex = "application/vnd.oci.image.index.v1+json"
)

// clock is a time that passes when it is told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// reader is a token that may read everything of acme.
func reader() quaytest.Token {
	return quaytest.Token{Secret: secret, Scopes: []string{"repo:read"}, Admin: []string{"acme"}}
}

func tokens(list ...string) portolan.Credential {
	c := portolan.Credential{AuthTokens: map[string]string{}}
	for _, name := range list {
		c.AuthTokens[name] = secret
	}
	return c
}

// imageOf is the manifest of an image that differs by the seed.
func imageOf(seed string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":7},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":100}]}`,
		ociImage, quaytest.Digest("config "+seed), quaytest.Digest("layer "+seed))
}

// model has repositories of so many tags in acme and others; all tags of a
// repository name the same image.
func model(counts map[string]int) quaytest.Model {
	m := quaytest.Model{Now: newClock().Now, Tokens: []quaytest.Token{reader()}}
	for _, path := range slices.Sorted(maps.Keys(counts)) {
		namespace, name, _ := strings.Cut(path, "/")
		if len(m.Namespaces) == 0 || m.Namespaces[len(m.Namespaces)-1].Name != namespace {
			m.Namespaces = append(m.Namespaces, quaytest.Namespace{Name: namespace})
		}
		n := &m.Namespaces[len(m.Namespaces)-1]
		n.Repositories = append(n.Repositories, repositoryOf(name, counts[path]))
	}
	return m
}

func repositoryOf(name string, tags int) quaytest.Repository {
	data := imageOf(name)
	r := quaytest.Repository{Name: name, Manifests: map[string]quaytest.Manifest{quaytest.Digest(data): {MediaType: ociImage, Data: data}}}
	for i := range tags {
		r.Tags = append(r.Tags, quaytest.Tag{Name: fmt.Sprintf("v%06d", i), Digest: quaytest.Digest(data)})
	}
	return r
}

// open opens a source of a handler. Nothing is sent twice, so that requests
// can be counted; a cookie jar is handed in to show that it is not used.
func open(t testing.TB, h http.Handler, credential portolan.Credential, scope ...string) connector.Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	if client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	s, err := quay.Open(connector.Config{BaseURL: base, Credential: credential, Scope: scope, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func images(ctx context.Context, s connector.Source, path string, known *connectortest.Memory) ([]connector.Row, *connector.Listing, error) {
	l := &connector.Listing{Repository: connector.Repository{Path: path}, Known: known}
	var rows []connector.Row
	for row, err := range s.Images(ctx, l) {
		if err != nil {
			return rows, l, err
		}
		known.Learn(row)
		rows = append(rows, row)
	}
	return rows, l, nil
}

func paths(list []connector.Repository) []string {
	names := []string{}
	for _, r := range list {
		names = append(names, r.Path)
	}
	return names
}

// mustFail checks the class of an error and the words of its message and
// remedy, and that it does not hold the secret.
func mustFail(t *testing.T, err error, class portolan.ErrorClass, words ...string) {
	t.Helper()
	if err == nil || connector.ClassOf(err) != class {
		t.Fatalf("error %v (%s), want class %s", err, connector.ClassOf(err), class)
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	if strings.Contains(text, secret) {
		t.Errorf("the error holds the secret: %v", err)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
}

// openPatient opens a source whose requests wait by the clock.
func openPatient(t testing.TB, h http.Handler, now *clock) (connector.Source, *connector.Transport) {
	t.Helper()
	transport := connector.NewTransport(connector.TransportConfig{
		Base: connectortest.Handler(h), Now: now.Now,
		Sleep:  func(ctx context.Context, d time.Duration) error { now.pass(d); return ctx.Err() },
		Jitter: func(d time.Duration) time.Duration { return d },
	})
	s, err := quay.Open(connector.Config{
		BaseURL: &url.URL{Scheme: "https", Host: "quay.example.com"}, Credential: tokens("acme"), Client: &http.Client{Transport: transport},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, transport
}
