package connector

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"portolan"
)

const (
	// clientID is what the token flow of OAuth2 calls us.
	clientID = "portolan"
	// tokenLife holds when the answer states none (distribution's token.md).
	tokenLife    = time.Minute
	maxTokenLife = time.Hour
	maxToken     = 64 << 10
)

// tokenAnswer is the answer of a token server.
type tokenAnswer struct {
	Token        string  `json:"token"`
	AccessToken  string  `json:"access_token"`
	ExpiresIn    float64 `json:"expires_in"`
	RefreshToken string  `json:"refresh_token"`
}

func pullScope(repository string) string { return "repository:" + repository + ":pull" }

// fetch gets a token for the scope, and while at it for repositories that
// will be read soon. One is fetched at a time: who waited may find that the
// token which came meanwhile serves them too.
func (a *Authenticator) fetch(ctx context.Context, scope string, c challenge, old grant) (grant, bool, error) {
	select {
	case a.fetching <- struct{}{}:
		defer func() { <-a.fetching }()
	case <-ctx.Done():
		return grant{}, false, context.Cause(ctx)
	}
	if g, _ := a.inHand(scope); g.scheme != "" && g.header != old.header {
		return g, false, nil
	}
	scopes := []string{scope}
	if !old.shared {
		scopes = a.batch(scope)
	}
	g, err := a.fetchFor(ctx, c, scopes)
	if _, refused := errors.AsType[*StatusError](err); refused && len(scopes) > 1 {
		scopes = scopes[:1]
		if g, err = a.fetchFor(ctx, c, scopes); err == nil {
			a.accepted(g, true)
		}
	}
	if err != nil {
		return grant{}, false, err
	}
	a.keep(g, scopes...)
	return g, true, nil
}

// batch answers the scope and those of repositories announced after it that
// have no token yet, as many as fit in an address.
func (a *Authenticator) batch(scope string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	scopes := []string{scope}
	at := a.find(scope)
	if at < 0 || a.strikes >= maxStrikes {
		return scopes
	}
	size := len(scope)
	for _, repository := range a.ahead[at+1:] {
		s := pullScope(repository)
		if g, ok := a.grants[s]; ok && g.good(a.now()) || slices.Contains(scopes, s) {
			continue
		}
		if size += len(s); len(scopes) == maxBatch || size > maxBatchBytes {
			break
		}
		scopes = append(scopes, s)
	}
	return scopes
}

// find answers where a scope's repository was announced, -1 if it was not.
// The search goes on from the last hit: they come nearly in order.
func (a *Authenticator) find(scope string) int {
	repository, ok := strings.CutSuffix(strings.TrimPrefix(scope, "repository:"), ":pull")
	if !ok {
		return -1
	}
	if i := slices.Index(a.ahead[a.reached:], repository); i >= 0 {
		a.reached += i
		return a.reached
	}
	return slices.Index(a.ahead[:a.reached], repository)
}

// fetchFor gets one token for all the scopes.
func (a *Authenticator) fetchFor(ctx context.Context, c challenge, scopes []string) (grant, error) {
	realm, err := a.realm(c)
	if err != nil {
		return grant{}, err
	}
	shared := len(scopes) > 1
	if own := c.params["scope"]; !shared && own != "" {
		scopes = strings.Fields(own) // the registry may name its rights otherwise
	}
	started := a.now()
	answer, err := a.ask(ctx, realm, c.params["service"], scopes)
	if err != nil {
		return grant{}, a.tokenRefused(err, realm.Host)
	}
	token := answer.Token
	if token == "" {
		token = answer.AccessToken
	}
	if !isToken(token) {
		return grant{}, Errorf(portolan.ServerFailure, "%s answered no token.", realm.Host)
	}
	life := tokenLife
	if answer.ExpiresIn > 0 {
		life = time.Duration(min(answer.ExpiresIn, maxTokenLife.Seconds()) * float64(time.Second))
	}
	return grant{
		scheme: bearer, header: "Bearer " + token, renew: started.Add(life * 8 / 10), shared: shared, scopes: strings.Join(scopes, " "),
	}, nil
}

