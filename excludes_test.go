package portolan_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"portolan"
)

func TestExcludesPath(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]struct{ yes, no []string }{
		"team/app":      {[]string{"team/app"}, []string{"team", "team/app2", "a/team/app", "team/app/x", ""}},
		"team/*":        {[]string{"team/app", "team/"}, []string{"team", "team/app/x", "teams/app"}},
		"team/tmp-*":    {[]string{"team/tmp-1", "team/tmp-"}, []string{"team/tmp", "team/tmp-1/x"}},
		"*/cache":       {[]string{"team/cache"}, []string{"cache", "a/b/cache"}},
		"*":             {[]string{"app"}, []string{"team/app"}},
		"team/**":       {[]string{"team/app", "team/a/b/c"}, []string{"team", "teams/app"}},
		"team**":        {[]string{"team", "teams/app", "team/a"}, []string{"a/team"}},
		"**/cache":      {[]string{"cache", "team/cache", "a/b/cache"}, []string{"mycache", "cache/x"}},
		"a/**/z":        {[]string{"a/z", "a/b/z", "a/b/c/z"}, []string{"az", "a/bz"}},
		"**":            {[]string{"a", "a/b"}, nil},
		"*-test*/**":    {[]string{"my-test/a", "x-tests/a/b"}, []string{"my-test", "a/my-test/b"}},
		"**/*-dev":      {[]string{"app-dev", "team/app-dev"}, []string{"app-dev/x", "app-device"}},
		"*a*b*c*d*e*f*": {[]string{"abcdef", "xaxbxcxdxexfx"}, []string{"abcde", "abc/def"}},
	} {
		for _, path := range want.yes {
			if !portolan.ExcludesPath([]string{"nothing", pattern}, path) {
				t.Errorf("%s does not match %s", pattern, path)
			}
		}
		for _, path := range want.no {
			if portolan.ExcludesPath([]string{pattern}, path) {
				t.Errorf("%s matches %s", pattern, path)
			}
		}
	}
	if portolan.ExcludesPath(nil, "a") {
		t.Error("no pattern matches something")
	}
}

func TestParseExclude(t *testing.T) {
	t.Parallel()
	for pattern, says := range map[string]string{
		"team/*": "", "**": "", "a_b.c-d/e": "", "team%20x": "",
		"": "1 to 256 bytes", "a\nb": "1 to 256 bytes", strings.Repeat("a", 257): "1 to 256 bytes",
		"team/": "write team/**", "/team": "not a path", "a//b": "not a path", "a?": "only * and **", "a***b": "*** for", "[ab]": "only * and **", "!a": "only * and **", "a b": "only * and **",
	} {
		err := portolan.ParseExclude("ExtraParam", pattern)
		if (says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", pattern, err, says)
		}
		if wire, ok := errors.AsType[*portolan.Error](err); err != nil && (!ok || wire.Code != "InvalidParameter") {
			t.Errorf("%q: %v is not an InvalidParameter", pattern, err)
		}
	}
}

// FuzzExcludesPath compares with what the pattern means as a regular
// expression.
func FuzzExcludesPath(f *testing.F) {
	for _, seed := range [][2]string{{"a/**/z", "a/z"}, {"**/b", "b"}, {"*", "a/b"}, {"**/cache", "mycache"}, {"**/**/x", "x"}, {"a**/b", "a/b"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if portolan.ParseExclude("p", pattern) != nil || !portolan.Printable(path) || len(path) > 300 {
			return
		}
		re := regexp.MustCompile("^(?s:" + expression(pattern) + ")$")
		if got, want := portolan.ExcludesPath([]string{pattern}, path), re.MatchString(path); got != want {
			t.Errorf("%q on %q: %v, want %v", pattern, path, got, want)
		}
	})
}

func expression(pattern string) string {
	var b strings.Builder
	for p := 0; p < len(pattern); {
		switch rest := pattern[p:]; {
		case strings.HasPrefix(rest, "**/") && (p == 0 || pattern[p-1] == '/'):
			b.WriteString("(.*/)?")
			p += 3
		case strings.HasPrefix(rest, "**"):
			b.WriteString(".*")
			p += 2
		case rest[0] == '*':
			b.WriteString("[^/]*")
			p++
		default:
			b.WriteString(regexp.QuoteMeta(rest[:1]))
			p++
		}
	}
	return b.String()
}
