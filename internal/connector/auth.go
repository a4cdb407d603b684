package connector

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"portolan"
)

// Authenticator answers the challenges of one registry that speaks the OCI
// Distribution API: Basic, and the token flow of distribution's token.md. It
// sends credentials to the registry's own host and to the token realm that
// the registry names, nowhere else. Its methods may be called at once.
type Authenticator struct {
	client     *http.Client
	base       *url.URL
	credential portolan.Credential
	now        func() time.Time
	fetching   chan struct{} // holds one while a token is fetched

	mu       sync.Mutex
	standing *challenge // what the registry asked for first, nil if nothing yet
	insisted bool       // standing is our own idea
	grants   map[string]grant
	ahead    []string // repositories that will be read soon
	reached  int      // where in ahead the last one was found
	strikes  int      // times that a token for many repositories failed for one
	post     bool     // the token server takes only POST
	refresh  string
	proven   bool // Basic credentials were accepted once
}

// grant is what an Authorization header says, and until when to say it.
type grant struct {
	header string
	scheme string    // "basic", "bearer"; "" when nobody asked yet
	renew  time.Time // zero for ever
	shared bool      // a token for many repositories
	scopes string    // what the token was asked for
}

const (
	basic        = "basic"
	bearer       = "bearer"
	scopePing    = ""
	scopeCatalog = "registry:catalog:*"

	maxBatch      = 20
	maxBatchBytes = 2_000
	maxStrikes    = 3
	maxAhead      = 200_000
	maxGrants     = 2_000
	maxAttempts   = 4
)

// NewAuthenticator makes an Authenticator for the registry of c.
func NewAuthenticator(c Config) *Authenticator {
	now := c.Now
	if now == nil {
		now = time.Now
	}
	return &Authenticator{
		client: c.Client, base: c.BaseURL, credential: c.Credential, now: now,
		fetching: make(chan struct{}, 1), grants: map[string]grant{},
	}
}

// Ping answers a Doer for requests that need no scope, as GET /v2/.
func (a *Authenticator) Ping() Doer { return session{a, scopePing, "/v2/"} }

// Catalog answers a Doer for the list of repositories.
func (a *Authenticator) Catalog() Doer { return session{a, scopeCatalog, "the list of repositories"} }

// Pull answers a Doer for reading a repository.
func (a *Authenticator) Pull(repository string) Doer {
	return session{a, pullScope(repository), "repository " + repository}
}

// Announce tells which repositories will be read soon, so that one token can
// serve many of them.
func (a *Authenticator) Announce(repositories []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if over := len(a.ahead) + len(repositories) - maxAhead; over > 0 {
		drop := min(over, len(a.ahead))
		a.ahead, a.reached = slices.Clone(a.ahead[drop:]), max(0, a.reached-drop)
	}
	a.ahead = append(a.ahead, repositories...)
}

// Renew drops what proves the identity, so that the next Ping proves it anew.
func (a *Authenticator) Renew() {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.grants, scopePing)
}

// Insist sends the credentials although the registry has not asked for them:
// some show more to those who log in, and refuse a wrong password. It answers
// whether that is new.
func (a *Authenticator) Insist() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.standing != nil {
		return false
	}
	a.standing, a.insisted = &challenge{scheme: basic}, true
	return true
}

// Challenged reports whether the registry has asked for credentials.
func (a *Authenticator) Challenged() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.standing != nil && !a.insisted
}

// Service is the name that the registry gave itself in its challenge.
func (a *Authenticator) Service() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.standing == nil {
		return ""
	}
	return a.standing.params["service"]
}

// Anonymous reports whether there are no credentials.
func (a *Authenticator) Anonymous() bool {
	return a.credential.UserName == "" && a.credential.Password == ""
}

// session is the authenticator with one scope.
type session struct {
	auth  *Authenticator
	scope string
	what  string
}

// Do implements Doer. It sets the request's Authorization. A 401 becomes an error when nothing is left to try.
func (s session) Do(req *http.Request) (*http.Response, error) {
	a := s.auth
	if req.URL.Scheme != a.base.Scheme || req.URL.Host != a.base.Host {
		return nil, Errorf(portolan.ServerFailure, "%s leads to another host.", a.base.Host)
	}
	g, fresh, err := a.grant(req.Context(), s.scope)
	shared := false
	for attempt := 1; err == nil; attempt++ {
		if attempt > 1 { // the one that was refused may still be looked at
			req = req.Clone(req.Context())
		}
		req.Header.Del("Authorization")
		if g.header != "" {
			req.Header.Set("Authorization", g.header)
		}
		resp, err := a.client.Do(req)
		if err != nil {
			return nil, err
		}
		refused := resp.StatusCode == http.StatusUnauthorized
		if refused && elsewhere(resp) || s.scope == scopePing && lostCredential(resp) { // a ping proves who we are
			discard(resp)
			return nil, redirects(nil, a.base.Host)
		}
		if !refused {
			a.accepted(g, shared)
			return resp, nil
		}
		offered := challenges(resp.Header)
		discard(resp)
		if attempt == maxAttempts {
			return nil, s.denied(g)
		}
		shared = shared || g.shared
		if g, fresh, err = s.again(req.Context(), offered, g, fresh); err != nil {
			return nil, err
		}
	}
	return nil, err
}

