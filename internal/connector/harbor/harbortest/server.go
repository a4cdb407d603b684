package harbortest

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"portolan/internal/connector/scripted"
)

// Server is a fake Harbor. It is an http.Handler, safe for concurrent use.
type Server struct {
	scripted.Script

	mu     sync.Mutex
	model  Model
	locked map[string]time.Time // user names, until when
}

// Request is that of a script.
type Request = scripted.Request

// Fault is that of a script.
type Fault = scripted.Fault

// New makes a server that holds the model.
func New(m Model) *Server {
	m.fill()
	return &Server{model: m, locked: map[string]time.Time{}}
}

// Update changes the model between requests.
func (s *Server) Update(change func(*Model)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.model)
	s.model.fill()
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, fault := s.Note(r)
	if fault != nil {
		if !fault.Break(w, r) {
			answer{status: fault.Status, header: fault.Header.Clone(), body: fault.Body}.write(w, n)
		}
		return
	}
	s.mu.Lock()
	a := s.answer(r)
	s.mu.Unlock()
	a.write(w, n)
}

// answer is a response before it is written.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) write(w http.ResponseWriter, n int) {
	h := w.Header()
	h.Set("Set-Cookie", fmt.Sprintf("sid=%032x; Path=/; HttpOnly", n))
	h.Set("X-Request-Id", RequestID(n))
	maps.Copy(h, a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body)) // a caller that went away is its own affair
}

// RequestID is the X-Request-Id of the answer to request n.
func RequestID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// failed is an error as the API writes it.
func failed(status int, code, message string) answer {
	return answer{
		status: status,
		header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		body:   string(encode(map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})),
	}
}

func unauthorized() answer { return failed(http.StatusUnauthorized, "UNAUTHORIZED", "unauthorized") }

func forbidden() answer { return failed(http.StatusForbidden, "FORBIDDEN", "forbidden") }

// page404 is what is answered outside the API.
func page404() answer {
	return answer{
		status: http.StatusNotFound,
		header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		body:   "<!DOCTYPE HTML>\n<html>\n<head>\n<title>404 - Page Not Found</title>\n</head>\n</html>\n",
	}
}

func ok(v any) answer {
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: string(encode(v))}
}

// answer finds the answer to a request.
func (s *Server) answer(r *http.Request) answer {
	who := s.identify(r)
	path := r.URL.EscapedPath()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if _, err := r.Cookie("sid"); err == nil && r.Header.Get("Authorization") != "" {
			return failed(http.StatusForbidden, "FORBIDDEN", "CSRF token not found in request")
		}
		return failed(http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "the fake only reads")
	}
	if rest, found := strings.CutPrefix(path, "/api/v2.0/"); found {
		return s.api(who, r, strings.Split(rest, "/"))
	}
	switch {
	case path == "/api/version":
		return ok(map[string]any{"version": "v2.0"})
	case path == "/service/token":
		return s.token(who, r)
	case path == "/v2/" || strings.HasPrefix(path, "/v2/"):
		return s.registry(who, r, strings.TrimPrefix(path, "/v2/"))
	}
	return page404()
}

// api answers a call of the API by the segments of its path.
func (s *Server) api(who caller, r *http.Request, seg []string) answer {
	switch {
	case seg[0] == "systeminfo" && len(seg) == 1:
		return s.systemInfo(who)
	case seg[0] == "ping" && len(seg) == 1:
		return answer{status: http.StatusOK, header: http.Header{"Content-Type": {"text/plain"}}, body: "Pong"}
	case seg[0] == "users" && len(seg) == 2 && seg[1] == "current":
		return s.currentUser(who)
	case seg[0] == "robots" && len(seg) == 1:
		return s.robots(who, r)
	case seg[0] == "projects":
		return s.projects(who, r, seg[1:])
	case seg[0] == "repositories" && len(seg) == 1 && s.since(3): // unverified
		return s.repositories(who, r, nil)
	case seg[0] == "auditlog-exts" && len(seg) == 1 && s.since(13): // unverified
		return s.auditLog(who, r, s.model.Audit)
	case seg[0] == "audit-logs" && len(seg) == 1:
		if s.since(13) {
			return s.auditLog(who, r, nil)
		}
		return s.auditLog(who, r, s.model.Audit) // unverified
	}
	return failed(http.StatusNotFound, "NOT_FOUND", "path "+r.URL.Path+" was not found")
}

// since reports whether the version is 2.minor or later.
func (s *Server) since(minor int) bool {
	var major, have int
	_, err := fmt.Sscanf(s.model.Version, "v%d.%d", &major, &have)
	return err == nil && major == 2 && have >= minor
}
