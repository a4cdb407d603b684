// Package oci reads any registry that speaks the OCI Distribution API:
// distribution 2.8 and 3, zot, and others by the specification.
//
// It knows that API, the signs by which products differ and the one list of
// zot's own that spares thousands of requests, and nothing of Portolan's store
// or of what becomes of the rows.
//
// What a list holds is found by asking for the digest of every tag (HEAD), and
// for the manifest of every digest that is new (GET, once). Two things follow
// from the API: untagged images are not listed, and a reading that was
// interrupted resumes by Known.Resolved, since a tag list has no cursor that
// all registries honour.
package oci

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// Open makes a source. It sends nothing.
func Open(c connector.Config) (connector.Source, error) {
	if c.BaseURL == nil || c.BaseURL.Host == "" || c.Client == nil {
		return nil, connector.Errorf(portolan.ServerFailure, "a registry needs an address")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &source{
		base: c.BaseURL, scope: c.Scope, client: c.Client, now: c.Now,
		auth: connector.NewAuthenticator(c), user: c.Credential.UserName, facts: newFactsCache(),
		crew: connector.NewCrew(workers),
	}
	s.search.loading = make(chan struct{}, 1)
	s.catalogPage.Store(pageSize)
	s.tagPage.Store(pageSize)
	s.chunkSize.Store(minChunk)
	return s, nil
}

// source implements connector.Source.
type source struct {
	base   *url.URL
	scope  []string
	client *http.Client
	now    func() time.Time
	auth   *connector.Authenticator
	user   string
	facts  *factsCache
	crew   *connector.Crew

	// Page sizes that this registry accepts.
	catalogPage, tagPage atomic.Int64
	// chunkSize is how many tags are a chunk at first.
	chunkSize atomic.Int64
	// headless is set when HEAD does not tell digests here.
	headless atomic.Bool
	// product is found out once.
	product atomic.Pointer[product]
	search  search
}

// address makes the address of a path under /v2/ and a last part, which is one
// segment whatever it holds.
func (s *source) address(path, last string) *url.URL {
	u, prefix := *s.base, url.URL{Path: "/v2/" + path}
	u.Path, u.RawPath = prefix.Path+last, parameters.Replace(prefix.EscapedPath())+url.PathEscape(last)
	return &u
}

// parameters escapes what some servers take for parameters of a segment.
var parameters = strings.NewReplacer(";", "%3B", ",", "%2C")

// repository makes the address of something of a kind in a repository.
func (s *source) repository(path, kind, reference string) (*url.URL, error) {
	for segment := range strings.SplitSeq(path, "/") {
		if !askable(segment) {
			return nil, s.notAskable(segment)
		}
	}
	if !askable(reference) {
		return nil, s.notAskable(reference)
	}
	return s.address(path+"/"+kind+"/", reference), nil
}

func askable(name string) bool {
	return name != "" && name != "." && name != ".." && portolan.Printable(name)
}

func (s *source) notAskable(name string) error {
	return connector.Errorf(portolan.ServerFailure, "%s lists %q, which is not a name that can be asked for.", s.base.Host, name)
}
