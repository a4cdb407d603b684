package oci_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/oci"
)

// nothing implements connector.Known and knows nothing.
type nothing struct{}

func (nothing) Facts(context.Context, []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	return nil, nil
}
func (nothing) Resolved(string) (portolan.Digest, bool) { return "", false }

// rig is a source in front of a handler, with a log of the requests.
type rig struct {
	connector.Source
	mu  sync.Mutex
	log []string
}

func (r *rig) requests(prefix string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(r.log), func(l string) bool { return !strings.HasPrefix(l, prefix) }))
}

type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func open(t *testing.T, h http.Handler, change func(*connector.Config)) *rig {
	t.Helper()
	r := &rig{}
	next := connectortest.Handler(h)
	config := connector.Config{
		BaseURL:    &url.URL{Scheme: "https", Host: "r.example.com"},
		Credential: connectortest.Credential,
		Client: &http.Client{Transport: wire(func(req *http.Request) (*http.Response, error) {
			r.mu.Lock()
			r.log = append(r.log, req.Method+" "+req.URL.RequestURI())
			r.mu.Unlock()
			return next.RoundTrip(req)
		})},
	}
	if change != nil {
		change(&config)
	}
	src, err := oci.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	r.Source = src
	return r
}

func mustParse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func images(t *testing.T, src connector.Source, path string, known connector.Known) (*connector.Listing, []connector.Row, error) {
	t.Helper()
	l := &connector.Listing{Repository: connector.Repository{Path: path}, Known: known}
	var rows []connector.Row
	for row, err := range src.Images(t.Context(), l) {
		if err != nil {
			return l, rows, err
		}
		rows = append(rows, row)
	}
	return l, rows, nil
}

func repositories(t *testing.T, src connector.Source) ([]string, error) {
	t.Helper()
	var paths []string
	for repository, err := range src.Repositories(t.Context(), "") {
		if err != nil {
			return paths, err
		}
		paths = append(paths, repository.Path)
	}
	return paths, nil
}

// TestRequests holds the source to its price: a cold reading of R
// repositories with T tags and D digests.
func TestRequests(t *testing.T) {
	t.Parallel()
	m, tags := &connectortest.Model{}, 0
	const count, digests = 200, 50
	for i := range count {
		path := fmt.Sprintf("team%d/app%03d", i%7, i)
		m.Add(path)
		for n := range i % 6 {
			m.Add(path, connectortest.NewImage(fmt.Sprint((i+n)%digests), fmt.Sprint("v", n)))
			tags++
		}
	}
	for _, bearer := range []bool{false, true} {
		r := open(t, &server{model: m, pageSize: 1000, bearer: bearer}, nil)
		if _, err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		for repository, err := range r.Repositories(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := images(t, r, repository.Path, nothing{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, most := r.requests(""), (count+tags)*105/100+digests; got > most {
			t.Errorf("bearer %v: %d requests for %d repositories, %d tags, %d digests; want at most %d", bearer, got, count, tags, digests, most)
		}
	}
}

// TestLegacy: distribution 2.8 ignores paging, sorts nothing and answers null
// for no tags; some refuse a large n.
func TestLegacy(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	var tags []string
	for i := range 1000 {
		tags = append(tags, fmt.Sprintf(`"v%d"`, (i*7)%1000))
	}
	image := connectortest.NewImage("a", "x")
	m.Add("a", image)
	base := &server{model: m, pageSize: 1000}
	refused := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := r.URL.Query().Get("n")
		switch {
		case r.URL.Path == "/v2/_catalog" && n == "1000":
			refused++
			problem(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID")
		case r.URL.Path == "/v2/b/tags/list" && n == "1000":
			refused++
			problem(w, http.StatusRequestEntityTooLarge, "TOO_MANY_TAGS_REQUESTED")
		case r.URL.Path == "/v2/b/tags/list":
			_, _ = fmt.Fprintf(w, `{"name":"b","tags":[%s]}`, strings.Join(tags, ","))
		case r.URL.Path == "/v2/c/tags/list":
			_, _ = fmt.Fprint(w, `{"name":"c","tags":null}`)
		case strings.HasPrefix(r.URL.Path, "/v2/b/manifests/"):
			w.Header().Set("Docker-Content-Digest", string(image.Digest))
			_, _ = w.Write(image.Manifest)
		default:
			base.ServeHTTP(w, r)
		}
	})
	r := open(t, h, nil)
	if paths, err := repositories(t, r); err != nil || !slices.Equal(paths, []string{"a"}) {
		t.Errorf("catalogue %v, %v", paths, err)
	}
	l, rows, err := images(t, r, "b", nothing{})
	if err != nil || len(rows) != 1000 || l.Listed != 1000 || l.ManifestsRead != 1 {
		t.Errorf("%d rows, %d listed, %d manifests, %v", len(rows), l.Listed, l.ManifestsRead, err)
	}
	if l, rows, err := images(t, r, "c", nothing{}); err != nil || len(rows) != 0 || l.Announced != -1 {
		t.Errorf("null: %v, %v", rows, err)
	}
	if _, err := repositories(t, r); err != nil || refused != 2 {
		t.Errorf("the page size was refused %d times, want once for each list: %v", refused, err)
	}
}

// TestHeadless: where HEAD does not tell, GET does, and once for a tag.
func TestHeadless(t *testing.T) {
	t.Parallel()
	const count = 40
	for name, spoil := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"not allowed": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodHead {
				problem(w, http.StatusMethodNotAllowed, "UNSUPPORTED")
			}
			return r.Method == http.MethodHead
		},
		"no header": func(http.ResponseWriter, *http.Request) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &connectortest.Model{}
			one, two := connectortest.NewImage("one"), connectortest.NewImage("two", "2")
			for i := range count - 1 {
				one.Tags = append(one.Tags, fmt.Sprint("one-", i))
			}
			m.Add("a", one, two)
			base := &server{model: m, pageSize: 100}
			r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, "/manifests/") && spoil(w, r) {
					return
				}
				base.ServeHTTP(hiding{w}, r)
			}), nil)
			_, rows, err := images(t, r, "a", nothing{})
			if err != nil || len(rows) != count {
				t.Fatalf("%d rows, %v", len(rows), err)
			}
			for _, row := range rows {
				want := one.Digest
				if row.Tags[0].Name == "2" {
					want = two.Digest
				}
				if row.Digest != want || row.Kind != portolan.KindImage || row.Err != nil {
					t.Errorf("got %+v, want digest %s", row, want)
				}
			}
			if got := r.requests("GET /v2/a/manifests/"); got != count {
				t.Errorf("%d manifests were fetched for %d tags", got, count)
			}
			if got := r.requests("HEAD"); got > 4 { // those that were under way when the first came back
				t.Errorf("HEAD was tried %d times", got)
			}
		})
	}
}

