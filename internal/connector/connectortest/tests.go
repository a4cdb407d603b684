package connectortest

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	"portolan"
	"portolan/internal/connector"
)

// testComplete reads everything, over pages, nested names and percent signs.
func (s Suite) testComplete(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	got := r.read(t.Context())
	r.mustBe(got, r.model.lines())
	if got.probe.Identity != s.user() {
		t.Errorf("identity is %q, want %q", got.probe.Identity, s.user())
	}
	if got.probe.Product == "" {
		t.Error("the product has no name")
	}
	if sent, _ := r.count.now(); int64(sent) != r.transport.Meter().Requests() {
		t.Errorf("the meter says %d requests, the wire %d", r.transport.Meter().Requests(), sent)
	}
}

// testKnown reads again with what the first reading learnt: no manifest is
// fetched twice.
func (s Suite) testKnown(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	known := newMemory()
	r.mustBe(read(t.Context(), r.source, known, s.Bulk), r.model.lines())
	again := s.newRig(t, Credential)
	got := read(t.Context(), again.source, known, s.Bulk)
	again.mustBe(got, r.model.lines())
	if got.manifests != 0 {
		t.Errorf("%d manifests were fetched although all were known", got.manifests)
	}
}

// testNullLists answers null for every empty list.
func (s Suite) testNullLists(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	r.bend = func(_ int, req *http.Request, next http.RoundTripper) (*http.Response, error) {
		resp, err := next.RoundTrip(req)
		if err != nil {
			return nil, err
		}
		return rewrite(resp, func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(`[]`), []byte("null")) }), nil
	}
	r.mustBe(r.read(t.Context()), r.model.lines())
}

func (s Suite) testWrongPassword(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, portolan.Credential{UserName: Credential.UserName, Password: "wrong-" + secret})
	_, err := r.source.Probe(t.Context())
	if class := connector.ClassOf(err); err == nil || class != portolan.BadCredentials {
		t.Fatalf("a wrong password answered %v of class %s, want %s", err, class, portolan.BadCredentials)
	}
	r.mustBeClean("wrong password", err)
}

// testUnknownRepository: an error that says so, or an empty list.
func (s Suite) testUnknownRepository(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	if _, err := r.source.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := &connector.Listing{Repository: connector.Repository{Path: "team/none", Group: "team", Expect: -1}, Known: newMemory()}
	for row, err := range r.source.Images(t.Context(), l) {
		if err == nil {
			t.Fatalf("found %v in a repository that does not exist", row)
		}
		if !errors.Is(err, connector.ErrNotExist) {
			t.Fatalf("got %v, want ErrNotExist", err)
		}
	}
}

// testResume starts the catalogue after every entry, and every list after
// every row that has a cursor.
func (s Suite) testResume(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	if _, err := r.source.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := collect(t, r.source, "")
	for i, repository := range all {
		if i%max(1, len(all)/10) != 0 {
			continue
		}
		seen := map[string]bool{}
		for _, earlier := range all[:i+1] {
			seen[earlier.Path] = true
		}
		for _, later := range collect(t, r.source, repository.Cursor) {
			seen[later.Path] = true
		}
		for _, want := range all {
			if !seen[want.Path] {
				t.Fatalf("resumed after %s, %s is missing", repository.Path, want.Path)
			}
		}
		s.resumeImages(t, r, repository)
	}
}

func (s Suite) resumeImages(t *testing.T, r *rig, repository connector.Repository) {
	rows := func(resume string) (rows []connector.Row) {
		l := &connector.Listing{Repository: repository, Resume: resume, Known: newMemory()}
		for row, err := range r.source.Images(t.Context(), l) {
			if err := errors.Join(err, row.Err); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		return rows
	}
	all := rows("")
	for i, row := range all {
		if row.Cursor == "" || i%max(1, len(all)/5) != 0 {
			continue
		}
		seen := map[portolan.Digest]bool{}
		for _, row := range append(slices.Clone(all[:i+1]), rows(row.Cursor)...) {
			seen[row.Digest] = true
		}
		for _, want := range all {
			if !seen[want.Digest] {
				t.Fatalf("%s resumed after row %d: %s is missing", repository.Path, i, want.Digest)
			}
		}
	}
}

func collect(t *testing.T, src connector.Source, after string) (all []connector.Repository) {
	t.Helper()
	for repository, err := range src.Repositories(t.Context(), after) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, repository)
	}
	return all
}

