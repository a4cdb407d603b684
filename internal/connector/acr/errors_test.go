package acr_test

import (
	"errors"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// What the codes of the API mean, whether they come with a status of their own
// or with 200.
func TestCodes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failure acrtest.Failure
		class   portolan.ErrorClass
		words   []string
	}{
		"unknown key":      {acrtest.Failure{Status: 404, Code: "InvalidAccessKeyId.NotFound"}, portolan.BadCredentials, []string{keyID, "RAM"}},
		"disabled key":     {acrtest.Failure{Status: 400, Code: "InvalidAccessKeyId.Inactive"}, portolan.BadCredentials, []string{keyID}},
		"disabled by ACR":  {acrtest.Failure{Status: 403, Code: "Forbidden.AccessKeyDisabled"}, portolan.BadCredentials, nil},
		"wrong secret":     {acrtest.Failure{Status: 400, Code: "SignatureDoesNotMatch"}, portolan.BadCredentials, nil},
		"wrong secret 2":   {acrtest.Failure{Status: 400, Code: "IncompleteSignature"}, portolan.BadCredentials, nil},
		"expired session":  {acrtest.Failure{Status: 400, Code: "InvalidSecurityToken.Expired"}, portolan.BadCredentials, nil},
		"no right":         {acrtest.Failure{Status: 403, Code: "NoPermission"}, portolan.Forbidden, []string{"cr:ListRepositoryTag", "team/app"}},
		"no right, RAM":    {acrtest.Failure{Status: 403, Code: "Forbidden.RAM"}, portolan.Forbidden, []string{"cr:ListRepositoryTag"}},
		"no right, 200":    {acrtest.Failure{Status: 200, Code: "USER_NOT_AUTHORIZED"}, portolan.Forbidden, []string{"cr:ListRepositoryTag"}},
		"no right, other":  {acrtest.Failure{Status: 403, Code: "Whatever"}, portolan.Forbidden, []string{"cr:ListRepositoryTag"}},
		"clock":            {acrtest.Failure{Status: 400, Code: "InvalidTimeStamp.Expired"}, portolan.ClockSkew, []string{"0s"}},
		"clock, old":       {acrtest.Failure{Status: 400, Code: "IllegalTimestamp"}, portolan.ClockSkew, nil},
		"other instance":   {acrtest.Failure{Status: 200, Code: "INSTANCE_NOT_EXIST"}, portolan.Forbidden, []string{"account that owns"}},
		"stopped instance": {acrtest.Failure{Status: 200, Code: "INSTANCE_STATUS_NOT_SUPPORT"}, portolan.ServerFailure, []string{"not running"}},
		"not offered":      {acrtest.Failure{Status: 404, Code: "InvalidApi.NotFound"}, portolan.CannotEnumerate, []string{"repositories"}},
		"unknown code":     {acrtest.Failure{Status: 200, Code: "SOMETHING_ELSE"}, portolan.ServerFailure, []string{"SOMETHING_ELSE", acrtest.RequestID}},
		"server failure":   {acrtest.Failure{Status: 500, Code: "InternalError"}, portolan.ServerFailure, []string{"status 500 InternalError", acrtest.RequestID}},
		"code that echoes": {acrtest.Failure{Status: 500, Code: "x: " + secret}, portolan.ServerFailure, []string{"status 500"}},
		"not JSON":         {acrtest.Failure{Status: 502, Body: "<html>" + secret}, portolan.ServerFailure, []string{"status 502"}},
		"no envelope":      {acrtest.Failure{Status: 200, Body: `{"Message":"` + secret + `"}`}, portolan.ServerFailure, []string{"unexpected form"}},
		"false, no code":   {acrtest.Failure{Status: 200, Body: `{"IsSuccess":false,"Code":"` + secret + `"}`}, portolan.ServerFailure, nil},
		"no total":         {acrtest.Failure{Status: 200, Body: `{"IsSuccess":true,"data":{},"Images":[]}`}, portolan.ServerFailure, []string{"total"}},
		"moved":            {acrtest.Failure{Status: 302, Header: http.Header{"Location": {"https://elsewhere.example.com/"}}}, portolan.ServerFailure, []string{"redirects"}},
	} {
		for edition, instance := range editions {
			if instance == "" && tt.failure.Status == http.StatusOK && tt.failure.Code != "" {
				continue // Enterprise Edition's way
			}
			t.Run(edition+", "+name, func(t *testing.T) {
				t.Parallel()
				fake := acrtest.New(model(instance, map[string]int{"team/app": 1}))
				for _, action := range []string{"ListRepoTag", "GetRepoTags"} {
					fake.Fail(action, tt.failure, tt.failure, tt.failure, tt.failure)
				}
				s := open(t, fake)
				list, err := connectortest.Repositories(t.Context(), s, "")
				if err != nil {
					t.Fatal(err)
				}
				_, err = images(t, s, &connector.Listing{Repository: list[0]})
				mustFail(t, err, tt.class, tt.words...)
				if errors.Is(err, connector.ErrNotExist) {
					t.Errorf("%v says that the repository does not exist", err)
				}
			})
		}
	}
}

