package quaytest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"portolan/internal/connector/scripted"
)

// Server is a fake Quay. It is an http.Handler, safe for concurrent use.
type Server struct {
	scripted.Script

	mu    sync.Mutex
	model Model
	// spent is how much of the burst is used up, counted at the time at.
	spent float64
	at    time.Time
	// cache holds lists of alive tags until the model changes.
	cache map[string]cached
}

type cached struct {
	tags  []Tag
	until time.Time // when one of them ends, zero for never
}

// Request is that of a script.
type Request = scripted.Request

// Fault is that of a script.
type Fault = scripted.Fault

// New makes a server that holds the model.
func New(m Model) *Server {
	m.fill()
	return &Server{model: m, cache: map[string]cached{}}
}

// Update changes the model between requests.
func (s *Server) Update(change func(*Model)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.model)
	s.model.fill()
	clear(s.cache)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, fault := s.Note(r); fault != nil {
		if !fault.Break(w, r) {
			answer{status: fault.Status, header: fault.Header, body: fault.Body}.write(w)
		}
		return
	}
	s.mu.Lock()
	a := s.answer(r)
	s.mu.Unlock()
	a.write(w)
}

// answer is a response before it is written.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) write(w http.ResponseWriter) {
	w.Header().Set("Set-Cookie", "_csrf_token=eyJ0b2tlbiI6ImR1bW15In0; Path=/; HttpOnly")
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body)) // a caller that went away is its own affair
}

func ok(v any) answer {
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: encode(v)}
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error() // no JSON, so that the reader fails; the model holds plain values
	}
	return string(b)
}

// Problem is the body of an error of the API (endpoints/exception.py).
func Problem(status int, kind, detail string) string {
	return encode(map[string]any{
		"detail": detail, "error_message": detail, "error_type": kind, "title": kind,
		"type": "https://quay.example.com/api/v1/error/" + kind, "status": status,
	})
}

func problem(status int, kind, detail string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"application/problem+json"}}, body: Problem(status, kind, detail)}
}

// aborted is an error of the framework, which has only a message.
func aborted(status int, message string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: encode(map[string]any{"message": message})}
}

func notFound() answer { return problem(http.StatusNotFound, "not_found", "Not Found") }

func page404() answer {
	return answer{status: http.StatusNotFound, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: "<!DOCTYPE html><html></html>"}
}

// answer finds the answer to a request.
func (s *Server) answer(r *http.Request) answer {
	path := r.URL.EscapedPath()
	if s.tooFast(path) { // nginx answers, and does not say how long to wait
		return answer{status: http.StatusTooManyRequests, header: http.Header{"Content-Type": {"text/html"}}, body: "<html>429 Too Many Requests</html>"}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return aborted(http.StatusMethodNotAllowed, "the fake only reads")
	}
	if rest, found := strings.CutPrefix(path, "/api/v1/"); found {
		return s.api(r, rest)
	}
	switch {
	case path == "/health/instance":
		return ok(map[string]any{"data": map[string]any{"services": map[string]bool{"auth": true, "database": true}}, "status_code": http.StatusOK})
	case strings.HasPrefix(path, "/v2/"):
		return s.registry(r, strings.TrimPrefix(path, "/v2/"))
	}
	return page404()
}

// tooFast is the limit of nginx: 5 requests a second with a burst.
func (s *Server) tooFast(path string) bool {
	if s.model.Burst == 0 || !strings.HasPrefix(path, "/api/") {
		return false
	}
	const perSecond = 5
	now := s.model.Now()
	s.spent = max(0, s.spent-now.Sub(s.at).Seconds()*perSecond)
	s.at = now
	if s.spent+1 > float64(s.model.Burst) {
		return true
	}
	s.spent++
	return false
}

// api answers a call of the API by its escaped path.
func (s *Server) api(r *http.Request, path string) answer {
	who := s.identify(r)
	if s.model.NoAnonymous && who == nil && path != "user/" {
		return aborted(http.StatusUnauthorized, "Anonymous access is not allowed")
	}
	kind, rest, _ := strings.Cut(path, "/")
	switch {
	case path == "repository":
		return s.list(who, r.URL.Query())
	case kind == "repository":
		return s.repository(who, r, rest)
	case path == "user/":
		if who == nil || !who.may("user:read") {
			return problem(http.StatusUnauthorized, "invalid_token", "Requires authentication")
		}
		return ok(map[string]any{"username": "reader", "organizations": []any{}})
	case kind == "organization", kind == "users":
		n := s.model.namespace(rest)
		if n == nil || n.User != (kind == "users") {
			return notFound()
		}
		return ok(map[string]any{"name": n.Name, "username": n.Name})
	}
	return notFound()
}
