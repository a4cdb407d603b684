package acrtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"portolan/internal/connector/scripted"
)

// Server is a fake registry with its API and token server. It is an
// http.Handler, safe for concurrent use, that tells its parts by the host.
type Server struct {
	scripted.Script

	mu     sync.Mutex
	model  Model
	fail   map[string][]Failure
	nonces map[string]bool
	logins map[string]login    // temporary, by user
	tokens map[string][]string // scopes by token
}

type login struct {
	password string
	until    time.Time
}

// Request is that of a script.
type Request = scripted.Request

// Failure is what an action answers instead.
type Failure struct {
	Status int
	Code   string
	Header http.Header
	// Body is sent as it is; one with Code if "".
	Body string
}

// New makes a server that holds the model.
func New(m Model) *Server {
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.LoginLife == 0 {
		m.LoginLife = time.Hour
	}
	if m.MaxPage == 0 {
		m.MaxPage = 100
	}
	m.fill()
	return &Server{model: m, fail: map[string][]Failure{}, nonces: map[string]bool{}, logins: map[string]login{}, tokens: map[string][]string{}}
}

// Update changes the model between requests.
func (s *Server) Update(change func(*Model)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.model)
	s.model.fill()
}

// Fail has the next calls of an action answered with failures, each once.
func (s *Server) Fail(action string, f ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail[action] = append(s.fail[action], f...)
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, fault := s.Note(r); fault != nil {
		if !fault.Break(w, r) {
			maps.Copy(w.Header(), fault.Header)
			http.Error(w, fault.Body, fault.Status)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Date", s.model.Now().UTC().Format(http.TimeFormat))
	switch r.Host {
	case APIHost, VPCHost:
		s.serveAPI(w, r)
	case TokenHost:
		s.serveToken(w, r)
	default:
		s.serveSide(w, r)
	}
}

// service is the name that the registry gives itself.
func (s *Server) service() string {
	if s.model.Instance == "" {
		return "registry.aliyuncs.com:" + Region + ":26842"
	}
	return "registry.aliyuncs.com:" + Region + ":china:" + s.model.Instance
}

func (s *Server) serveSide(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	repository, kind, reference := splitSide(path)
	scope := ""
	if repository != "" {
		scope = "repository:" + repository + ":pull"
	}
	switch {
	case s.model.ClosedSide:
		problem(w, http.StatusForbidden, "DENIED")
	case !ok:
		http.NotFound(w, r)
	case !s.authorized(r, scope):
		challenge := fmt.Sprintf(`Bearer realm="https://%s/auth",service="%s"`, TokenHost, s.service())
		if scope != "" {
			challenge += `,scope="` + scope + `"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
	case path == "":
		_, _ = fmt.Fprint(w, "{}")
	case kind == "tags":
		s.serveTagList(w, repository)
	case kind == "manifests":
		s.serveManifest(w, repository, reference)
	default:
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED") // _catalog
	}
}

// splitSide splits "<repository>/tags/list" and "<repository>/manifests/<reference>".
func splitSide(path string) (repository, kind, reference string) {
	if repository, ok := strings.CutSuffix(path, "/tags/list"); ok {
		return repository, "tags", ""
	}
	if i := strings.LastIndex(path, "/manifests/"); i >= 0 {
		return path[:i], "manifests", path[i+len("/manifests/"):]
	}
	return "", "", ""
}

func (s *Server) authorized(r *http.Request, scope string) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	scopes, ok := s.tokens[token]
	if scope == "" {
		return ok
	}
	for _, have := range scopes {
		if have == scope && !s.model.NoPull {
			return true
		}
	}
	return false
}

// serveToken makes a token for a login that holds.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	temporary, ok := s.logins[user]
	good := ok && temporary.password == password && s.model.Now().Before(temporary.until)
	if own, ok := s.model.Logins[user]; ok && own == password {
		good = true
	}
	if !good || r.URL.Query().Get("service") != s.service() {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	token := fmt.Sprintf("token-%d", len(s.tokens)+1)
	s.tokens[token] = r.URL.Query()["scope"]
	_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
}

func (s *Server) serveTagList(w http.ResponseWriter, path string) {
	r := s.model.find(func(r *Repository) bool { return r.Path == path })
	if r == nil {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	names := make([]string, len(r.Tags))
	for i, t := range r.Tags {
		names[i] = t.Name
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": path, "tags": names})
}

func (s *Server) serveManifest(w http.ResponseWriter, path, reference string) {
	if r := s.model.find(func(r *Repository) bool { return r.Path == path }); r != nil {
		for _, t := range r.Tags {
			digest := "sha256:" + strings.TrimPrefix(t.Digest, "sha256:")
			m, ok := s.model.Manifests[digest]
			if ok && (t.Name == reference || digest == reference) {
				w.Header().Set("Content-Type", m.MediaType)
				w.Header().Set("Docker-Content-Digest", digest)
				_, _ = w.Write(m.Body)
				return
			}
		}
	}
	problem(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
}

// problem is an error of the registry side.
func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, code)
}
