package acr_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			fake := acrtest.New(model(instance, map[string]int{"team/app": 1}))
			s := open(t, fake)
			p, err := s.Probe(t.Context())
			if err != nil || p.Identity != keyID || !strings.Contains(strings.ToLower(p.Product), edition) {
				t.Fatalf("%+v, %v", p, err)
			}
			if _, err := s.Probe(t.Context()); err != nil || len(fake.Requests()) != 3 {
				t.Errorf("%d requests, want 3; %v", len(fake.Requests()), err)
			}
		})
	}
}

// A key that may list nothing is known all the same; one that is disabled while
// it reads is found out by the Probe after.
func TestProbeAfter(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			m := model(instance, nil)
			m.Keys[0].Denied = []string{"ListRepository", "GetRepoList"}
			fake := acrtest.New(m)
			s := open(t, fake)
			if p, err := s.Probe(t.Context()); err != nil || p.Identity != keyID {
				t.Fatalf("%+v, %v", p, err)
			}
			_, err := connectortest.Repositories(t.Context(), s, "")
			mustFail(t, err, portolan.Forbidden, "cr:ListRepository", keyID)
			fake.Update(func(m *acrtest.Model) { m.Keys[0].Inactive = true })
			_, err = s.Probe(t.Context())
			mustFail(t, err, portolan.BadCredentials)
		})
	}
}

