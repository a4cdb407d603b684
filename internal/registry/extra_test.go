package registry_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/store/storetest"
)

func draft(extra string) (*registry.Draft, error) {
	s := registry.New(registry.Config{CheckAddress: func(string) error { return nil }})
	return s.Draft(account, portolan.Quay, registry.Fields{DomainName: "quay.example.com", ExtraParam: extra})
}

func TestExtraParam(t *testing.T) {
	t.Parallel()
	ca := certificate(t)
	sum := strings.Repeat("AB", 32)
	tests := map[string]struct {
		text   string
		want   portolan.Extra
		tokens map[string]string
	}{
		"the documented list": {
			`[{"namespace":"b/","authToken":"64ad8ddf-6a4c-46b5-8dea"},{"namespace":"a","authToken":"tiny"},{"namespace":"c"}]`,
			portolan.Extra{Namespaces: []string{"a", "b", "c"}, TokenMasks: map[string]string{"a": "****", "b": "64ad8ddf****"}},
			map[string]string{"a": "tiny", "b": "64ad8ddf-6a4c-46b5-8dea"},
		},
		"the object": {
			` {"namespaces":["b","/a/","b"],"repositories":["x/y"],"authTokens":{"org":"t"},"caCertificate":` + quote(ca) + `,"certificateSha256":"` + sum + `"} `,
			portolan.Extra{
				Namespaces: []string{"a", "b"}, Repositories: []string{"x/y"}, TokenMasks: map[string]string{"org": "****"},
				CACertificate: ca, CertificateSHA256: strings.ToLower(sum),
			},
			map[string]string{"org": "t"},
		},
		"fingerprint with colons": {`{"certificateSha256":"` + strings.TrimSuffix(strings.Repeat("AB:", 32), ":") + `"}`, portolan.Extra{CertificateSHA256: strings.ToLower(sum)}, nil},
		"nulls are absent":        {`{"namespaces":null,"authTokens":null,"caCertificate":null}`, portolan.Extra{}, nil},
		"nothing":                 {`{}`, portolan.Extra{}, nil},
	}
	for name, tt := range tests {
		d, err := draft(tt.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(tt.want, d.Registry.Extra) + cmp.Diff(tt.tokens, d.Credential.AuthTokens); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestExtraParamRefusals(t *testing.T) {
	t.Parallel()
	const canary = "s3cr3t-canary"
	many := strings.TrimSuffix(strings.Repeat(`"a",`, 1001), ",")
	tests := map[string]string{
		`null`:                        "must be a JSON object",
		`"x"`:                         "must be a JSON object",
		`12`:                          "must be a JSON object",
		`{`:                           "must be a JSON object",
		`[{]`:                         "must be a JSON object",
		`{} {}`:                       "nothing after it",
		`[] []`:                       "must be a JSON object",
		`[null]`:                      "must be a JSON object",
		"{\"namespaces\":[\"\xff\"]}": "must be a JSON object",
		`{"scope":["a"]}`:             `unknown key "scope"`,
		`{"Namespaces":["a"]}`:        `unknown key "Namespaces"`,
		`[{"namespace":"a","token":"` + canary + `"}]`:                          `unknown key "token"`,
		`{"insecure":true}`:                                                     `unknown key "insecure"`,
		`{"namespaces":["a"],"namespaces":["b"]}`:                               `key "namespaces" twice`,
		`{"authTokens":{"a":"x","a":"y"}}`:                                      `key "a" twice`,
		`{"authTokens":{"a":"x","/a":"y"}}`:                                     `two auth tokens for "a"`,
		`[{"namespace":"a","authToken":"x"},{"namespace":"a","authToken":"y"}]`: `two auth tokens for "a"`,
		`[{"authToken":"` + canary + `"}]`:                                      "item 1 has no namespace",
		`[{"namespace":"","authToken":"x"}]`:                                    "item 1 has no namespace",
		`[{"namespace":1}]`:                                                     "item 1 has no namespace",
		`[{"namespace":"a","authToken":1}]`:                                     "auth token",
		`{"namespaces":"a"}`:                                                    "namespaces that is not of its documented type",
		`{"namespaces":["` + canary + `",1]}`:                                   "namespaces that is not of its documented type",
		`{"namespaces":[""]}`:                                                   "not a path",
		`{"namespaces":["a//b"]}`:                                               "not a path",
		`{"repositories":["a\u0000"]}`:                                          "not a path",
		`{"repositories":["` + strings.Repeat("a", 513) + `"]}`:                 "not a path",
		`{"namespaces":[` + many + `]}`:                                         "more than 1000",
		`{"authTokens":{"":"x"}}`:                                               "not a path",
		`{"authTokens":{"a":""}}`:                                               "auth token",
		`{"authTokens":{"a":{"b":"` + canary + `"}}}`:                           "auth token",
		`{"authTokens":["` + canary + `"]}`:                                     "must be a JSON object",
		`{"authTokens":{"a":"64ad8ddf****"}}`:                                   "the mask",
		`{"caCertificate":"` + canary + `"}`:                                    "caCertificate",
		`{"caCertificate":"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"}`: "caCertificate",
		`{"certificateSha256":"ab"}`:                               "certificateSha256",
		`{"certificateSha256":"` + strings.Repeat("zz", 32) + `"}`: "certificateSha256",
	}
	for text, want := range tests {
		_, err := draft(text)
		e, ok := errors.AsType[*portolan.Error](err)
		if !ok || e.Code != "InvalidParameter" || !strings.HasPrefix(e.Message, "ExtraParam ") || !strings.Contains(e.Message, want) || strings.Contains(e.Message, canary) {
			t.Errorf("%.100s: %v, want %q", text, err, want)
		}
	}
}

// A key that is left out stays; an empty one is emptied.
func TestExtraParamChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	id := r.add(registry.Fields{DomainName: "quay.example.com", ExtraParam: `{"namespaces":["a"],"repositories":["b"],"authTokens":{"a":"x"}}`})
	for _, step := range []struct{ text, want string }{
		{`{"namespaces":["c"]}`, "[c] [b] 1"},
		{`{"repositories":[]}`, "[c] [] 1"},
		{`[{"namespace":"d"}]`, "[d] [] 1"},
		{`{"authTokens":{}}`, "[d] [] 0"},
	} {
		if err := r.Modify(t.Context(), account, id, registry.Fields{ExtraParam: step.text}, nil); err != nil {
			t.Fatal(err)
		}
		reg, c, _ := r.state(id)
		if got := fmt.Sprint(reg.Extra.Namespaces, reg.Extra.Repositories, len(c.AuthTokens)); got != step.want || len(reg.Extra.TokenMasks) != len(c.AuthTokens) {
			t.Errorf("after %s: %s, want %s", step.text, got, step.want)
		}
	}
}

func FuzzExtraParam(f *testing.F) {
	for _, seed := range []string{`[{"namespace":"a","authToken":"b"}]`, `{"namespaces":["a"],"authTokens":{"a":"b"}}`, `{"caCertificate":"x"}`, `null`, `{"a":`, `[`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := draft(text)
		if err != nil {
			if e, ok := errors.AsType[*portolan.Error](err); !ok || e.Code != "InvalidParameter" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if len(d.Registry.Extra.TokenMasks) != len(d.Credential.AuthTokens) {
			t.Errorf("%q: %d masks for %d tokens", text, len(d.Registry.Extra.TokenMasks), len(d.Credential.AuthTokens))
		}
		for _, p := range d.Registry.Extra.Scope() {
			if p == "" || !portolan.Printable(p) {
				t.Errorf("%q makes the scope %q", text, p)
			}
		}
	})
}