// testMoving adds to and takes from the registry while it is read. What was
// there all the time must be found, or the reading must fail.
func (s Suite) testMoving(t *testing.T) {
	t.Parallel()
	s.atEach(t, func(t *testing.T, n int) {
		r := s.newRig(t, Credential)
		many, _ := r.model.Repository("team/many")
		victim := many.Images[0]
		want := slices.DeleteFunc(r.model.lines(), func(l string) bool {
			return l == line("team/many", victim.Digest, victim.Tags, victim.Kind)
		})
		r.bend = func(i int, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if i == n {
				r.model.Remove("team/many", victim.Digest)
				r.model.Add("team/new", NewImage("new", "1"))
			}
			return next.RoundTrip(req)
		}
		got := r.read(t.Context())
		found := map[string]bool{}
		for _, l := range got.lines() {
			found[l] = true
		}
		for _, l := range want {
			if !found[l] && len(got.errs) == 0 {
				t.Fatalf("changed at request %d: %s was lost without an error", n, l)
			}
		}
	})
}

// testCancel ends the context in the middle.
func (s Suite) testCancel(t *testing.T) {
	t.Parallel()
	s.atEach(t, func(t *testing.T, n int) {
		r := s.newRig(t, Credential)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.bend = func(i int, req *http.Request, next http.RoundTripper) (*http.Response, error) {
			if i == n {
				cancel()
			}
			return next.RoundTrip(req)
		}
		got := r.read(ctx)
		if len(got.errs) == 0 || !errors.Is(got.err(), context.Canceled) {
			t.Fatalf("cancelled at request %d: got %v, want the context's error", n, got.err())
		}
		if _, active := r.count.now(); active != 0 {
			t.Fatalf("cancelled at request %d: %d requests are still under way", n, active)
		}
	})
}

// testStop takes one row of each list and no more.
func (s Suite) testStop(t *testing.T) {
	t.Parallel()
	r := s.newRig(t, Credential)
	if _, err := r.source.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for repository, err := range r.source.Repositories(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		l := &connector.Listing{Repository: repository, Known: newMemory()}
		for _, err := range r.source.Images(t.Context(), l) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if _, active := r.count.now(); active != 0 {
			t.Fatalf("%d requests are under way after the reader stopped", active)
		}
		break
	}
}

// atEach runs a test for requests all over a reading.
func (s Suite) atEach(t *testing.T, test func(t *testing.T, n int)) {
	r := s.newRig(t, Credential)
	r.mustBe(r.read(t.Context()), r.model.lines())
	sent, _ := r.count.now()
	most := 30
	if testing.Short() { // a race shows wherever it is that a request fails
		most = 8
	}
	for n := 1; n <= sent; n += max(1, sent/most) {
		test(t, n)
	}
}

// testFaults fails one request for good, each in turn: a reading without an
// error has found everything all the same.
func (s Suite) testFaults(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.atEach(t, func(t *testing.T, n int) {
				r := s.newRig(t, Credential)
				r.bend = always(n, faults[name]) //nolint:bodyclose // the source closes it
				r.mustNotLie(name, r.read(t.Context()), r.model.lines())
			})
		})
	}
}

// always applies a fault to the n-th request and to each one like it.
func always(n int, fault fault) func(int, *http.Request, http.RoundTripper) (*http.Response, error) {
	var mu sync.Mutex
	broken := ""
	return func(i int, r *http.Request, next http.RoundTripper) (*http.Response, error) {
		mu.Lock()
		request := r.Method + r.URL.String()
		if i == n {
			broken = request
		}
		hit := broken == request
		mu.Unlock()
		if hit {
			return fault(r, next)
		}
		return next.RoundTrip(r)
	}
}
