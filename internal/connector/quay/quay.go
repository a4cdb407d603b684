// Package quay reads quay.io and self-hosted Quay through its API v1, in the
// name of OAuth tokens, one an organisation: repositories, tags, and the
// manifest of every digest that is new.
//
// It knows how Quay answers and nothing of what is done with it. Facts of the
// wire were read in Quay's source (quay/quay at ffba0c7); what it announces in
// its documentation and does otherwise is said where it matters.
package quay

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"portolan"
	"portolan/internal/connector"
)

const (
	product = "Quay"
	// tagPage is the longest page of tags; Quay clamps more without a word.
	tagPage = 100
	// atOnce is how many tags the answer for one repository has at most: a list
	// of so many may be cut (max_tags in endpoints/api/repository.py).
	atOnce = 500
	// maxPages bounds one list, at a million entries and more.
	maxPages = 20_000
	// tokenUser is the user name with which the registry takes an OAuth token
	// for a password (auth/credential_consts.py).
	tokenUser = "$oauthtoken"
	// scopeName is the right that a token needs, as Quay calls it.
	scopeName = "repo:read"
)

// source reads one Quay.
type source struct {
	base   *url.URL
	client *http.Client
	// organisations are those to be read, by name.
	organisations []organisation
	scope         []string
	// idle are organisations with a token that the scope leaves out.
	idle []string
	// login tells that there is a user name or a password.
	login bool
	// tagPage and atOnce are the constants of these names, less in tests.
	tagPage, atOnce int
	crew            *connector.Crew
	// recognised is set when Quay has answered as such.
	recognised atomic.Bool
}

// organisation is a namespace of Quay: an organisation, or a user's own.
type organisation struct {
	name  string
	token string // "" for anonymous reading
	// registry speaks the Distribution API for what the other API does not tell.
	registry *connector.Authenticator
}

// Open makes a source of a Quay. It sends nothing.
//
// Read are the organisations that the scope names, or without a scope those
// that have an auth token. Each is read with its own token; one without a
// token is read anonymously, so that it shows its public repositories alone.
// User name and password serve the Distribution API only.
func Open(c connector.Config) (connector.Source, error) {
	if c.BaseURL == nil || c.BaseURL.Host == "" || c.Client == nil {
		return nil, connector.Errorf(portolan.ServerFailure, "a registry needs an address")
	}
	client := *c.Client
	client.Jar = nil // a cookie of Quay is a session, which would speak beside the token
	c.Client = &client
	s := &source{
		base: c.BaseURL, client: &client, scope: c.Scope, tagPage: tagPage, atOnce: atOnce, crew: connector.NewCrew(workers),
		login: c.Credential.UserName != "" || c.Credential.Password != "",
	}
	names := firstSegments(c.Scope)
	for name := range c.Credential.AuthTokens {
		if len(c.Scope) == 0 {
			names = append(names, name)
		} else if !slices.Contains(names, name) {
			s.idle = append(s.idle, name)
		}
	}
	slices.Sort(names)
	slices.Sort(s.idle)
	for _, name := range slices.Compact(names) {
		s.organisations = append(s.organisations, newOrganisation(c, name))
	}
	return s, nil
}

func newOrganisation(c connector.Config, name string) organisation {
	o := organisation{name: name, token: c.Credential.AuthTokens[name]}
	if c.Credential.UserName == "" && o.token != "" {
		c.Credential = portolan.Credential{UserName: tokenUser, Password: o.token}
	}
	o.registry = connector.NewAuthenticator(c)
	return o
}

// firstSegments are the organisations that a scope names.
func firstSegments(scope []string) []string {
	var names []string
	for _, prefix := range scope {
		name, _, _ := strings.Cut(strings.Trim(prefix, "/"), "/")
		names = append(names, name)
	}
	return names
}

// of answers the organisation that a repository belongs to. One that is not to
// be read any more is asked anonymously.
func (s *source) of(path string) organisation {
	name, _, _ := strings.Cut(path, "/")
	i := slices.IndexFunc(s.organisations, func(o organisation) bool { return o.name == name })
	if i < 0 {
		anonymous := connector.Config{BaseURL: s.base, Client: s.client}
		return organisation{name: name, registry: connector.NewAuthenticator(anonymous)}
	}
	return s.organisations[i]
}
