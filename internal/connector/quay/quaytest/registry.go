package quaytest

import (
	"net/http"
	"slices"
	"strings"
)

// registry answers the Distribution API, as far as manifests are read: a token
// of /v2/auth is asked for, and is the login itself here.
func (s *Server) registry(r *http.Request, path string) answer {
	if path == "auth" {
		return s.registryToken(r)
	}
	name, digest, found := strings.Cut(path, "/manifests/")
	bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	repository := s.model.Find(name)
	if !isBearer || repository == nil || !repository.Public && bearer != "jwt-"+name {
		return s.challenge(r, name)
	}
	m, stored := repository.Manifests[digest]
	if !found || !stored || m.Data == "" {
		return answer{status: http.StatusNotFound, header: http.Header{"Content-Type": {"application/json"}}, body: `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}`}
	}
	return answer{status: http.StatusOK, header: http.Header{"Content-Type": {m.MediaType}, "Docker-Content-Digest": {digest}}, body: m.Data}
}

func (s *Server) challenge(r *http.Request, name string) answer {
	scheme := "http"
	if r.TLS != nil || r.URL.Scheme == "https" {
		scheme = "https"
	}
	challenge := `Bearer realm="` + scheme + "://" + r.Host + `/v2/auth",service="` + r.Host + `",scope="repository:` + name + `:pull"`
	return answer{
		status: http.StatusUnauthorized, header: http.Header{"Content-Type": {"application/json"}, "WWW-Authenticate": {challenge}},
		body: `{"errors":[{"code":"UNAUTHORIZED","message":"access to the requested resource is not authorized"}]}`,
	}
}

// registryToken answers GET /v2/auth: a token of a robot, or of an OAuth token
// for the password of $oauthtoken. It does not say how long it lives.
func (s *Server) registryToken(r *http.Request) answer {
	scope := strings.TrimSuffix(strings.TrimPrefix(r.URL.Query().Get("scope"), "repository:"), ":pull")
	namespace, _, _ := strings.Cut(scope, "/")
	user, secret, login := r.BasicAuth()
	allowed := slices.Contains(s.model.Logins, Login{user, secret})
	if user == "$oauthtoken" {
		i := slices.IndexFunc(s.model.Tokens, func(t Token) bool { return t.Secret == secret && !t.Expired })
		allowed = i >= 0
		if allowed && (!s.model.Tokens[i].may("repo:read") || !s.model.Tokens[i].given(namespace, scope)) {
			return ok(map[string]any{"token": "jwt-without-rights"})
		}
	}
	switch {
	case login && !allowed:
		return answer{status: http.StatusUnauthorized, header: http.Header{"Content-Type": {"application/json"}}, body: `{"errors":[{"code":"UNAUTHORIZED"}]}`}
	case !login:
		return ok(map[string]any{"token": "jwt-anonymous"})
	}
	return ok(map[string]any{"token": "jwt-" + scope})
}