// Only its own code says that a repository is not there.
func TestUnknownRepository(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(model(instance, map[string]int{"team/app": 1, "team/app-2": 1}))
			s := open(t, fake)
			_, err := images(t, s, listing("team/ap"))
			if !errors.Is(err, connector.ErrNotExist) {
				t.Errorf("never there: %v", err)
			}
			if rows, err := images(t, s, listing("team/app")); err != nil || len(rows) != 1 {
				t.Errorf("found by name: %d rows, %v", len(rows), err)
			}
			list, err := connectortest.Repositories(t.Context(), s, "")
			if err != nil {
				t.Fatal(err)
			}
			fake.Update(func(m *acrtest.Model) { m.Repositories = nil })
			if _, err := images(t, s, &connector.Listing{Repository: list[0]}); !errors.Is(err, connector.ErrNotExist) {
				t.Errorf("gone meanwhile: %v", err)
			}
		})
	}
}

// Throttling is a wait, in whichever words, and every try is signed anew: the
// fake takes a nonce once.
func TestThrottling(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failure acrtest.Failure
		wait    time.Duration // that a wait of a day makes of it
	}{
		"user":      {acrtest.Failure{Status: 400, Code: "Throttling.User", Header: http.Header{"X-Acs-Retry-After": {"1500"}}}, 2 * time.Second},
		"api":       {acrtest.Failure{Status: 400, Code: "Throttling.Api", Header: http.Header{"X-Ratelimit-User-Api": {"Limit:10,Remain:0,TimeLeft:2100"}}}, 3 * time.Second},
		"plain":     {acrtest.Failure{Status: 403, Code: "Throttling"}, time.Second / 2},
		"429":       {acrtest.Failure{Status: 429, Code: "Whatever", Header: http.Header{"Retry-After": {"4"}}}, 4 * time.Second},
		"200":       {acrtest.Failure{Status: 200, Code: "Throttling"}, 0},
		"not ready": {acrtest.Failure{Status: 503, Code: "ServiceUnavailable"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(model(acrtest.Instance, map[string]int{"team/app": 1}))
			fake.Fail("ListRepository", tt.failure)
			s := open(t, fake)
			_, err := s.Probe(t.Context())
			if throttled, ok := errors.AsType[*connector.ThrottledError](err); tt.failure.Status == 200 {
				if !ok || throttled.Wait != time.Second {
					t.Fatalf("%v, want a wait", err)
				}
			} else if err != nil {
				t.Fatalf("%v, want success at the second try", err)
			}
			if tt.wait == 0 {
				return
			}
			// Refused time and again, the wait is the caller's to plan.
			for range 20 {
				fake.Fail("ListRepository", tt.failure)
			}
			_, err = s.Probe(t.Context())
			throttled, ok := errors.AsType[*connector.ThrottledError](err)
			if !ok || throttled.Wait < tt.wait {
				t.Fatalf("%v, want a wait of %s at least", err, tt.wait)
			}
		})
	}
}

