package connector

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChallenges(t *testing.T) {
	t.Parallel()
	type params = map[string]string
	tests := map[string]struct {
		headers []string
		want    []challenge
	}{
		"none":  {nil, nil},
		"basic": {[]string{`Basic realm="Registry Realm"`}, []challenge{{"basic", params{"realm": "Registry Realm"}}}},
		"bearer, any order": {
			[]string{`BEARER scope="repository:a/b:pull,push",service=r.example.com , realm="https://auth/token?a=b"`},
			[]challenge{{"bearer", params{"realm": "https://auth/token?a=b", "service": "r.example.com", "scope": "repository:a/b:pull,push"}}},
		},
		"two in one header": {
			[]string{`Basic realm="x", Bearer realm="y",service="z"`},
			[]challenge{{"basic", params{"realm": "x"}}, {"bearer", params{"realm": "y", "service": "z"}}},
		},
		"two headers": {
			[]string{`Negotiate`, `Bearer realm="y"`},
			[]challenge{{"negotiate", params{}}, {"bearer", params{"realm": "y"}}},
		},
		"escaped quotes":     {[]string{`Basic realm="a \"b\" \\c"`}, []challenge{{"basic", params{"realm": `a "b" \c`}}}},
		"spaces":             {[]string{`Bearer realm = "y" , service = z`}, []challenge{{"bearer", params{"realm": "y", "service": "z"}}}},
		"first of two":       {[]string{`Bearer realm="y",realm="z"`}, []challenge{{"bearer", params{"realm": "y"}}}},
		"token68, then more": {[]string{`NTLM TlRMTVNTUAA=, Basic realm="x"`}, []challenge{{"ntlm", params{"tlrmtvntuaa": ""}}, {"basic", params{"realm": "x"}}}},
		"unfinished quote":   {[]string{`Bearer realm="y`}, []challenge{{"bearer", params{"realm": "y"}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := challenges(http.Header{"Www-Authenticate": test.headers})
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(challenge{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth/token",service="s",scope="repository:a:pull"`)
	f.Add(`Basic realm="x\"", Bearer a=b c=d,,,= "`)
	f.Add("Negotiate \x00 @@@ =,")
	f.Fuzz(func(t *testing.T, header string) {
		list := challenges(http.Header{"Www-Authenticate": {header, header}})
		if len(list) > 2*maxChallenges {
			t.Errorf("%d challenges", len(list))
		}
		for _, c := range list {
			if c.scheme == "" {
				t.Errorf("%q: a challenge without a scheme", header)
			}
		}
	})
}
