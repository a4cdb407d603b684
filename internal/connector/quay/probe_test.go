package quay_test

import (
	"net/http"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay/quaytest"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	both := reader()
	both.Admin = []string{"acme", "data"}
	for name, tt := range map[string]struct {
		credential portolan.Credential
		scope      []string
		identity   string
		warnings   []string // a word of each
		requests   int
	}{
		"one organisation":         {tokens("acme"), nil, "the auth token of acme", nil, 1},
		"two with the same token":  {tokens("data", "acme"), nil, "the auth tokens of acme, data", nil, 1},
		"many":                     {tokens("a", "b", "c", "d", "e"), nil, "the auth tokens of a, b, c and 2 more", nil, 1},
		"one without a token":      {tokens("acme"), []string{"acme", "open/base"}, "the auth token of acme", []string{"only public repositories are read of open."}, 1},
		"a token out of the scope": {tokens("acme", "data"), []string{"acme/web"}, "the auth token of acme", []string{"leave out data"}, 1},
		"anonymous":                {portolan.Credential{}, []string{"open"}, "anonymous", []string{"open"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(map[string]int{"acme/api": 1})
			m.Tokens = []quaytest.Token{both}
			fake := quaytest.New(m)
			s := open(t, fake, tt.credential, tt.scope...)
			p, err := s.Probe(t.Context())
			if err != nil || p.Product != "Quay" || p.Identity != tt.identity || p.Bulk || p.Feed {
				t.Fatalf("%+v, %v", p, err)
			}
			if len(p.Warnings) != len(tt.warnings) {
				t.Fatalf("warnings %q, want %q", p.Warnings, tt.warnings)
			}
			for i, word := range tt.warnings {
				if !strings.Contains(p.Warnings[i], word) {
					t.Errorf("warning %q, want one of %q", p.Warnings[i], word)
				}
			}
			if got := len(fake.Requests()); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
		})
	}
}

// A list answers all of these by 200 with the public part.
func TestProbeRefused(t *testing.T) {
	t.Parallel()
	expired := reader()
	expired.Expired = true
	for name, tt := range map[string]struct {
		token       quaytest.Token
		noAnonymous bool
	}{
		"wrong":              {quaytest.Token{Secret: "another"}, false},
		"expired":            {expired, false},
		"without anonymous":  {quaytest.Token{Secret: "another"}, true},
		"expired, likewise":  {expired, true},
		"none is known here": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(map[string]int{"acme/api": 1})
			m.Namespaces[0].Repositories[0].Public = true
			m.Tokens, m.NoAnonymous = []quaytest.Token{tt.token}, tt.noAnonymous
			s := open(t, quaytest.New(m), tokens("acme"))
			if list, err := connectortest.Repositories(t.Context(), s, ""); !tt.noAnonymous && (err != nil || len(list) != 1) {
				t.Errorf("the list gives %d repositories and %v; it should look fine, or this test proves nothing", len(list), err)
			}
			_, err := s.Probe(t.Context())
			mustFail(t, err, portolan.BadCredentials, "acme", "repo:read")
		})
	}
}