// A clock that differs is told by how much.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		by   time.Duration
		word string
	}{"behind": {-time.Hour, "1h0m0s behind"}, "ahead": {20 * time.Minute, "20m0s ahead"}} {
		for edition, instance := range editions {
			t.Run(edition+", "+name, func(t *testing.T) {
				t.Parallel()
				fake := acrtest.New(model(instance, nil))
				_, err := open(t, fake, clock(func() time.Time { return noon.Add(tt.by) })).Probe(t.Context())
				mustFail(t, err, portolan.ClockSkew, tt.word, "NTP")
			})
		}
	}
}

// A wrong secret is found out by the signature itself.
func TestWrongSecret(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			for _, password := range []string{"wrong-canary", ""} {
				_, err := open(t, acrtest.New(model(instance, nil)), as(keyID, password)).Probe(t.Context())
				mustFail(t, err, portolan.BadCredentials, keyID)
			}
		})
	}
}

// An instance whose public endpoint is closed says what to do.
func TestClosedInstance(t *testing.T) {
	t.Parallel()
	m := model(acrtest.Instance, map[string]int{"team/app": 1})
	m.ClosedSide = true
	_, err := open(t, acrtest.New(m)).Probe(t.Context())
	mustFail(t, err, portolan.Forbidden, "Internet access control", "NetType 2")
	_, err = openOver(t, roundTrip(func(*http.Request) (*http.Response, error) { return nil, syscall.ETIMEDOUT })).Probe(t.Context())
	mustFail(t, err, portolan.ConnectFailure, "Internet access control", "NetType 2")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What nobody may pull, or a key without the right to a login, is not guessed:
// the repository fails, and says which right it needs.
func TestUnreadableManifest(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		for name, change := range map[string]func(*acrtest.Model){
			"no pull":  func(m *acrtest.Model) { m.NoPull = true },
			"no login": func(m *acrtest.Model) { m.Keys[0].Denied = []string{"GetAuthorizationToken"} },
		} {
			t.Run(edition+", "+name, func(t *testing.T) {
				t.Parallel()
				m := model(instance, map[string]int{"team/app": 2})
				change(&m)
				s := open(t, acrtest.New(m))
				list, err := connectortest.Repositories(t.Context(), s, "")
				if err != nil {
					t.Fatal(err)
				}
				rows, err := images(t, s, &connector.Listing{Repository: list[0]})
				mustFail(t, err, portolan.Forbidden, "cr:PullRepository")
				if len(rows) > 0 || errors.Is(err, connector.ErrNotExist) {
					t.Errorf("%d rows, %v", len(rows), err)
				}
			})
		}
	}
}

// A tag that was deleted or moved between the list and its manifest is no
// failure; one that is still listed and has no manifest is.
func TestGoneManifest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*acrtest.Model)
		want   []string
		fails  bool
	}{
		"deleted": {func(m *acrtest.Model) { m.Repositories[0].Tags = m.Repositories[0].Tags[1:] }, []string{"1.1", "1.2"}, false},
		"moved": {func(m *acrtest.Model) {
			m.Repositories[0].Tags[0] = tagged(m, "moved", "1.0")
		}, []string{"1.1", "1.2", "1.0"}, false},
		"broken": {func(m *acrtest.Model) { delete(m.Manifests, m.Repositories[0].Tags[0].Digest) }, []string{"1.1", "1.2"}, true},
	} {
		for edition, instance := range editions {
			t.Run(edition+", "+name, func(t *testing.T) {
				t.Parallel()
				fake := acrtest.New(model(instance, map[string]int{"team/app": 3}))
				done := false
				fake.Before(func(_ int, r *http.Request) {
					if strings.Contains(r.URL.Path, "/manifests/") && !done {
						done = true
						fake.Update(func(m *acrtest.Model) { tt.change(m) })
					}
				})
				l := listing("team/app")
				rows, err := images(t, open(t, fake), l)
				if tt.fails != (err != nil) {
					t.Fatalf("%v, want a failure: %t", err, tt.fails)
				}
				var got []string
				for _, row := range rows {
					got = append(got, row.Tags[0].Name)
				}
				if strings.Join(got, " ") != strings.Join(tt.want, " ") {
					t.Errorf("%q, want %q", got, tt.want)
				}
				if !tt.fails && (l.Listed != len(rows) || l.Announced != len(rows)) {
					t.Errorf("%d rows, %d listed, %d announced", len(rows), l.Listed, l.Announced)
				}
			})
		}
	}
}
