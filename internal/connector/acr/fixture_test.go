package acr_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// noon is the time of every test.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const (
	keyID  = "LTAI5tReader0000000000"
	secret = "canary-7f3a-do-not-show"
)

// editions name the two products by their instance.
var editions = map[string]string{"enterprise": acrtest.Instance, "personal": ""}

// model has repositories of so many tags, each of an image of its own.
func model(instance string, counts map[string]int) acrtest.Model {
	m := acrtest.Model{
		Instance: instance, Keys: []acrtest.Key{{ID: keyID, Secret: secret}}, Logins: map[string]string{"sub@account": secret},
		Manifests: map[string]acrtest.Manifest{}, Now: func() time.Time { return noon },
	}
	for path, n := range counts {
		r := acrtest.Repository{Path: path}
		for i := range n {
			r.Tags = append(r.Tags, tagged(&m, fmt.Sprint(path, i), fmt.Sprintf("1.%d", i)))
		}
		m.Repositories = append(m.Repositories, r)
	}
	return m
}

// tagged makes a tag of a new image.
func tagged(m *acrtest.Model, seed, name string) acrtest.Tag {
	return pushed(m, connectortest.NewImage(seed), name)
}

func pushed(m *acrtest.Model, image connectortest.Image, name string) acrtest.Tag {
	m.Manifests[string(image.Digest)] = acrtest.Manifest{MediaType: image.MediaType, Body: image.Manifest}
	return acrtest.Tag{Name: name, Digest: string(image.Digest), Size: 4711, Created: noon.Add(-48 * time.Hour), Updated: noon.Add(-24 * time.Hour)}
}

// option changes how a source is opened.
type option func(*connector.Config)

func scope(prefixes ...string) option {
	return func(c *connector.Config) { c.Scope = prefixes }
}

func as(user, password string) option {
	return func(c *connector.Config) {
		c.Credential = portolan.Credential{UserName: user, Password: password}
	}
}

func at(host string) option {
	return func(c *connector.Config) { c.BaseURL = &url.URL{Scheme: "https", Host: host} }
}

func clock(now func() time.Time) option { return func(c *connector.Config) { c.Now = now } }

// open opens a source in front of a handler. It waits by a clock of its own.
func open(t testing.TB, h http.Handler, options ...option) connector.Source {
	t.Helper()
	return openOver(t, connectortest.Handler(h), options...)
}

func openOver(t testing.TB, base http.RoundTripper, options ...option) connector.Source {
	t.Helper()
	var mu sync.Mutex
	now := noon
	transport := connector.NewTransport(connector.TransportConfig{
		Base: base,
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return now
		},
		Sleep: func(ctx context.Context, d time.Duration) error {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(d)
			return ctx.Err()
		},
	})
	c := connector.Config{
		BaseURL: &url.URL{Scheme: "https", Host: acrtest.RegistryHost}, Credential: portolan.Credential{UserName: keyID, Password: secret},
		Client: &http.Client{Transport: transport}, Now: func() time.Time { return noon },
	}
	for _, o := range options {
		o(&c)
	}
	s, err := acr.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// images lists a repository; errors of rows are errors.
func images(t testing.TB, s connector.Source, l *connector.Listing) ([]connector.Row, error) {
	t.Helper()
	if l.Known == nil {
		l.Known = &connectortest.Memory{}
	}
	var rows []connector.Row
	for row, err := range s.Images(t.Context(), l) {
		if err == nil {
			err = row.Err
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func listing(path string) *connector.Listing {
	return &connector.Listing{Repository: connector.Repository{Path: path, Expect: -1}}
}

func paths(list []connector.Repository) []string {
	var names []string
	for _, r := range list {
		names = append(names, r.Path)
	}
	return names
}

// mustFail checks the class of an error and its words, and that it does not
// hold a secret.
func mustFail(t *testing.T, err error, class portolan.ErrorClass, words ...string) {
	t.Helper()
	if err == nil || connector.ClassOf(err) != class {
		t.Fatalf("error %v (%s), want class %s", err, connector.ClassOf(err), class)
	}
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	if e, ok := err.(*connector.Error); ok { //nolint:errorlint // the outermost alone is shown
		text += " " + e.Remedy
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.Contains(text, "canary") {
		t.Errorf("the error holds a secret: %s", text)
	}
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
