package connector_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
)

const password = "hidden-secret"

// tokenServer is a registry and its token server in one wire.
type tokenServer struct {
	mu        sync.Mutex
	challenge string
	answer    func(scopes []string, n int) (status int, body string)
	allow     func(path, authorization string) bool
	asked     [][]string // scopes of each token request
	log       []string
}

func (s *tokenServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, r.Method+" "+r.URL.Host+r.URL.Path)
	if strings.HasPrefix(r.URL.Path, "/token") {
		scopes := r.URL.Query()["scope"]
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			s.log = append(s.log, string(body))
			form, _ := url.ParseQuery(string(body))
			scopes = strings.Fields(form.Get("scope"))
		}
		s.asked = append(s.asked, scopes)
		status, body := s.answer(scopes, len(s.asked))
		if s.log[len(s.log)-1] == "GET auth.example.com/token-by-post" {
			status = http.StatusNotFound
		}
		resp := reply(r, status)
		resp.Body = io.NopCloser(strings.NewReader(body))
		return resp, nil
	}
	if s.allow(r.URL.Path, r.Header.Get("Authorization")) {
		return reply(r, http.StatusOK), nil
	}
	return reply(r, http.StatusUnauthorized, "WWW-Authenticate", s.challenge), nil
}

// numbered answers tokens that name their scopes.
func numbered(scopes []string, n int) (int, string) {
	return 200, fmt.Sprintf(`{"token":"t%d=%s","expires_in":100}`, n, strings.Join(scopes, "+"))
}

// covered allows a token that names the path's repository.
func covered(path, authorization string) bool {
	if path == "/v2/" {
		return strings.HasPrefix(authorization, "Bearer ")
	}
	return strings.Contains(authorization, "repository:"+strings.TrimPrefix(path, "/v2/")+":pull")
}

func (s *tokenServer) auth(user string) (*connector.Authenticator, *time.Time) {
	if s.challenge == "" {
		s.challenge = `Bearer realm="https://auth.example.com/token",service="r"`
	}
	now := start
	credential := portolan.Credential{}
	if user != "" {
		credential = portolan.Credential{UserName: user, Password: password}
	}
	return connector.NewAuthenticator(connector.Config{
		BaseURL: &url.URL{Scheme: "https", Host: "r.example.com"}, Credential: credential,
		Client: &http.Client{Transport: s}, Now: func() time.Time { return now },
	}), &now
}

func ask(t *testing.T, d connector.Doer, path string) error {
	t.Helper()
	resp, err := connector.Send(t.Context(), d, http.MethodGet, &url.URL{Scheme: "https", Host: "r.example.com", Path: path}, nil)
	if err == nil {
		_ = resp.Body.Close()
	}
	if err != nil && strings.Contains(fmt.Sprintf("%+v %#v", err, err), password) {
		t.Errorf("%v shows the password", err)
	}
	return err
}

func TestTokenLife(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: numbered, allow: covered}
	a, now := s.auth("reader")
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {79 * time.Second, 1}, {2 * time.Second, 2}, {0, 2}} {
		*now = now.Add(step.after)
		if err := ask(t, a.Pull("a"), "/v2/a"); err != nil {
			t.Fatal(err)
		}
		if len(s.asked) != step.asked {
			t.Fatalf("%d tokens at %s, want %d", len(s.asked), now.Sub(start), step.asked)
		}
	}
}

// TestTokenLifeUnstated: without expires_in a token holds for a minute.
func TestTokenLifeUnstated(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: func([]string, int) (int, string) { return 200, `{"access_token":"repository:a:pull"}` }, allow: covered}
	a, now := s.auth("reader")
	for _, step := range []struct {
		after time.Duration
		asked int
	}{{0, 1}, {47 * time.Second, 1}, {2 * time.Second, 2}} {
		*now = now.Add(step.after)
		if err := ask(t, a.Pull("a"), "/v2/a"); err != nil {
			t.Fatal(err)
		}
		if len(s.asked) != step.asked {
			t.Fatalf("%d tokens, want %d", len(s.asked), step.asked)
		}
	}
}

// TestBatch: one token serves twenty announced repositories.
func TestBatch(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: numbered, allow: covered}
	a, _ := s.auth("reader")
	var names []string
	for i := range 45 {
		names = append(names, fmt.Sprintf("team/app%d", i))
	}
	a.Announce(names)
	if err := ask(t, a.Ping(), "/v2/"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() {
			if err := ask(t, a.Pull(name), "/v2/"+name); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// At once and out of order, the batches overlap at their ends only.
	if n := len(s.asked); n > 1+6 {
		t.Errorf("%d token requests for 45 repositories", n)
	}
	for _, scopes := range s.asked {
		if len(scopes) > 20 {
			t.Errorf("%d scopes in one request", len(scopes))
		}
	}
}

// TestBatchRefused: token servers that take one scope get one.
func TestBatchRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]func(scopes []string, n int) (int, string){
		"refuses": func(scopes []string, n int) (int, string) {
			if len(scopes) > 1 {
				return 400, ""
			}
			return numbered(scopes, n)
		},
		"hears the last": func(scopes []string, n int) (int, string) { return numbered(scopes[max(0, len(scopes)-1):], n) },
		"hears the first": func(scopes []string, n int) (int, string) {
			return numbered(scopes[:min(1, len(scopes))], n)
		},
	}
	for name, answer := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &tokenServer{answer: answer, allow: covered}
			a, _ := s.auth("reader")
			names := strings.Fields("a b c d e f g h i j")
			a.Announce(names)
			for _, name := range names {
				if err := ask(t, a.Pull(name), "/v2/"+name); err != nil {
					t.Fatal(err)
				}
			}
			if n := len(s.asked); n > len(names)+4 {
				t.Errorf("%d token requests for %d repositories", n, len(names))
			}
		})
	}
}

