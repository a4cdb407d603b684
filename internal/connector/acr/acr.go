// Package acr reads Alibaba Cloud Container Registry, Personal and Enterprise
// Edition.
//
// It knows the two APIs by which these list repositories and tags (cr
// 2016-06-07 and cr 2018-12-01), and leaves to package oci what their registry
// side has in common with every other: manifests, and all of it for a user who
// is no access key. It must not know what becomes of the rows.
//
// What the lists do not say is whether a digest is an image: they have no media
// type, and a digest with a configuration may be anything. So the manifest of
// every digest that is new is read on the registry side, once, by a password
// that the API gives out for an hour. A digest whose manifest cannot be read is
// not guessed. Two things follow from the APIs: untagged images are not listed,
// and every tag is listed at every reading, for nobody has shown that
// ModifiedTime moves with them.
package acr

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/oci"
	"portolan/internal/sign"
)

const (
	// QPS is how many calls a second all registries that are read by one access
	// key may make together. The product publishes no figure; Harbor, which
	// reads the same APIs, ships with 15 for a whole account.
	QPS = 10
	// pageSize is the largest page of Enterprise Edition.
	pageSize = 100
	// maxPages bounds one list, at a million entries.
	maxPages = 10_000
	// maxCatalogue bounds the list of repositories, which is held in memory: an
	// instance has at most 5,000.
	maxCatalogue = 1_000
	// maxWalks is how often a list that changes while it is read is begun.
	maxWalks = 3
	// maxHeld is the longest list of tags that is held until it is read to its
	// end, so that it can be begun again unnoticed. Longer ones are handed on
	// page by page.
	maxHeld = 5_000
)

// source reads one registry by an access key.
type source struct {
	config connector.Config
	key    sign.Key

	mu      sync.Mutex
	edition edition // nil until the registry said what it is

	side *side
}

var _ connector.Announcer = (*source)(nil)

// Open makes a source. It sends nothing. A user name that is an access key's id
// reads by the API; the secret, which the password is then, only signs.
func Open(c connector.Config) (connector.Source, error) {
	if c.BaseURL == nil || c.BaseURL.Host == "" || c.Client == nil {
		return nil, connector.Errorf(portolan.ServerFailure, "a registry needs an address")
	}
	if c.BaseURL.Scheme != "https" {
		return nil, connector.Errorf(portolan.TLSFailure, "%s of Alibaba Cloud is spoken to by HTTPS only.", c.BaseURL.Host).
			WithRemedy("Choose protocol HTTPS.")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if !isAccessKey(c.Credential.UserName) {
		return openLogin(c)
	}
	s := &source{config: c, key: sign.Key{ID: c.Credential.UserName, Secret: c.Credential.Password}}
	s.side = &side{
		config: c, manifests: oci.NewManifests(c.BaseURL), fetching: make(chan struct{}, 1),
		login: func(ctx context.Context) (temporary, error) {
			e, err := s.find(ctx)
			if err != nil {
				return temporary{}, err
			}
			return e.login(ctx)
		},
	}
	return s, nil
}

// isAccessKey reports whether a user name is the id of an access key: those of
// users begin with LTAI, and no login name of the registry side does.
func isAccessKey(user string) bool {
	rest, ok := strings.CutPrefix(user, "LTAI")
	for _, c := range rest {
		ok = ok && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
	}
	return ok
}

// apiClient is the client without redirects: a signed request goes to the host
// that it was signed for, and nowhere else.
func (s *source) apiClient() *http.Client {
	client := *s.config.Client
	client.Jar = nil
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
