package harbortest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/internal/connector/harbor/harbortest"
)

// unlike are recordings of a state that the model does not have when it is
// made; tests of their own bring it about, or the connector never asks.
var unlike = []string{
	"fault-", "projects-good-password-while-locked", "project-repositories-good-password-while-locked",
	"auditlog-exts", // recorded before the latest entries were written
}

// volatile are the members of an answer that depend on the moment, or on what
// the model leaves out.
var volatile = []string{
	"current_time", "issued_at", "token", "comment", "creation_time_of_user", "realname", "read_only",
}

// TestRecordedAnswers sends every recorded request to the fake and compares
// status, header and body with what Harbor answered.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	names, err := harbortest.Names()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, name := range names {
		if slices.ContainsFunc(unlike, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			continue
		}
		compared++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec, got := ask(t, name)
			if got.Code != rec.Status {
				t.Fatalf("status %d, Harbor answered %d", got.Code, rec.Status)
			}
			compareHeader(t, rec, got.Header())
			want, answered := document(t, rec.Body), document(t, got.Body.String())
			if strings.Contains(name, "auditlog") { // entries of the same moment come in any order
				sortByID(want)
				sortByID(answered)
			}
			if diff := cmp.Diff(want, answered); diff != "" {
				t.Errorf("body (-Harbor +fake):\n%s", diff)
			}
		})
	}
	if compared < 80 {
		t.Errorf("only %d recordings were compared", compared)
	}
}

// ask sends the request of a recording to a fresh fake. Recordings of wrong
// secrets hold the same dummy as all others, so they get another one here.
func ask(t *testing.T, name string) (harbortest.Recording, *httptest.ResponseRecorder) {
	t.Helper()
	m, err := harbortest.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	rec, err := harbortest.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if user, _, _ := rec.Request.BasicAuth(); strings.Contains(name, "wrong-") {
		rec.Request.SetBasicAuth(user, "wrong")
	}
	w := httptest.NewRecorder()
	harbortest.New(m).ServeHTTP(w, rec.Request)
	return rec, w
}

func compareHeader(t *testing.T, rec harbortest.Recording, got http.Header) {
	t.Helper()
	for _, name := range []string{"Content-Type", "X-Total-Count", "Link", "Www-Authenticate"} {
		if strings.Contains(rec.Name, "auditlog") && name != "Content-Type" {
			continue // the log was not recorded to its end
		}
		if rec.Header.Get(name) != got.Get(name) {
			t.Errorf("%s: %q, Harbor answered %q", name, got.Get(name), rec.Header.Get(name))
		}
	}
	for _, name := range []string{"Set-Cookie", "X-Request-Id"} {
		if (rec.Header.Get(name) == "") != (got.Get(name) == "") {
			t.Errorf("%s: %q, Harbor answered %q", name, got.Get(name), rec.Header.Get(name))
		}
	}
}

// document decodes a body; what is no JSON is only compared in being none.
// Volatile members keep their key and the type of their value.
func document(t *testing.T, body string) any {
	t.Helper()
	var v any
	if json.Unmarshal([]byte(body), &v) != nil {
		return "not JSON"
	}
	if m, ok := v.(map[string]any); ok {
		user := m["user_id"] != nil
		for key, value := range m {
			if slices.Contains(volatile, key) || user && strings.HasSuffix(key, "_time") {
				m[key] = typeOf(value)
			}
		}
	}
	return v
}

func sortByID(list any) {
	rows, _ := list.([]any)
	id := func(row any) float64 { n, _ := row.(map[string]any)["id"].(float64); return n }
	slices.SortFunc(rows, func(a, b any) int { return int(id(a) - id(b)) })
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a bool"
	}
	return "another type"
}

func TestReplay(t *testing.T) {
	t.Parallel()
	h, err := harbortest.Replay("robot-repositories-all", "artifacts-nested", "robot-unknown-project", "projects-page1", "projects-page2")
	if err != nil {
		t.Fatal(err)
	}
	get := func(user, target string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		r.SetBasicAuth(user, "any")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for name, tt := range map[string]struct {
		user, target string
		status       int
		total        string
	}{
		"another order":        {"robot$portolan", "/api/v2.0/repositories?page=1&page_size=100&sort=name", 200, "10"},
		"second page of one":   {"robot$portolan", "/api/v2.0/repositories?page=2&page_size=100", 404, ""},
		"another user":         {"robot$two", "/api/v2.0/repositories?page_size=100", 404, ""},
		"encoded twice":        {"admin", "/api/v2.0/projects/team-a/repositories/platform%252Fauth%252Fserver/artifacts?with_tag=true", 200, "1"},
		"refused":              {"robot$portolan", "/api/v2.0/projects/nope/repositories?page=1&page_size=100", 403, ""},
		"recorded page":        {"admin", "/api/v2.0/projects?page=2&page_size=2", 200, "5"},
		"part of a paged list": {"admin", "/api/v2.0/projects?page=1&page_size=100", 404, ""},
	} {
		w := get(tt.user, tt.target)
		if w.Code != tt.status || w.Header().Get("X-Total-Count") != tt.total {
			t.Errorf("%s: %d %q, want %d %q", name, w.Code, w.Header().Get("X-Total-Count"), tt.status, tt.total)
		}
	}
}