// hiding answers no digest header.
type hiding struct{ http.ResponseWriter }

func (h hiding) WriteHeader(status int) {
	h.Header().Del("Docker-Content-Digest")
	h.ResponseWriter.WriteHeader(status)
}

func (h hiding) Write(b []byte) (int, error) {
	h.Header().Del("Docker-Content-Digest")
	return h.ResponseWriter.Write(b)
}

// TestGone: a tag that is deleted while the repository is read is no row; one
// that stays listed without a manifest is a failed one.
func TestGone(t *testing.T) {
	t.Parallel()
	for name, listed := range map[string]bool{"deleted": false, "dangling": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &connectortest.Model{}
			m.Add("a", connectortest.NewImage("a", "1"))
			base := &server{model: m, pageSize: 100}
			lists := 0
			r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/tags/list") {
					if lists++; lists == 1 || listed {
						_, _ = fmt.Fprint(w, `{"name":"a","tags":["1","gone"]}`)
						return
					}
				}
				base.ServeHTTP(w, r)
			}), nil)
			l, rows, err := images(t, r, "a", nothing{})
			if err != nil {
				t.Fatal(err)
			}
			failed := slices.ContainsFunc(rows, func(row connector.Row) bool { return row.Err != nil })
			if l.Listed != len(rows) || failed != listed || len(rows) != 1+lists-1 && listed {
				t.Errorf("%d listed, rows %+v", l.Listed, rows)
			}
		})
	}
}

// TestForged: a manifest that is not what its digest says fails its row.
func TestForged(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	m.Add("a", connectortest.NewImage("a", "1"), connectortest.NewImage("b", "2"))
	base := &server{model: m, pageSize: 100}
	forged := connectortest.NewImage("forged")
	forgedFor := string(connectortest.NewImage("b").Digest)
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, forgedFor) {
			_, _ = w.Write(forged.Manifest)
			return
		}
		base.ServeHTTP(w, r)
	}), nil)
	l, rows, err := images(t, r, "a", nothing{})
	if err != nil || len(rows) != 2 || l.Listed != 2 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if failed := errors.Is(row.Err, connector.ErrManifest); failed != (row.Tags[0].Name == "2") {
			t.Errorf("%v: %v", row.Tags, row.Err)
		}
	}
}

// TestManyFailures: a repository of which nothing can be read is given up.
func TestManyFailures(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	for i := range 100 {
		m.Add("a", connectortest.NewImage(fmt.Sprint(i), fmt.Sprint("v", i)))
	}
	base := &server{model: m, pageSize: 100}
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			problem(w, http.StatusNotFound, "OTHER")
			return
		}
		base.ServeHTTP(w, r)
	}), nil)
	_, rows, err := images(t, r, "a", nothing{})
	if err == nil || errors.Is(err, connector.ErrNotExist) || len(rows) != 17 {
		t.Errorf("%d rows, then %v; want 17 and an error that does not deny the repository", len(rows), err)
	}
}

