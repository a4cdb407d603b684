package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
)

const hookSecret = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"

// hookRig is a receiver with its two registries, and what was marked.
type hookRig struct {
	*Hooks
	t          *testing.T
	mu         sync.Mutex
	now        time.Time
	log        bytes.Buffer
	marked     []string
	counted    string // the product and outcome of the last event
	broken     error
	registries map[int64]*portolan.Registry
}

func newHookRig(t *testing.T) *hookRig {
	t.Helper()
	h := &hookRig{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), registries: map[int64]*portolan.Registry{
		7: {ID: 7, Type: portolan.OCI, DomainName: "registry.example.com", Port: 5000, Extra: portolan.Extra{Excludes: []string{"team/tmp-*"}}},
		8: {ID: 8, Type: portolan.Harbor, DomainName: "harbor.example.com", Port: 443},
	}}
	gate := NewGate(GateConfig{
		Client: func(*http.Request) (netip.Addr, bool) { return netip.MustParseAddr("192.0.2.1"), false },
		Log:    slog.New(slog.NewTextHandler(&h.log, nil)), Now: h.clock,
	})
	h.Hooks = NewHooks(HookConfig{
		Gate: gate,
		Admit: func(_ context.Context, id int64, secret string, _ netip.Addr) (*portolan.Registry, error) {
			if r := h.registries[id]; r != nil && secret == hookSecret {
				return r, nil
			}
			return nil, fmt.Errorf("the secret is wrong: %w", portolan.ErrNoPermission)
		},
		Elsewhere: func(_ context.Context, _ *portolan.Registry, host string) (bool, error) {
			return host == "other.example.com", nil
		},
		Mark: func(_ context.Context, r *portolan.Registry, paths []string) error {
			if h.broken != nil {
				return h.broken
			}
			for _, p := range paths {
				h.marked = append(h.marked, fmt.Sprint(r.ID, " ", p))
			}
			return nil
		},
		Count: func(product, outcome string) { h.counted = product + " " + outcome },
	})
	return h
}

func (h *hookRig) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hookRig) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// send sends an event and answers the status and the document.
func (h *hookRig) send(method, path string, header http.Header, body []byte) (int, map[string]any) {
	h.t.Helper()
	r := httptest.NewRequestWithContext(h.t.Context(), method, path, bytes.NewReader(body))
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var doc map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		h.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if strings.Contains(w.Body.String(), hookSecret) || strings.Contains(h.log.String(), hookSecret) {
		h.t.Errorf("the secret shows:\n%s\n%s", w.Body, &h.log)
	}
	return w.Code, doc
}

// expect sends an event to a registry with the right secret.
func (h *hookRig) expect(name string, registry, status int, body string, marked ...string) {
	h.t.Helper()
	h.marked = nil
	code, doc := h.send(http.MethodPost, fmt.Sprintf("/hooks/%d/%s", registry, hookSecret), nil, []byte(body))
	if code != status || !slices.Equal(h.marked, marked) {
		h.t.Errorf("%s: %d, %v marked; want %d, %v: %v", name, code, h.marked, status, marked, doc)
	}
}

func quay(path string) string {
	return fmt.Sprintf(`{"docker_url":"x","repository":%q,"updated_tags":["v1"]}`, path)
}

