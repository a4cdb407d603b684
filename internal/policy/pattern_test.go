package policy

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern string
		meets   []string
		fails   []string
	}{
		{"", []string{""}, []string{"a"}},
		{"abc", []string{"abc"}, []string{"", "ab", "abcd", "ABC", "xabc"}},
		{"*", []string{"", "a", "a:b/c"}, nil},
		{"**", []string{"", "a", "a:b/c"}, nil},
		{"a*", []string{"a", "ab", "a:/"}, []string{"", "ba"}},
		{"*a", []string{"a", "ba", "aa"}, []string{"", "ab"}},
		{"a*a", []string{"aa", "aba", "aaa"}, []string{"a", "ab", "ba"}},
		{"a*b*c", []string{"abc", "axbxc", "abbcc", "abcbc"}, []string{"ac", "acb", "abcd"}},
		{"a***c", []string{"ac", "abc"}, []string{"a", "c"}},
		{"*ab*", []string{"ab", "xaby", "aab"}, []string{"ba", "a", "axb"}},
		{"?", []string{"a", "容", "\u00e4"}, []string{"", "ab", "a\u0308"}},
		{"??", []string{"ab", "容器"}, []string{"a", "abc"}},
		{"a?c", []string{"abc", "a:c", "a容c"}, []string{"ac", "abbc", "abd"}},
		{"?*", []string{"a", "ab"}, []string{""}},
		{"*?", []string{"a", "ab", "容"}, []string{""}},
		{"*?c", []string{"bc", "abc", "容c"}, []string{"c", "cb"}},
		{"a*?c*d", []string{"axcd", "aaccxd", "a容cd"}, []string{"acd", "axd"}},
		{"*a?c*", []string{"abc", "aabcc", "xaxcx", "aa容c"}, []string{"ac", "abbc"}},
		{"a?*?b", []string{"axyb", "axxyb"}, []string{"axb", "ab"}},
		{"[a-z]\\*", []string{"[a-z]\\", "[a-z]\\x"}, []string{"a", "[a-z]"}},
	} {
		t.Run(c.pattern, func(t *testing.T) {
			t.Parallel()
			for text, want := range merged(c.meets, c.fails) {
				if got := compilePattern(c.pattern).match(text); got != want {
					t.Errorf("match(%q) = %v, want %v", text, got, want)
				}
			}
		})
	}
}

// A matcher that goes back would not come to an end here.
func TestPatternDoesNotGoBack(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a", maxValue)
	for name, pattern := range map[string]string{
		"stars":          strings.Repeat("a*", 3000) + "b",
		"starred runs":   strings.Repeat("*aa", 500) + "*b*",
		"question marks": strings.Repeat("*a?", 500) + "*b?*",
		"long run":       "*" + strings.Repeat("a?", 500) + "b*",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if compilePattern(pattern).match(text) {
				t.Error("matched text without a b")
			}
		})
	}
}

func TestCanonicalARN(t *testing.T) {
	t.Parallel()
	for arn, want := range map[string]string{
		"acs:ram::1:user/Alice":          "acs:ram:*:1:user/Alice",
		"acs:ram:*:1:user/Alice":         "acs:ram:*:1:user/Alice",
		"ACS:Ram:CN-Hangzhou:A:Role/X:Y": "acs:ram:cn-hangzhou:a:Role/X:Y",
		"acs:ram:::":                     "acs:ram:*::",
		"::::":                           "::*::",
		"acs:ram:*:user/alice":           "",
		"*":                              "",
		"":                               "",
	} {
		got, ok := canonicalARN(arn)
		if got != want || ok != (want != "") {
			t.Errorf("canonicalARN(%q) = %q, %v; want %q", arn, got, ok, want)
		}
		if again, _ := canonicalARN(got); again != got {
			t.Errorf("canonicalARN(%q) = %q is not its own canonical form: %q", arn, got, again)
		}
	}
}