// TestResumeGone: a catalogue that knows no place after a repository that is
// gone is read from its start.
func TestResumeGone(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	m.Add("a")
	m.Add("b")
	base := &server{model: m, pageSize: 100}
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("last") != "" {
			problem(w, http.StatusBadRequest, "PAGINATION_NUMBER_INVALID")
			return
		}
		base.ServeHTTP(w, r)
	}), nil)
	var paths []string
	for repository, err := range r.Repositories(t.Context(), "aa") {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, repository.Path)
	}
	if !slices.Contains(paths, "b") {
		t.Errorf("resumed after a repository that is gone: %v", paths)
	}
}

// TestAccessoryTag: what has only an accessory tag is not fetched; with a
// normal tag besides, it is judged by its manifest.
func TestAccessoryTag(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	app := connectortest.NewImage("app", "1")
	signature := connectortest.NewSignature(app.Digest)
	both := connectortest.NewImage("both", "2", strings.Replace(string(app.Digest), ":", "-", 1)+".att")
	m.Add("a", app, signature, both)
	r := open(t, &server{model: m, pageSize: 100}, nil)
	l, rows, err := images(t, r, "a", nothing{})
	if err != nil || l.Listed != 4 {
		t.Fatalf("%d listed, %v", l.Listed, err)
	}
	for _, row := range rows {
		if got, want := row.Complete(), row.Digest != signature.Digest; got != want {
			t.Errorf("%v: facts %+v", row.Tags, row.Facts)
		}
	}
	if got := r.requests("GET /v2/a/manifests/"); got != 2 {
		t.Errorf("%d manifests fetched, want 2", got)
	}
}

// TestScopeWithoutCatalogue reads what the scope names.
func TestScopeWithoutCatalogue(t *testing.T) {
	t.Parallel()
	for _, status := range []int{404, 405, 401, 403} {
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { problem(w, status, "UNSUPPORTED") })
		r := open(t, h, func(c *connector.Config) { c.Scope = []string{"team/b", "/team/a/", "team/b"} })
		paths, err := repositories(t, r)
		if diff := cmp.Diff([]string{"team/a", "team/b"}, paths); err != nil || diff != "" {
			t.Errorf("%d: %v %s", status, err, diff)
		}
		_, err = repositories(t, open(t, h, nil))
		if connector.ClassOf(err) != portolan.CannotEnumerate {
			t.Errorf("%d without a scope: %v of class %s", status, err, connector.ClassOf(err))
		}
	}
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { problem(w, 500, "UNKNOWN") }), func(c *connector.Config) { c.Scope = []string{"a"} })
	if paths, err := repositories(t, r); connector.ClassOf(err) != portolan.ServerFailure {
		t.Errorf("a failing catalogue was replaced by %v: %v", paths, err)
	}
}

// TestCatalogueBreaks: a catalogue that had begun is not replaced.
func TestCatalogueBreaks(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	for _, path := range []string{"team/a", "team/b", "team/c"} {
		m.Add(path)
	}
	base := &server{model: m, pageSize: 2}
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("last") != "" {
			problem(w, http.StatusNotFound, "UNSUPPORTED")
			return
		}
		base.ServeHTTP(w, r)
	}), func(c *connector.Config) { c.Scope = []string{"team"} })
	if paths, err := repositories(t, r); err == nil {
		t.Errorf("half a catalogue is whole: %v", paths)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	for _, path := range []string{"team/a", "team/a/b", "team/ab", "other"} {
		m.Add(path)
	}
	r := open(t, &server{model: m, pageSize: 2}, func(c *connector.Config) { c.Scope = []string{"team/a"} })
	paths, err := repositories(t, r)
	if diff := cmp.Diff([]string{"team/a", "team/a/b"}, paths); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestRefreshMidway: tokens that end early are replaced without a loss.
func TestRefreshMidway(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	for i := range 40 {
		m.Add("a", connectortest.NewImage(fmt.Sprint(i), fmt.Sprint("v", i)))
	}
	base, n := &server{model: m, pageSize: 10, bearer: true}, 0
	var mu sync.Mutex
	r := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		if n%17 == 0 {
			base.revoke()
		}
		mu.Unlock()
		base.ServeHTTP(w, r)
	}), nil)
	l, rows, err := images(t, r, "a", nothing{})
	if err != nil || len(rows) != 40 || l.Listed != 40 {
		t.Errorf("%d rows, %d listed, %v", len(rows), l.Listed, err)
	}
}
