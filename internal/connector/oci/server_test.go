package oci_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"portolan/internal/connector/connectortest"
)

// server speaks the Distribution API for a model as distribution 3 does.
type server struct {
	model    *connectortest.Model
	pageSize int
	bearer   bool
	mu       sync.Mutex
	tokens   map[string][]string // scopes by token
	issued   int
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		s.serveToken(w, r)
		return
	}
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	path, ok := strings.CutPrefix(r.URL.Path, "/v2/")
	if !ok || strings.HasPrefix(path, "_zot") {
		http.NotFound(w, r)
		return
	}
	i := max(strings.LastIndex(path, "/tags/list"), strings.LastIndex(path, "/manifests/"))
	repository := path[:max(i, 0)]
	if !s.allowed(w, r, path, repository) {
		return
	}
	switch {
	case path == "":
		_, _ = fmt.Fprint(w, "{}")
	case path == "_catalog":
		var names []string
		for _, repository := range s.model.Repositories() {
			names = append(names, repository.Path)
		}
		s.servePage(w, r, "repositories", names)
	case strings.HasSuffix(path, "/tags/list"):
		s.serveTags(w, r, repository)
	default:
		s.serveManifest(w, r, repository, path[i+len("/manifests/"):])
	}
}

func (s *server) allowed(w http.ResponseWriter, r *http.Request, path, repository string) bool {
	if !s.bearer {
		user, password, _ := r.BasicAuth()
		if user == connectortest.Credential.UserName && password == connectortest.Credential.Password {
			return true
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return false
	}
	scope := ""
	switch {
	case path == "_catalog":
		scope = "registry:catalog:*"
	case path != "":
		scope = "repository:" + repository + ":pull"
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	scopes, ok := s.tokens[token]
	s.mu.Unlock()
	if ok && (scope == "" || slices.Contains(scopes, scope)) {
		return true
	}
	challenge := `Bearer realm="/token",service="test"`
	if scope != "" {
		challenge += `,scope="` + scope + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
	return false
}

func (s *server) serveToken(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if user != connectortest.Credential.UserName || password != connectortest.Credential.Password {
		problem(w, http.StatusUnauthorized, "UNAUTHORIZED")
		return
	}
	scopes := r.URL.Query()["scope"]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[string][]string{}
	}
	s.issued++
	token := "token-" + strconv.Itoa(s.issued)
	s.tokens[token] = scopes
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":300}`, token)
}

// revoke makes all tokens invalid.
func (s *server) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *server) serveTags(w http.ResponseWriter, r *http.Request, path string) {
	repository, ok := s.model.Repository(path)
	if !ok {
		problem(w, http.StatusNotFound, "NAME_UNKNOWN")
		return
	}
	tags := []string{}
	for _, image := range repository.Images {
		tags = append(tags, image.Tags...)
	}
	slices.Sort(tags)
	s.servePage(w, r, "tags", tags)
}

func (s *server) servePage(w http.ResponseWriter, r *http.Request, field string, names []string) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	n = min(n, s.pageSize)
	last := r.URL.Query().Get("last")
	start, found := slices.BinarySearch(names, last)
	if found {
		start++
	}
	page := names[start:]
	if len(page) >= n && n > 0 {
		page = page[:n]
		next := url.Values{"n": {strconv.Itoa(n)}, "last": {page[n-1]}}
		w.Header().Set("Link", "<"+r.URL.EscapedPath()+"?"+next.Encode()+`>; rel="next"`)
	}
	if page == nil {
		page = []string{}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{field: page})
}

func (s *server) serveManifest(w http.ResponseWriter, r *http.Request, path, reference string) {
	repository, _ := s.model.Repository(path)
	for _, image := range repository.Images {
		if string(image.Digest) == reference || slices.Contains(image.Tags, reference) {
			w.Header().Set("Content-Type", image.MediaType)
			w.Header().Set("Docker-Content-Digest", string(image.Digest))
			_, _ = w.Write(image.Manifest)
			return
		}
	}
	problem(w, http.StatusNotFound, "MANIFEST_UNKNOWN")
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"errors":[{"code":%q,"message":"no"}]}`, code)
}
