package quay_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay"
	"portolan/internal/connector/quay/quaytest"
)

// openDirect opens a source of a handler without a network.
func openDirect(t testing.TB, h http.Handler) connector.Source {
	t.Helper()
	c := directly(h)
	c.Client.Jar, _ = cookiejar.New(nil) // handed in to show that it is not used
	s, err := quay.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func directly(h http.Handler) connector.Config {
	return connector.Config{
		BaseURL: &url.URL{Scheme: "https", Host: "quay.example.com"}, Credential: tokens("acme"),
		Client: &http.Client{Transport: connectortest.Handler(h)},
	}
}

// openAnswering opens a source of a server that answers everything with body.
func openAnswering(t testing.TB, body string) connector.Source {
	t.Helper()
	return openDirect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		recorder := w.(*httptest.ResponseRecorder)
		_, _ = recorder.WriteString(body)
	}))
}

// Every page begins with a row of the one before, and pages are nearly full.
func TestCovering(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 5, 100} {
		last, pages := 0, 0
		for last < 100_000 && pages < 200_000 {
			limit, number := quay.Covering(last, size)
			from, end := limit*(number-1), limit*number
			if limit < 1 || limit > size || from > last || end <= last && size > 1 {
				t.Fatalf("row %d is not in the page of %d rows from %d", last, limit, from)
			}
			if last = end - 1; size == 1 {
				break
			}
			pages++
		}
		if size == 100 && pages > 1_200 {
			t.Errorf("%d pages", pages)
		}
	}
}

// A long list is read to its end, whatever happens to it meanwhile: what was
// there all the time is found.
func TestLongListMoves(t *testing.T) {
	t.Parallel()
	const tags = 1_234
	name := func(i int) string { return fmt.Sprintf("v%06d", i) }
	for what, change := range map[string]func(m *quaytest.Model, n int, lost map[string]bool){
		"nothing": func(*quaytest.Model, int, map[string]bool) {},
		"push": func(m *quaytest.Model, n int, _ map[string]bool) {
			m.Push("acme/many", fmt.Sprint("new", n), ociImage, imageOf("n"))
		},
		"deletion of the newest": func(m *quaytest.Model, n int, lost map[string]bool) {
			lost[name(tags-n)] = true
			m.DeleteTag("acme/many", name(tags-n))
		},
		"deletion of the oldest": func(m *quaytest.Model, n int, lost map[string]bool) {
			lost[name(n)] = true
			m.DeleteTag("acme/many", name(n))
		},
		"many deletions": func(m *quaytest.Model, n int, lost map[string]bool) {
			for i := tags - 120*n; n < 6 && i < tags-120*(n-1); i++ {
				lost[name(i)] = true
				m.DeleteTag("acme/many", name(i))
			}
		},
		"move of the oldest": func(m *quaytest.Model, n int, _ map[string]bool) {
			m.Push("acme/many", name(n), ociImage, imageOf("n"))
		},
		"move of many": func(m *quaytest.Model, n int, _ map[string]bool) { move(m, name, 150*(n%8), 150*(n%8+1), n < 9) },
		"push and deletion": func(m *quaytest.Model, n int, lost map[string]bool) {
			lost[name(tags-n)] = true
			m.Push("acme/many", fmt.Sprint("new", n), ociImage, imageOf("n"))
			m.DeleteTag("acme/many", name(tags-n))
		},
		"all but a few deleted":  func(m *quaytest.Model, n int, lost map[string]bool) { deleteAll(m, name, n == 6, lost) },
		"everything is deleted":  func(m *quaytest.Model, n int, lost map[string]bool) { deleteAll(m, name, n == 9, lost) },
		"a new tag is untouched": func(m *quaytest.Model, n int, lost map[string]bool) { deleteAll(m, name, n == 2, lost) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			now := newClock()
			m := model(map[string]int{"acme/many": tags})
			m.Now = now.Now
			m.Find("acme/many").Manifests[quaytest.Digest(imageOf("n"))] = quaytest.Manifest{MediaType: ociImage, Data: imageOf("n")}
			fake := quaytest.New(m)
			known := &connectortest.Memory{}
			warm(t, known, "many", "n")
			lost := map[string]bool{}
			fake.Before(func(n int, r *http.Request) {
				now.pass(time.Second)
				if n > 1 && n < 30 {
					fake.Update(func(m *quaytest.Model) { change(m, n-1, lost) })
				}
			})
			rows, l, err := images(t.Context(), openDirect(t, fake), "acme/many", known)
			if err != nil {
				t.Fatalf("after %d requests: %v", len(fake.Requests()), err)
			}
			found := map[string]bool{}
			for _, row := range rows {
				if found[row.Tags[0].Name] {
					t.Errorf("%s came twice", row.Tags[0].Name)
				}
				found[row.Tags[0].Name] = row.Err == nil
			}
			for i := range tags {
				if !found[name(i)] && !lost[name(i)] {
					t.Errorf("%s was there all the time and is missing", name(i))
				}
			}
			if l.Listed != len(rows) {
				t.Errorf("%d listed, %d rows", l.Listed, len(rows))
			}
		})
	}
}

func move(m *quaytest.Model, name func(int) string, from, to int, now bool) {
	for i := from; now && i < to; i++ {
		m.Push("acme/many", name(i), ociImage, imageOf("n"))
	}
}

// deleteAll deletes nearly all tags of the list.
func deleteAll(m *quaytest.Model, name func(int) string, now bool, lost map[string]bool) {
	for i := 3; now && i < 1_234; i++ {
		lost[name(i)] = true
		m.DeleteTag("acme/many", name(i))
	}
}