// TestRevoked: a cached token that is refused is replaced once.
func TestRevoked(t *testing.T) {
	t.Parallel()
	revoked := ""
	s := &tokenServer{answer: numbered}
	s.allow = func(path, authorization string) bool { return authorization != revoked && covered(path, authorization) }
	a, _ := s.auth("reader")
	if err := ask(t, a.Pull("a"), "/v2/a"); err != nil {
		t.Fatal(err)
	}
	revoked = "Bearer t1=repository:a:pull"
	if err := ask(t, a.Pull("a"), "/v2/a"); err != nil {
		t.Fatal(err)
	}
	if len(s.asked) != 2 {
		t.Errorf("%d tokens", len(s.asked))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	never := func(string, string) bool { return false }
	status := func(code int) func([]string, int) (int, string) {
		return func([]string, int) (int, string) { return code, "{}" }
	}
	tests := map[string]struct {
		server   *tokenServer
		user     string
		class    portolan.ErrorClass
		text     string
		requests int
	}{
		"token is not enough":      {&tokenServer{answer: numbered, allow: never}, "reader", portolan.Forbidden, "Logged in at r.example.com as reader, but may not read repository a.", 3},
		"anonymous is not enough":  {&tokenServer{answer: numbered, allow: never}, "", portolan.Forbidden, "anonymous", 3},
		"token server says no":     {&tokenServer{answer: status(401), allow: never}, "reader", portolan.BadCredentials, "not accepted by auth.example.com", 2},
		"to nobody":                {&tokenServer{answer: status(401), allow: never}, "", portolan.BadCredentials, "asks for a user name", 2},
		"blocked":                  {&tokenServer{answer: status(403), allow: never}, "reader", portolan.Forbidden, "auth.example.com", 2},
		"no token":                 {&tokenServer{answer: status(200), allow: never}, "reader", portolan.ServerFailure, "no token", 2},
		"a token with a line feed": {&tokenServer{answer: func([]string, int) (int, string) { return 200, `{"token":"a\nb"}` }, allow: never}, "reader", portolan.ServerFailure, "no token", 2},
		"basic":                    {&tokenServer{challenge: `Basic realm="r"`, allow: never}, "reader", portolan.BadCredentials, "not accepted by r.example.com", 2},
		"basic, anonymous":         {&tokenServer{challenge: `Basic realm="r"`, allow: never}, "", portolan.Forbidden, "anonymous", 1},
		"no word of what":          {&tokenServer{challenge: `x`, allow: never}, "reader", portolan.BadCredentials, "not accepted", 2},
		"realm without encryption": {&tokenServer{challenge: `Bearer realm="http://auth.example.com/token"`, answer: numbered, allow: never}, "reader", portolan.ServerFailure, "without encryption", 1},
		"realm with a user":        {&tokenServer{challenge: `Bearer realm="https://u:p@auth.example.com/token"`, answer: numbered, allow: never}, "reader", portolan.ServerFailure, "cannot be used", 1},
		"realm is no address":      {&tokenServer{challenge: `Bearer realm="https://%zz"`, answer: numbered, allow: never}, "reader", portolan.ServerFailure, "cannot be used", 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := test.server.auth(test.user)
			err := ask(t, a.Pull("a"), "/v2/a")
			if err == nil || connector.ClassOf(err) != test.class || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v of class %s, want %q of class %s", err, connector.ClassOf(err), test.text, test.class)
			}
			if len(test.server.log) != test.requests {
				t.Errorf("requests: %v, want %d", test.server.log, test.requests)
			}
		})
	}
}

// TestBasic: credentials go out unasked once the registry asked for them.
func TestBasic(t *testing.T) {
	t.Parallel()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("reader:"+password))
	s := &tokenServer{challenge: `Basic realm="r"`, allow: func(_, authorization string) bool { return authorization == want }}
	a, _ := s.auth("reader")
	for _, d := range []connector.Doer{a.Ping(), a.Catalog(), a.Pull("a")} {
		if err := ask(t, d, "/v2/"); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.log) != 4 {
		t.Errorf("requests: %v, want one 401 and three answers", s.log)
	}
	s.allow = func(string, string) bool { return false }
	if err := ask(t, a.Pull("a"), "/v2/a"); connector.ClassOf(err) != portolan.Forbidden {
		t.Errorf("a repository that refuses proven credentials: %v of class %s", err, connector.ClassOf(err))
	}
	if err := ask(t, a.Ping(), "/v2/"); connector.ClassOf(err) != portolan.BadCredentials {
		t.Errorf("a ping that refuses: %v of class %s", err, connector.ClassOf(err))
	}
}

