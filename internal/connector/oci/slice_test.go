package oci_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
)

// slow answers one request a second by the clock of the source.
type slow struct {
	http.Handler
	cancel context.CancelFunc
	mu     sync.Mutex
	now    time.Time
	end    time.Time
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.now = s.now.Add(time.Second); s.now.After(s.end) {
		s.cancel()
	}
	s.mu.Unlock()
	s.Handler.ServeHTTP(w, r)
}

func (s *slow) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// remembering implements connector.Known with what earlier readings yielded.
type remembering struct {
	facts map[portolan.Digest]connector.Facts
	tags  map[string]portolan.Digest
}

func (r remembering) Facts(_ context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	return r.facts, nil
}

func (r remembering) Resolved(tag string) (portolan.Digest, bool) {
	d, ok := r.tags[tag]
	return d, ok
}

// TestSlices: a slow registry that is read for 20 seconds at a time is read
// to its end, and nothing is fetched again that was yielded.
func TestSlices(t *testing.T) {
	t.Parallel()
	m := &connectortest.Model{}
	const count = 60
	for i := range count {
		m.Add("a", connectortest.NewImage(fmt.Sprint(i), fmt.Sprint("v", i)))
	}
	known := remembering{map[portolan.Digest]connector.Facts{}, map[string]portolan.Digest{}}
	for attempt := 1; ; attempt++ {
		if attempt > 20 {
			t.Fatalf("only %d of %d rows after 20 slices", len(known.tags), count)
		}
		ctx, cancel := context.WithCancel(t.Context())
		h := &slow{Handler: &server{model: m, pageSize: 100}, cancel: cancel, end: time.Time{}.Add(20 * time.Second)}
		r := open(t, h, func(c *connector.Config) { c.Now = h.time })
		var failed error
		for row, err := range r.Images(ctx, &connector.Listing{Repository: connector.Repository{Path: "a"}, Known: known}) {
			if failed = err; err == nil {
				known.facts[row.Digest], known.tags[row.Tags[0].Name] = row.Facts, row.Digest
			}
		}
		cancel()
		if failed == nil {
			break
		}
	}
	if len(known.tags) != count {
		t.Errorf("%d rows, want %d", len(known.tags), count)
	}
}

// TestMemory reads 100,000 tags within a bounded heap.
func TestMemory(t *testing.T) {
	image := connectortest.NewImage("a")
	const count = 100_000
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/tags/list") {
			_, _ = fmt.Fprint(w, `{"tags":["v0"`)
			for i := 1; i < count; i++ {
				_, _ = fmt.Fprintf(w, `,"v%d"`, i)
			}
			_, _ = fmt.Fprint(w, `]}`)
			return
		}
		w.Header().Set("Docker-Content-Digest", string(image.Digest))
		_, _ = w.Write(image.Manifest)
	})
	next := connectortest.Handler(h)
	r := open(t, h, func(c *connector.Config) { c.Client = &http.Client{Transport: next} })
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows, most := 0, uint64(0)
	for _, err := range r.Images(t.Context(), &connector.Listing{Repository: connector.Repository{Path: "a"}, Known: nothing{}}) {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; rows%20_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			most = max(most, during.HeapAlloc-min(before.HeapAlloc, during.HeapAlloc))
		}
	}
	if rows != count || most > 64<<20 {
		t.Errorf("%d rows with %d MiB", rows, most>>20)
	}
}
