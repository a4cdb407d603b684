package harbortest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"portolan/internal/connector/harbor/harbortest"
)

// send asks the fake as a user with a secret.
func send(t *testing.T, h http.Handler, user, secret, target string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if user != "" {
		r.SetBasicAuth(user, secret)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLockedName(t *testing.T) {
	t.Parallel()
	m, err := harbortest.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	m.Now = func() time.Time { return now }
	s := harbortest.New(m)
	total := func(user, secret string) string {
		return send(t, s, user, secret, "/api/v2.0/projects").Header().Get("X-Total-Count")
	}
	steps := []struct {
		name, user, secret string
		after              time.Duration
		total              string
	}{
		{"wrong password", "admin", "wrong", 0, "2"},
		{"right one while locked", "admin", harbortest.RecordedUserPassword, 1400 * time.Millisecond, "2"},
		{"robot is not locked", "robot$portolan", harbortest.RecordedRobotSecret, 0, "5"},
		{"lock is over", "admin", harbortest.RecordedUserPassword, 200 * time.Millisecond, "5"},
		{"wrong robot secret", "robot$portolan", "wrong", 0, "2"},
		{"right robot secret at once", "robot$portolan", harbortest.RecordedRobotSecret, 0, "5"},
	}
	for _, step := range steps {
		now = now.Add(step.after)
		if got := total(step.user, step.secret); got != step.total {
			t.Errorf("%s: %s projects, want %s", step.name, got, step.total)
		}
	}
}

func TestTokenWithoutActions(t *testing.T) {
	t.Parallel()
	m, err := harbortest.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	s := harbortest.New(m)
	for secret, actions := range map[string]string{harbortest.RecordedRobotSecret: `["pull"]`, "wrong": `[]`} {
		w := send(t, s, "robot$portolan", secret, "/service/token?service=harbor-registry&scope=repository:team-b/worker:pull")
		var answer struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); w.Code != http.StatusOK || err != nil {
			t.Fatalf("status %d, %v", w.Code, err)
		}
		claims, err := base64.RawURLEncoding.DecodeString(strings.Split(answer.Token, ".")[1])
		if err != nil || !strings.Contains(string(claims), `"actions":`+actions) {
			t.Errorf("claims %s, %v, want actions %s", claims, err, actions)
		}
	}
}

func TestCookieWithBasic(t *testing.T) {
	t.Parallel()
	s := harbortest.New(harbortest.Model{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v2.0/projects", http.NoBody)
	r.SetBasicAuth("admin", "x")
	r.AddCookie(&http.Cookie{Name: "sid", Value: "1"})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("status %d, want 403", w.Code)
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := harbortest.New(harbortest.Model{Projects: []harbortest.Project{{Name: "a", Public: true}}})
	s.Before(func(n int, _ *http.Request) {
		if n == 2 {
			s.Update(func(m *harbortest.Model) {
				m.Projects = append(m.Projects, harbortest.Project{Name: "b", Public: true})
			})
		}
	})
	s.Inject(3, harbortest.Fault{Status: http.StatusBadGateway})
	s.Inject(4, harbortest.Fault{Close: true})
	s.Inject(5, harbortest.Fault{Hang: true})
	server := httptest.NewServer(s)
	defer server.Close()
	get := func(ctx context.Context) (int, string, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/api/v2.0/projects", http.NoBody)
		if err != nil {
			return 0, "", err
		}
		// One connection for each, for the client sends again what it lost on
		// a connection it had used before.
		r.Close = true
		resp, err := server.Client().Do(r)
		if err != nil {
			return 0, "", err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Header.Get("X-Total-Count"), errors.Join(err, resp.Body.Close())
	}
	for n, want := range []struct {
		status int
		total  string
	}{{200, "1"}, {200, "2"}, {502, ""}} {
		if status, total, err := get(t.Context()); err != nil || status != want.status || total != want.total {
			t.Errorf("request %d: %d %q %v, want %d %q", n+1, status, total, err, want.status, want.total)
		}
	}
	if _, _, err := get(t.Context()); err == nil {
		t.Error("request 4 was answered, want the connection closed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := get(ctx); err == nil {
		t.Error("request 5 was answered, want it to hang")
	}
	if got := len(s.Requests()); got != 5 {
		t.Errorf("%d requests logged, want 5", got)
	}
	s.Reset()
	if status, _, err := get(t.Context()); err != nil || status != http.StatusOK || len(s.Requests()) != 1 {
		t.Errorf("after Reset: %d, %v, %d requests logged", status, err, len(s.Requests()))
	}
}