func TestNothingToRead(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		credential portolan.Credential
		words      []string
	}{
		"nothing":      {portolan.Credential{}, []string{"auth token", "each organisation"}},
		"a login only": {portolan.Credential{UserName: "acme+robot", Password: secret}, []string{"auth token", "type oci"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := quaytest.New(model(nil))
			s := open(t, fake, tt.credential)
			_, err := s.Probe(t.Context())
			mustFail(t, err, portolan.CannotEnumerate, tt.words...)
			_, err = connectortest.Repositories(t.Context(), s, "")
			mustFail(t, err, portolan.CannotEnumerate, tt.words...)
			if n := len(fake.Requests()); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A token that holds what no header may is refused before it is sent.
func TestUnusableToken(t *testing.T) {
	t.Parallel()
	fake := quaytest.New(model(nil))
	s := open(t, fake, portolan.Credential{AuthTokens: map[string]string{"acme": secret + "\n" + secret}})
	_, err := s.Probe(t.Context())
	mustFail(t, err, portolan.BadCredentials, "acme")
	if n := len(fake.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestProbeOtherProduct(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		word    string
	}{
		"404": {http.NotFound, "status 404"},
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html></html>"))
		}, "not that of Quay"},
		"other JSON": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"repository":[]}`)) }, "not that of Quay"},
	} {
		for who, credential := range map[string]portolan.Credential{"token": tokens("acme"), "anonymous": {}} {
			t.Run(name+" "+who, func(t *testing.T) {
				t.Parallel()
				_, err := open(t, tt.handler, credential, "acme").Probe(t.Context())
				mustFail(t, err, portolan.NotThisProduct, tt.word)
			})
		}
	}
}

// The answers of a Quay that refuses, by what they are an answer to.
func TestRefusals(t *testing.T) {
	t.Parallel()
	problem := func(status int, kind string) quaytest.Fault {
		return quaytest.Fault{Status: status, Header: http.Header{"Content-Type": {"application/problem+json"}}, Body: quaytest.Problem(status, kind, secret)}
	}
	for name, tt := range map[string]struct {
		fault quaytest.Fault
		class portolan.ErrorClass
		words []string
	}{
		"expired_token":      {problem(401, "expired_token"), portolan.CredentialsExpired, []string{"acme", "expired", "repo:read"}},
		"invalid_token":      {problem(401, "invalid_token"), portolan.BadCredentials, []string{"acme", "repo:read"}},
		"insufficient_scope": {problem(403, "insufficient_scope"), portolan.Forbidden, []string{"acme", "repo:read"}},
		"plain 401":          {quaytest.Fault{Status: 401, Body: secret}, portolan.BadCredentials, []string{"acme"}},
		"plain 403":          {quaytest.Fault{Status: 403, Body: `{"error_type":"` + secret + `"}`}, portolan.Forbidden, []string{"acme"}},
		"not_found":          {problem(404, "not_found"), portolan.ServerFailure, []string{"404", "acme/api"}},
		"downstream_issue":   {problem(520, "downstream_issue"), portolan.ServerFailure, []string{"status 520", "acme/api"}},
		"exceeds_license":    {problem(402, "exceeds_license"), portolan.ServerFailure, []string{"status 402"}},
		"gateway":            {quaytest.Fault{Status: 502, Body: secret}, portolan.ServerFailure, []string{"status 502"}},
		"redirect":           {quaytest.Fault{Status: 304}, portolan.ServerFailure, []string{"redirects"}},
		"web page":           {quaytest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>" + secret}, portolan.ServerFailure, []string{"HTML"}},
		"other repository":   {quaytest.Fault{Status: 200, Body: `{"namespace":"acme","name":"other","tags":{}}`}, portolan.ServerFailure, []string{"unexpected form"}},
		"no tags":            {quaytest.Fault{Status: 200, Body: `{"namespace":"acme","name":"api"}`}, portolan.ServerFailure, []string{"unexpected form"}},
		"cut off":            {quaytest.Fault{Close: true}, portolan.ConnectFailure, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := quaytest.New(model(map[string]int{"acme/api": 3}))
			fake.Inject(1, tt.fault)
			fake.Inject(2, tt.fault) // the client asks again on a fresh connection
			_, _, err := images(t.Context(), open(t, fake, tokens("acme")), "acme/api", &connectortest.Memory{})
			mustFail(t, err, tt.class, tt.words...)
			if gone := isNotExist(err); gone != (name == "not_found") {
				t.Errorf("%v: is it gone? %t", err, gone)
			}
		})
	}
}

// Permission is checked before existence.
func TestRepositoryThatIsNotThere(t *testing.T) {
	t.Parallel()
	member := reader()
	member.Admin, member.Read = nil, []string{"acme/api"}
	for name, tt := range map[string]struct {
		token      quaytest.Token
		credential portolan.Credential
		class      portolan.ErrorClass
		gone       bool
	}{
		"administrator": {reader(), tokens("acme"), portolan.ServerFailure, true},
		"reader":        {member, tokens("acme"), portolan.Forbidden, false},
		"anonymous":     {reader(), portolan.Credential{}, portolan.Forbidden, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(map[string]int{"acme/api": 1})
			m.Tokens = []quaytest.Token{tt.token}
			_, _, err := images(t.Context(), open(t, quaytest.New(m), tt.credential), "acme/gone", &connectortest.Memory{})
			mustFail(t, err, tt.class, "acme")
			if isNotExist(err) != tt.gone {
				t.Errorf("%v: is it gone? %t", err, isNotExist(err))
			}
		})
	}
}