func distribution(id, path, host string) string {
	return fmt.Sprintf(`{"events":[{"id":%q,"action":"push","target":{"repository":%q},"request":{"host":%q}}]}`, id, path, host)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	h := newHookRig(t)
	h.expect("push", 7, http.StatusAccepted, distribution("1", "team/api", ""), "7 team/api")
	h.expect("the same again", 7, http.StatusOK, distribution("1", "team/api", ""))
	h.pass(9 * time.Minute)
	h.expect("and again", 7, http.StatusOK, distribution("1", "team/api", ""))
	h.pass(time.Minute)
	h.expect("much later", 7, http.StatusAccepted, distribution("1", "team/api", ""), "7 team/api")
	h.expect("two of one", 7, http.StatusAccepted, `{"events":[{"id":"2","action":"push","target":{"repository":"a"}},
		{"id":"3","action":"delete","target":{"repository":"a"}},{"id":"4","action":"push","target":{"repository":"b"}},{"id":"1","action":"push","target":{"repository":"c"}}]}`,
		"7 a", "7 b")
	h.expect("left out", 7, http.StatusOK, distribution("5", "team/tmp-1", ""))
	h.expect("another registry", 7, http.StatusOK, distribution("6", "team/api", "other.example.com"))
	h.expect("a host that is nobody's", 7, http.StatusAccepted, distribution("7", "team/api", "10.0.0.1:5000"), "7 team/api")
	h.expect("a pull", 7, http.StatusOK, `{"events":[{"id":"8","action":"pull","target":{"repository":"a"}}]}`)
	h.expect("another product", 8, http.StatusOK, distribution("9", "team/api", ""))
	h.expect("Quay tells no time", 7, http.StatusAccepted, quay("q/a"), "7 q/a")
	h.expect("so the next is another", 7, http.StatusAccepted, quay("q/a"), "7 q/a")
	harbor := `{"type":"PUSH_ARTIFACT","occur_at":1,"event_data":{"repository":{"repo_full_name":"p/a"}}}`
	h.expect("Harbor", 8, http.StatusAccepted, harbor, "8 p/a")
	if h.counted != "Harbor marked" {
		t.Errorf("counted as %q", h.counted)
	}
	h.expect("Harbor tries again", 8, http.StatusOK, harbor)
	if h.counted != "Harbor ignored" {
		t.Errorf("counted as %q", h.counted)
	}
	h.expect("the same of another registry", 7, http.StatusAccepted, harbor, "7 p/a")
	h.expect("malformed", 7, http.StatusBadRequest, `{"events":`)
	h.expect("oversized", 7, http.StatusRequestEntityTooLarge, distribution("10", strings.Repeat("a", maxEvent), ""))
	if h.counted != " RequestTooLarge" {
		t.Errorf("counted as %q", h.counted)
	}
	h.expect("as large as may be", 7, http.StatusAccepted, distribution("11", "big", "")+strings.Repeat(" ", maxEvent-len(distribution("11", "big", ""))), "7 big")
}

// An event that could not be saved comes again and is not taken for a
// repetition.
func TestHooksStoreFails(t *testing.T) {
	t.Parallel()
	h := newHookRig(t)
	h.broken = errors.New("the disk is on fire")
	h.expect("not saved", 7, http.StatusInternalServerError, distribution("1", "a", ""))
	h.broken = nil
	h.expect("saved", 7, http.StatusAccepted, distribution("1", "a", ""), "7 a")
}

// Who has not the secret learns nothing, not even whether there is a registry.
func TestHooksRefuse(t *testing.T) {
	t.Parallel()
	h := newHookRig(t)
	body := []byte(distribution("1", "a", ""))
	var first map[string]any
	for name, path := range map[string]string{
		"wrong secret": "/hooks/7/" + strings.Repeat("0", 32), "no secret": "/hooks/7/", "no slash": "/hooks/7", "no id": "/hooks/", "unknown registry": "/hooks/9/" + hookSecret,
		"negative": "/hooks/-7/" + hookSecret, "not a number": "/hooks/x/" + hookSecret, "more": "/hooks/7/" + hookSecret + "/x", "large": "/hooks/99999999999999999999/x",
	} {
		code, doc := h.send(http.MethodPost, path, nil, body)
		delete(doc, "RequestId")
		if first == nil {
			first = doc
		}
		if code != http.StatusForbidden || fmt.Sprint(doc) != fmt.Sprint(first) {
			t.Errorf("%s: %d %v", name, code, doc)
		}
	}
	if code, _ := h.send(http.MethodGet, "/hooks/7/"+hookSecret, nil, nil); code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", code)
	}
	code := 0
	for range 2 * refusalBurst {
		if code, _ = h.send(http.MethodPost, "/hooks/7/guess", nil, body); code == http.StatusTooManyRequests {
			break
		}
	}
	if code != http.StatusTooManyRequests || len(h.marked) > 0 {
		t.Errorf("a guesser gets %d; %v marked", code, h.marked)
	}
	h.expect("the secret, from the same address", 7, http.StatusAccepted, quay("q/a"), "7 q/a")
}

func TestHooksBusy(t *testing.T) {
	t.Parallel()
	h := newHookRig(t)
	for range maxEvents {
		h.slots <- struct{}{}
	}
	h.expect("busy", 7, http.StatusServiceUnavailable, quay("a"))
	<-h.slots
	h.expect("no longer", 7, http.StatusAccepted, quay("a"), "7 a")
}

func TestSeenIsBounded(t *testing.T) {
	t.Parallel()
	s := newSeen(time.Now)
	for n := range 3 * maxSeen {
		s.add(fmt.Sprint(n))
	}
	if n := len(s.young) + len(s.old); n > maxSeen || !s.has(fmt.Sprint(3*maxSeen-1)) || s.has("0") {
		t.Errorf("%d are known", n)
	}
}