// warm makes the images of seeds known, so that no manifest is read.
func warm(t testing.TB, known *connectortest.Memory, seeds ...string) {
	t.Helper()
	for _, seed := range seeds {
		if err := known.LearnManifest([]byte(imageOf(seed))); err != nil {
			t.Fatal(err)
		}
	}
}

// A list that moves without end is not believed.
func TestLongListWithoutEnd(t *testing.T) {
	t.Parallel()
	now := newClock()
	const atOnce = 10
	m := model(map[string]int{"acme/many": 60})
	m.Now, m.MaxTags = now.Now, atOnce
	fake := quaytest.New(m)
	fake.Before(func(n int, _ *http.Request) {
		now.pass(time.Hour)
		fake.Update(func(m *quaytest.Model) {
			for i := range atOnce {
				m.Push("acme/many", fmt.Sprintf("n%d-%d", n, i), ociImage, imageOf("many"))
			}
		})
	})
	s, err := quay.OpenPaged(directly(fake), atOnce)
	if err != nil {
		t.Fatal(err)
	}
	_, l, err := images(t.Context(), s, "acme/many", &connectortest.Memory{})
	mustFail(t, err, portolan.ServerFailure, "acme/many")
	if !errors.Is(err, connector.ErrTruncated) || !l.Truncated {
		t.Errorf("%v, truncated %t", err, l.Truncated)
	}
}

// A long list goes on after each of its rows, and the first rows are not
// listed again.
func TestLongListResumes(t *testing.T) {
	t.Parallel()
	now := newClock()
	m := model(map[string]int{"acme/many": 1_000})
	m.Now = now.Now
	fake := quaytest.New(m)
	s := openDirect(t, fake)
	known := &connectortest.Memory{}
	warm(t, known, "many", "n")
	all, _, err := images(t.Context(), s, "acme/many", known)
	if err != nil || len(all) != 1_000 {
		t.Fatal(len(all), err)
	}
	for _, cut := range []int{0, 99, 100, 457, 998, 999} {
		resumed := &connectortest.Memory{}
		warm(t, resumed, "many", "n")
		resumed.Interrupted(all[:cut+1]...)
		// A tag that is still to come goes to the front meanwhile.
		now.pass(time.Hour)
		moved := all[min(cut+50, 999)].Tags[0].Name
		fake.Update(func(m *quaytest.Model) { m.Push("acme/many", moved, ociImage, imageOf("n")) })
		l := &connector.Listing{Repository: connector.Repository{Path: "acme/many"}, Resume: all[cut].Cursor, Known: resumed}
		found := map[string]bool{}
		for row, err := range s.Images(t.Context(), l) {
			if err != nil {
				t.Fatal(cut, err)
			}
			found[row.Tags[0].Name] = true
		}
		for i, row := range all {
			if again := found[row.Tags[0].Name]; again != (i > cut) && row.Tags[0].Name != moved {
				t.Fatalf("resumed after %d: row %d found %t", cut, i, again)
			}
		}
		if !found[moved] && cut < 999 {
			t.Errorf("resumed after %d: %s was moved and is missing", cut, moved)
		}
		fake.Update(func(m *quaytest.Model) { m.Namespaces[0].Repositories[0] = repositoryOf("many", 1_000) })
	}
}

// A hundred thousand tags are handed on while they are read.
func TestHundredThousandTags(t *testing.T) {
	const count = 100_000
	fake := quaytest.New(model(map[string]int{"acme/many": count}))
	s := openDirect(t, fake)
	known := &connectortest.Memory{}
	warm(t, known, "many")
	var before, during runtime.MemStats
	rows := 0
	most := uint64(0)
	l := &connector.Listing{Repository: connector.Repository{Path: "acme/many"}, Known: known}
	runtime.GC()
	runtime.ReadMemStats(&before)
	for row, err := range s.Images(t.Context(), l) {
		if err != nil || row.Err != nil {
			t.Fatal(err, row.Err)
		}
		if rows++; rows%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			most = max(most, during.HeapAlloc-min(before.HeapAlloc, during.HeapAlloc))
		}
	}
	if rows != count || most > 48<<20 {
		t.Errorf("%d rows, %d MiB", rows, most>>20)
	}
	if n := len(fake.Requests()); n > 1_200 {
		t.Errorf("%d requests", n)
	}
}

// mustBePolite checks what holds of every request.
func mustBePolite(t *testing.T, r quaytest.Request) {
	t.Helper()
	q, err := url.ParseQuery(r.Query)
	if err != nil || q.Has("page") && (q.Get("onlyActiveTags") != "true" || q.Get("limit") == "") {
		t.Errorf("%s?%s is not a page of alive tags", r.Path, r.Query)
	}
	if r.Method != http.MethodGet || !strings.HasPrefix(r.Path, "/api/v1/") {
		t.Errorf("%s %s: only the API is read", r.Method, r.Path)
	}
	if r.Path == "/api/v1/repository" && q.Get("namespace") == "" && q.Get("starred") == "" {
		t.Errorf("%s?%s lists the world", r.Path, r.Query)
	}
	if r.Header.Get("Cookie") != "" {
		t.Errorf("%s was sent with a cookie", r.Path)
	}
	if r.Header.Get("Authorization") != "Bearer "+secret || strings.Contains(r.Path+r.Query, secret) {
		t.Errorf("%s?%s was not sent with the token as a header", r.Path, r.Query)
	}
}
