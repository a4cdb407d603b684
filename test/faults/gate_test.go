package faults

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gate stands before an origin and lets requests fail. A request is known by
// its method, its address and how often it came, not by its place: readers
// work at once, and the order of their requests is chance.
type gate struct {
	next origin

	mu     sync.Mutex
	counts map[string]int
	seen   []string
	plan   *plan
	since  time.Time // when the fault hit first
}

// plan is a fault and where it hits.
type plan struct {
	fault fault
	at    string
	// lasts is set if everything that follows fails, too.
	lasts bool
}

// lasting is for how long a fault that lasts keeps a registry from answering
// that only asks to wait: it ends, for a reading waits as long as it does.
const lasting = 30 * time.Minute

// key names a request. Of a token's it is not told for what, for that depends
// on which reader came first.
func (g *gate) key(r *http.Request) string {
	address := r.URL.RequestURI()
	if r.URL.Path == tokenPath {
		address = tokenPath
	}
	key := r.Method + " " + address
	g.counts[key]++
	return fmt.Sprintf("%s #%d", key, g.counts[key])
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, first := g.note(r)
	if fault == nil {
		g.next.ServeHTTP(w, r)
		return
	}
	fault.do(&struck{g.next, first}, w, r)
}

// struck is the origin as a fault sees it.
type struck struct {
	origin
	first bool
}

func (g *gate) note(r *http.Request) (f *fault, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := g.key(r)
	g.seen = append(g.seen, key)
	p := g.plan
	if p == nil {
		return nil, false
	}
	hit := key == p.at && g.since.IsZero()
	if hit {
		g.since = time.Now()
	}
	if hit || p.lasts && !g.since.IsZero() && (!p.fault.waits || time.Since(g.since) < lasting) {
		return &p.fault, hit
	}
	return nil, false
}

// start forgets what was seen and plans a fault, nil for none.
func (g *gate) start(p *plan) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plan, g.since = p, time.Time{}
	g.seen = nil
	clear(g.counts)
}

// requests are the keys of what came since the start, and whether the fault
// hit.
func (g *gate) requests() (seen []string, hit bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.seen...), !g.since.IsZero()
}

// respond writes an answer of its own making. It tells the caller's secrets
// where a reader could be careless.
func respond(w http.ResponseWriter, r *http.Request, status int, contentType, body string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body)
	}
}

// errorBody repeats what it was asked with, as careless registries do.
func errorBody(r *http.Request) string {
	return fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, "DENIED_"+password, r.Header.Get("Authorization"))
}

// bend lets the origin answer and changes the answer.
func bend(o http.Handler, w http.ResponseWriter, r *http.Request, change func(h http.Header, body []byte) []byte) {
	answer := httptest.NewRecorder()
	o.ServeHTTP(answer, r)
	header := answer.Header().Clone()
	body := change(header, bytes.Clone(answer.Body.Bytes()))
	if r.Method != http.MethodHead {
		header.Del("Content-Length")
	}
	maps.Copy(w.Header(), header)
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// announce changes the announced total, if there is one.
func announce(h http.Header, by int) {
	if total, err := strconv.Atoi(h.Get("X-Total-Count")); err == nil {
		h.Set("X-Total-Count", strconv.Itoa(max(total+by, 0)))
	}
}

// isList reports whether an answer is a JSON document.
func isList(h http.Header, body []byte) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "application/json") || bytes.HasPrefix(body, []byte("{")) || bytes.HasPrefix(body, []byte("["))
}
