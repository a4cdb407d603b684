package acr

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/oci"
)

const (
	// renewBefore is how early a login is replaced.
	renewBefore = 5 * time.Minute
	// loginLife holds when the answer states none. It is 1 hour by what is
	// known (unverified).
	loginLife = 15 * time.Minute
	maxAhead  = 10_000
)

// side is the registry side: the Distribution API at the registry's own host,
// with a password that the API gives out for an hour.
type side struct {
	config    connector.Config
	manifests *oci.Manifests
	login     func(context.Context) (temporary, error)
	fetching  chan struct{} // holds one while a login or a challenge is fetched

	mu    sync.Mutex
	auth  *connector.Authenticator
	until time.Time
	ahead []string // repositories that will be read soon
}

// temporary checks what the API gave out.
func (a *api) temporary(c call, user, password string, until number) (temporary, error) {
	if user == "" || password == "" {
		return temporary{}, connector.Errorf(portolan.ServerFailure, "%s gave out no login when %s.", a.host, c.doing)
	}
	t := temporary{credential: portolan.Credential{UserName: user, Password: password}, until: until.time()}
	if t.until.IsZero() {
		t.until = a.now().Add(loginLife)
	}
	return t, nil
}

// Announce implements connector.Announcer.
func (s *source) Announce(paths []string) { s.side.announce(paths) }

func (s *side) announce(paths []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ahead)+len(paths) > maxAhead {
		s.ahead = nil
	}
	s.ahead = append(s.ahead, paths[:min(len(paths), maxAhead)]...)
	if s.auth != nil {
		s.auth.Announce(paths)
	}
}

// pull answers a Doer for reading a repository. It asks for a login when the
// first request is sent: where every digest is known, none is needed.
func (s *side) pull(path string) connector.Doer { return puller{s, path} }

type puller struct {
	side *side
	path string
}

func (p puller) Do(req *http.Request) (*http.Response, error) {
	auth, err := p.side.authenticator(req.Context())
	if err != nil {
		return nil, err
	}
	if !auth.Challenged() { // one finds out what the registry asks for, for all
		select {
		case p.side.fetching <- struct{}{}:
			defer func() { <-p.side.fetching }()
		case <-req.Context().Done():
			return nil, context.Cause(req.Context())
		}
	}
	return auth.Pull(p.path).Do(req)
}

// authenticator answers one with a login that holds for a while. One is fetched
// at a time; who waited uses it too.
func (s *side) authenticator(ctx context.Context) (*connector.Authenticator, error) {
	if auth := s.inHand(); auth != nil {
		return auth, nil
	}
	select {
	case s.fetching <- struct{}{}:
		defer func() { <-s.fetching }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if auth := s.inHand(); auth != nil {
		return auth, nil
	}
	t, err := s.login(ctx)
	if err != nil {
		return nil, err
	}
	c := s.config
	c.Credential = t.credential
	s.mu.Lock()
	defer s.mu.Unlock()
	s.auth, s.until = connector.NewAuthenticator(c), t.until
	s.auth.Announce(s.ahead)
	return s.auth, nil
}

func (s *side) inHand() *connector.Authenticator {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.auth == nil || !s.config.Now().Add(renewBefore).Before(s.until) {
		return nil
	}
	return s.auth
}

// explain says what a failure of the registry side means here. What the API
// answered says it already.
func (s *side) explain(err error) error {
	e, ok := errors.AsType[*connector.Error](err)
	if _, api := errors.AsType[*refusal](err); !ok || api {
		return err
	}
	said := *e
	said.Err = err
	switch e.Class {
	case portolan.Forbidden:
		said.Remedy = "Grant the access key's RAM user " + needsPull + ", and allow Portolan's address in the instance's access control. " +
			"Personal instances made since 2024-09-09 let nobody pull at their public name: enter the name within the VPC."
	case portolan.ConnectFailure:
		said.Remedy = openTheDoor
	default:
		return err
	}
	return &said
}