// TestMixed: Harbor wants a token everywhere but for the catalogue.
func TestMixed(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: numbered}
	s.allow = func(path, authorization string) bool {
		if path == "/v2/_catalog" {
			s.challenge = `Basic realm="harbor"`
			return strings.HasPrefix(authorization, "Basic ")
		}
		s.challenge = `Bearer realm="https://auth.example.com/token",service="harbor-registry"`
		return covered(path, authorization)
	}
	a, _ := s.auth("reader")
	for _, step := range []struct {
		d    connector.Doer
		path string
	}{{a.Ping(), "/v2/"}, {a.Catalog(), "/v2/_catalog"}, {a.Pull("a"), "/v2/a"}, {a.Catalog(), "/v2/_catalog"}} {
		if err := ask(t, step.d, step.path); err != nil {
			t.Fatalf("%s: %v", step.path, err)
		}
	}
	if a.Service() != "harbor-registry" {
		t.Errorf("service %q", a.Service())
	}
	// With a token each: 401, token, answer; token, 401, answer; token, answer; answer.
	if len(s.asked) != 3 || len(s.log) != 9 {
		t.Errorf("requests: %v", s.log)
	}
}

// TestOwnScope: a registry that names its rights otherwise is heard.
func TestOwnScope(t *testing.T) {
	t.Parallel()
	s := &tokenServer{
		challenge: `Bearer realm="/token",service="r",scope="repository:a:metadata_read"`, answer: numbered,
		allow: func(_, authorization string) bool { return strings.Contains(authorization, "metadata_read") },
	}
	a, _ := s.auth("reader")
	if err := ask(t, a.Pull("a"), "/v2/a"); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, a.Pull("b"), "/v2/b"); err != nil { // first by our scope, then by its own
		t.Fatal(err)
	}
	want := [][]string{{"repository:a:metadata_read"}, {"repository:b:pull"}, {"repository:a:metadata_read"}}
	if diff := cmp.Diff(want, s.asked); diff != "" {
		t.Error(diff)
	}
}

// TestStubborn: a registry that always wants something else is given up.
func TestStubborn(t *testing.T) {
	t.Parallel()
	s, n := &tokenServer{answer: numbered}, 0
	s.allow = func(string, string) bool {
		n++
		s.challenge = fmt.Sprintf(`Bearer realm="/token",scope="repository:a:pull%d"`, n)
		return false
	}
	a, _ := s.auth("reader")
	if err := ask(t, a.Pull("a"), "/v2/a"); connector.ClassOf(err) != portolan.Forbidden || n > 4 {
		t.Errorf("after %d tries: %v of class %s", n, err, connector.ClassOf(err))
	}
}

// TestPost: where GET is not accepted, the form of OAuth2 is sent, with the
// refresh token as soon as there is one.
func TestPost(t *testing.T) {
	t.Parallel()
	s := &tokenServer{
		challenge: `Bearer realm="https://auth.example.com/token-by-post",service="r"`, allow: covered,
		answer: func(scopes []string, _ int) (int, string) {
			return 200, fmt.Sprintf(`{"access_token":%q,"refresh_token":"again"}`, strings.Join(scopes, "+"))
		},
	}
	a, _ := s.auth("reader")
	for _, name := range []string{"a", "b"} {
		if err := ask(t, a.Pull(name), "/v2/"+name); err != nil {
			t.Fatal(err)
		}
	}
	forms := slices.DeleteFunc(slices.Clone(s.log), func(l string) bool { return !strings.Contains(l, "grant_type") })
	want := []string{
		"client_id=portolan&grant_type=password&password=" + password + "&scope=repository%3Aa%3Apull&service=r&username=reader",
		"client_id=portolan&grant_type=refresh_token&refresh_token=again&scope=repository%3Ab%3Apull&service=r",
	}
	if diff := cmp.Diff(want, forms); diff != "" {
		t.Error(diff)
	}
}

// TestOtherHost: nothing is sent to another host in the registry's name.
func TestOtherHost(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: numbered, allow: covered}
	a, _ := s.auth("reader")
	for _, other := range []string{"https://evil.example.com/v2/a", "http://r.example.com/v2/a"} {
		u, _ := url.Parse(other)
		if _, err := connector.Send(t.Context(), a.Pull("a"), http.MethodGet, u, nil); err == nil {
			t.Errorf("%s was asked", other)
		}
	}
	if len(s.log) != 0 {
		t.Errorf("requests: %v", s.log)
	}
}

// TestSingleFlight: who waits for the same token does not fetch another.
func TestSingleFlight(t *testing.T) {
	t.Parallel()
	s := &tokenServer{answer: numbered, allow: covered}
	a, _ := s.auth("reader")
	if err := ask(t, a.Ping(), "/v2/"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() { errs[i] = ask(t, a.Pull("a"), "/v2/a") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || len(s.asked) != 2 {
		t.Errorf("%d token requests, %v", len(s.asked), err)
	}
}