// accepted draws conclusions from a grant that worked: the credentials are
// good, or a token of its own worked where a shared one did not.
func (a *Authenticator) accepted(g grant, sharedFailed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proven = a.proven || g.scheme == basic
	if sharedFailed && !g.shared {
		a.strikes++
	}
}

// grant answers what to send before anything is refused: a grant in hand, or
// one that the registry's earlier challenge lets us get.
func (a *Authenticator) grant(ctx context.Context, scope string) (g grant, fresh bool, err error) {
	g, standing := a.inHand(scope)
	if g.scheme != "" || standing == nil {
		return g, false, nil
	}
	if standing.scheme == basic {
		return a.basicGrant(), false, nil
	}
	return a.fetch(ctx, scope, *standing, g)
}

// inHand answers the grant for a scope that is still good.
func (a *Authenticator) inHand(scope string) (grant, *challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.grants[scope]
	if !ok || !g.good(a.now()) {
		return grant{}, a.standing
	}
	return g, a.standing
}

func (g grant) good(now time.Time) bool { return g.renew.IsZero() || now.Before(g.renew) }

func (a *Authenticator) basicGrant() grant {
	if a.Anonymous() {
		return grant{}
	}
	text := a.credential.UserName + ":" + a.credential.Password
	return grant{scheme: basic, header: "Basic " + base64.StdEncoding.EncodeToString([]byte(text))}
}

// again finds another grant after old was refused.
func (s session) again(ctx context.Context, offered []challenge, old grant, fresh bool) (grant, bool, error) {
	c, ok := choose(offered)
	if !ok && old.scheme != "" {
		return grant{}, false, s.denied(old)
	}
	if !ok { // a 401 that does not say what it wants
		c = challenge{scheme: basic}
	}
	s.auth.learn(c)
	if c.scheme == bearer {
		own := c.params["scope"]
		if fresh && old.scheme == bearer && !old.shared && (own == "" || own == old.scopes) {
			return grant{}, false, s.denied(old)
		}
		return s.auth.fetch(ctx, s.scope, c, old)
	}
	if old.scheme == basic || s.auth.Anonymous() {
		return grant{}, false, s.denied(old)
	}
	g := s.auth.basicGrant()
	s.auth.keep(g, s.scope)
	return g, true, nil
}

// choose prefers a token over the password.
func choose(offered []challenge) (challenge, bool) {
	for _, scheme := range []string{bearer, basic} {
		for _, c := range offered {
			if c.scheme == scheme && (scheme == basic || c.params["realm"] != "") {
				return c, true
			}
		}
	}
	return challenge{}, false
}

// learn keeps what the registry asks for. One that asks for a token here and
// a password there (Harbor's catalogue) stays known for what it asked first.
// The scope is the refused request's alone.
func (a *Authenticator) learn(c challenge) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.standing == nil || a.insisted || a.standing.scheme == c.scheme {
		a.standing = &challenge{scheme: c.scheme, params: map[string]string{"realm": c.params["realm"], "service": c.params["service"]}}
		a.insisted = false
	}
}

// keep remembers a grant for the scopes.
func (a *Authenticator) keep(g grant, scopes ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.grants) > maxGrants {
		for scope, old := range a.grants {
			if !old.good(a.now()) {
				delete(a.grants, scope)
			}
		}
	}
	for _, scope := range scopes {
		a.grants[scope] = g
	}
}

// denied says why a 401 is final.
func (s session) denied(g grant) error {
	a, cause := s.auth, &StatusError{Status: http.StatusUnauthorized}
	a.mu.Lock()
	proven := a.proven
	a.mu.Unlock()
	switch {
	case a.Anonymous() && s.scope == scopePing:
		return because(cause, portolan.BadCredentials, "%s asks for a user name and a password.", a.base.Host).
			WithRemedy("Enter a user name and a password or token.")
	case a.Anonymous():
		return because(cause, portolan.Forbidden, "%s does not show %s to anonymous readers.", a.base.Host, s.what).
			WithRemedy("Enter a user name and a password or token.")
	case g.scheme == bearer, proven && s.scope != scopePing:
		return because(cause, portolan.Forbidden, "Logged in at %s as %s, but may not read %s.", a.base.Host, a.credential.UserName, s.what).
			WithRemedy("Give the account the right to list and pull.")
	}
	return badCredentials(cause, a.base.Host)
}

func badCredentials(cause error, host string) *Error {
	return because(cause, portolan.BadCredentials, "User name or password not accepted by %s.", host).
		WithRemedy("Enter the user name and the password or token again.")
}