// Nothing in a challenge leads a signed request to another domain.
func TestService(t *testing.T) {
	t.Parallel()
	for service, host := range map[string]string{
		"registry.aliyuncs.com:cn-hangzhou:26842":                      "cr.cn-hangzhou.aliyuncs.com",
		"registry.aliyuncs.com:ap-southeast-1:china:cri-0001":          "cr.ap-southeast-1.aliyuncs.com",
		"REGISTRY.aliyuncs.com:cn-hangzhou:china:cri-0001":             "cr.cn-hangzhou.aliyuncs.com",
		"registry.aliyuncs.com:evil.example.com/?:26842":               "",
		"registry.aliyuncs.com:evil.example.com:26842":                 "",
		"registry.aliyuncs.com:cn-hangzhou@evil:26842":                 "",
		"registry.aliyuncs.com:CN-HANGZHOU:26842":                      "",
		"registry.aliyuncs.com:-cn:26842":                              "",
		"registry.aliyuncs.com::26842":                                 "",
		"registry.aliyuncs.com:" + strings.Repeat("a", 65) + ":26842":  "",
		"registry.aliyuncs.com:cn-hangzhou":                            "",
		"registry.aliyuncs.com:cn-hangzhou:china:cri-0001&InstanceId=": "",
		"registry.example.com:cn-hangzhou:26842":                       "",
		"harbor-registry":                                              "",
		"":                                                             "",
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			asked := ""
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host == acrtest.RegistryHost {
					if r.Header.Get("Authorization") != "" {
						t.Error("the registry got a credential")
					}
					w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="https://evil.example.com/auth",service=%q`, service))
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				asked = r.Host
				w.WriteHeader(http.StatusTeapot)
			})
			_, err := open(t, h).Probe(t.Context())
			if asked != host {
				t.Errorf("%q was asked, want %q", asked, host)
			}
			if host == "" {
				mustFail(t, err, portolan.NotThisProduct)
			}
		})
	}
}

// The API is asked from where the registry is reached.
func TestVPC(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"registry.cn-hangzhou.aliyuncs.com":                  acrtest.APIHost,
		"registry-vpc.cn-hangzhou.aliyuncs.com":              acrtest.VPCHost,
		"acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com":      acrtest.VPCHost,
		"acme-registry.cn-hangzhou.cr.aliyuncs.com":          acrtest.APIHost,
		"crpi-01-vpc.cn-hangzhou.personal.cr.aliyuncs.com":   acrtest.VPCHost,
		"crpi-01.cn-hangzhou.personal.cr.aliyuncs.com":       acrtest.APIHost,
		"registry.my-vpc.example.com":                        acrtest.APIHost,
		"acme-registry-vpc.cn-hangzhou.cr.aliyuncs.com:8443": acrtest.VPCHost,
	} {
		fake := acrtest.New(model(acrtest.Instance, nil))
		if _, err := open(t, fake, at(host)).Probe(t.Context()); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if last := fake.Requests()[len(fake.Requests())-1]; last.Host != want {
			t.Errorf("%s: %s was asked, want %s", host, last.Host, want)
		}
	}
}

func TestOtherProduct(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"open registry": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) },
		"404":           http.NotFound,
		"basic": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		for user, password := range map[string]string{keyID: secret, "sub@account": secret} {
			t.Run(name+" "+user, func(t *testing.T) {
				t.Parallel()
				_, err := open(t, h, as(user, password)).Probe(t.Context())
				mustFail(t, err, portolan.NotThisProduct)
			})
		}
	}
	if _, err := acr.Open(connector.Config{}); err == nil {
		t.Error("a registry without an address was opened")
	}
	plain := connector.Config{BaseURL: mustURL(t, "http://registry.example.com"), Client: &http.Client{}}
	_, err := acr.Open(plain)
	mustFail(t, err, portolan.TLSFailure, "HTTPS")
}

// A scope asks for its namespaces alone, so that a key which may read no other
// is enough.
func TestScope(t *testing.T) {
	t.Parallel()
	counts := map[string]int{"a/one": 1, "a/two": 1, "b/one": 1, "c/one": 1, "ab/one": 1}
	for edition, instance := range editions {
		for name, tt := range map[string]struct{ scope, want []string }{
			"all":        {nil, []string{"a/one", "a/two", "ab/one", "b/one", "c/one"}},
			"namespace":  {[]string{"a"}, []string{"a/one", "a/two"}},
			"repository": {[]string{"a/two", "c/one"}, []string{"a/two", "c/one"}},
			"both":       {[]string{"b/", "a/one"}, []string{"a/one", "b/one"}},
		} {
			t.Run(edition+", "+name, func(t *testing.T) {
				t.Parallel()
				m := model(instance, counts)
				m.Repositories = append(m.Repositories, acrtest.Repository{Path: "a/going", Status: "DELETING"})
				fake := acrtest.New(m)
				s := open(t, fake, scope(tt.scope...))
				if _, err := s.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
				list, err := connectortest.Repositories(t.Context(), s, "")
				if diff := cmp.Diff(tt.want, paths(list)); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
				after, err := connectortest.Repositories(t.Context(), s, list[0].Cursor)
				if diff := cmp.Diff(tt.want[1:], paths(after)); err != nil || len(tt.want) > 1 && diff != "" {
					t.Errorf("resumed: %v %s", err, diff)
				}
				all := slices.ContainsFunc(fake.Requests(), func(r acrtest.Request) bool {
					return r.Header.Get("X-Acs-Action") == "GetRepoList" || r.Header.Get("X-Acs-Action") == "ListRepository" && !strings.Contains(r.Query, "RepoNamespaceName")
				})
				if all != (tt.scope == nil) {
					t.Errorf("all repositories were asked for: %t", all)
				}
			})
		}
	}
}

// A namespace that does not exist fails the list after the others, and is no
// empty registry.
func TestScopeWithoutNamespace(t *testing.T) {
	t.Parallel()
	fake := acrtest.New(model(acrtest.Instance, map[string]int{"a/one": 1}))
	gone := acrtest.Failure{Status: http.StatusOK, Code: "NAMESPACE_NOT_EXIST"}
	fake.Fail("ListRepository", gone, gone)
	s := open(t, fake, scope("typo", "a"))
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := connectortest.Repositories(t.Context(), s, "")
	mustFail(t, err, portolan.CannotEnumerate, "typo")
	if len(list) != 1 {
		t.Errorf("%v, want what the other namespace has", paths(list))
	}
}

// What the list says of a tag comes with what its manifest says.
func TestRow(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		for _, numbers := range []bool{false, true} {
			t.Run(fmt.Sprint(edition, numbers), func(t *testing.T) {
				t.Parallel()
				m := model(instance, map[string]int{"team/app": 1})
				m.NumbersAsNumbers = numbers
				tag := m.Repositories[0].Tags[0]
				signature := connectortest.NewSignature(portolan.Digest(tag.Digest))
				m.Repositories[0].Tags = append(m.Repositories[0].Tags, pushed(&m, signature, signature.Tags[0]), pushed(&m, connectortest.NewChart("c"), "0.1.0"))
				m.Repositories[0].Tags[2].Size = 0
				m.Repositories[0].Type = "PUBLIC"
				s := open(t, acrtest.New(m))
				list, err := connectortest.Repositories(t.Context(), s, "")
				if err != nil || list[0].Visibility != "public" || list[0].Expect != -1 || list[0].Fingerprint == "" {
					t.Fatalf("%+v, %v", list, err)
				}
				rows, err := images(t, s, &connector.Listing{Repository: list[0]})
				if err != nil || len(rows) != 3 {
					t.Fatalf("%d rows, %v", len(rows), err)
				}
				image := rows[0]
				if string(image.Digest) != tag.Digest || image.Kind != portolan.KindImage || image.Size != 4711 || image.ImageID == "" ||
					!image.Created.Equal(tag.Created) || !image.Tags[0].Pushed.Equal(tag.Updated) || !image.Pushed.IsZero() {
					t.Errorf("image %+v", image)
				}
				if rows[1].Kind != portolan.KindAccessory || rows[1].Complete() {
					t.Errorf("signature %+v", rows[1])
				}
				if rows[2].Kind != portolan.KindOther || rows[2].Size <= 100 {
					t.Errorf("chart %+v", rows[2])
				}
			})
		}
	}
}

// A temporary login is replaced before it ends, and one is fetched at a time.
func TestLoginIsRenewed(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			m := model(instance, map[string]int{"team/a": 8, "team/b": 8, "team/c": 8})
			now := noon
			m.Now = func() time.Time { return now }
			fake := acrtest.New(m)
			s := open(t, fake, clock(func() time.Time { return now }))
			for _, tt := range []struct {
				path   string
				after  time.Duration
				logins int
			}{{"team/a", 0, 1}, {"team/b", 54 * time.Minute, 1}, {"team/c", 2 * time.Minute, 2}} {
				now = now.Add(tt.after)
				if rows, err := images(t, s, listing(tt.path)); err != nil || len(rows) != 8 {
					t.Fatalf("%s: %d rows, %v", tt.path, len(rows), err)
				}
				logins := 0
				for _, r := range fake.Requests() {
					if r.Header.Get("X-Acs-Action") == "GetAuthorizationToken" {
						logins++
					}
				}
				if logins != tt.logins {
					t.Errorf("%s: %d logins, want %d", tt.path, logins, tt.logins)
				}
			}
		})
	}
}