// realm answers where tokens are made: over the registry's scheme or https.
func (a *Authenticator) realm(c challenge) (*url.URL, error) {
	u, err := a.base.Parse(c.params["realm"])
	if err != nil || u.Host == "" || u.User != nil {
		return nil, Errorf(portolan.ServerFailure, "%s names a token server that cannot be used.", a.base.Host)
	}
	if u.Scheme != a.base.Scheme && u.Scheme != "https" {
		return nil, Errorf(portolan.ServerFailure, "%s wants the password sent to %s without encryption; it was not sent.", a.base.Host, u.Host).
			WithRemedy("Correct the address of the token server in the registry's configuration.")
	}
	return u, nil
}

// ask sends the request for a token: GET, or POST where GET is not accepted.
func (a *Authenticator) ask(ctx context.Context, realm *url.URL, service string, scopes []string) (tokenAnswer, error) {
	a.mu.Lock()
	post := a.post
	a.mu.Unlock()
	if !post {
		answer, err := a.askByGet(ctx, realm, service, scopes)
		status, refused := errors.AsType[*StatusError](err)
		notAccepted := refused && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed)
		if !notAccepted || a.Anonymous() {
			return answer, err
		}
	}
	return a.askByPost(ctx, realm, service, scopes)
}

func (a *Authenticator) askByGet(ctx context.Context, realm *url.URL, service string, scopes []string) (tokenAnswer, error) {
	u := *realm
	query := u.Query()
	query.Set("client_id", clientID)
	if service != "" {
		query.Set("service", service)
	}
	for _, s := range scopes {
		if s != "" {
			query.Add("scope", s)
		}
	}
	header := http.Header{}
	if !a.Anonymous() {
		query.Set("account", a.credential.UserName)
		header.Set("Authorization", a.basicGrant().header)
	}
	u.RawQuery = query.Encode()
	var answer tokenAnswer
	_, err := GetJSON(ctx, a.client, &u, header, maxToken*4, &answer)
	if err == nil && answer.RefreshToken != "" {
		a.mu.Lock()
		a.refresh = answer.RefreshToken
		a.mu.Unlock()
	}
	return answer, err
}

// askByPost sends the form of OAuth2 (distribution's oauth.md).
func (a *Authenticator) askByPost(ctx context.Context, realm *url.URL, service string, scopes []string) (tokenAnswer, error) {
	a.mu.Lock()
	refresh := a.refresh
	a.mu.Unlock()
	form := url.Values{"client_id": {clientID}, "service": {service}, "scope": {strings.TrimSpace(strings.Join(scopes, " "))}}
	if refresh != "" {
		form.Set("grant_type", "refresh_token")
		form.Set("refresh_token", refresh)
	} else {
		form.Set("grant_type", "password")
		form.Set("username", a.credential.UserName)
		form.Set("password", a.credential.Password)
	}
	var answer tokenAnswer
	err := a.postForm(ctx, realm, form, &answer)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.refresh = "" // it may have ended; the password works longer
		return answer, err
	}
	a.post = true
	if answer.RefreshToken != "" {
		a.refresh = answer.RefreshToken
	}
	return answer, nil
}

func (a *Authenticator) postForm(ctx context.Context, u *url.URL, form url.Values, v any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return Errorf(portolan.ServerFailure, "%s names a token server that cannot be used: %w", a.base.Host, err)
	}
	req.GetBody = nil // a redirect must not carry the form elsewhere
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := a.client.Do(req)
	if err != nil {
		return failure(u, err)
	}
	if resp.StatusCode != http.StatusOK {
		return refusal(resp)
	}
	body, err := readBody(resp, maxToken*4)
	if err != nil {
		return err
	}
	return decodeJSON(u.Host, resp.Header, body, v)
}

// tokenRefused says what a refusal of the token server means.
func (a *Authenticator) tokenRefused(err error, host string) error {
	status, ok := errors.AsType[*StatusError](err)
	if !ok || status.Status != http.StatusUnauthorized {
		return err
	}
	if a.Anonymous() {
		return because(status, portolan.BadCredentials, "%s asks for a user name and a password.", host).
			WithRemedy("Enter a user name and a password or token.")
	}
	return badCredentials(status, host)
}

// isToken reports whether s can be sent in a header.
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return s != "" && len(s) <= maxToken
}
