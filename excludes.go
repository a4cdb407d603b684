package portolan

import "strings"

// Limits of the patterns that leave repositories out.
const (
	MaxExcludes      = 100
	MaxExcludeLength = 256
)

// ParseExclude checks a pattern of repositories that are left out: a path in
// which * stands for any text within one segment and ** for any text at all,
// slashes included. "**/" also stands for nothing, so that **/cache is cache
// as well as team/cache. The error is the sentence that says what is wrong,
// for the parameter.
func ParseExclude(param, pattern string) error {
	switch {
	case pattern == "" || len(pattern) > MaxExcludeLength || !Printable(pattern):
		return Invalid(param, "has a pattern that is not a text of 1 to %d bytes such as team/tmp-*", MaxExcludeLength)
	case strings.HasSuffix(pattern, "/"):
		return Invalid(param, "has the excludeRepositories pattern %q, which ends with a slash; for all below a path write %s**", pattern, pattern)
	case strings.HasPrefix(pattern, "/") || strings.Contains(pattern, "//"):
		return Invalid(param, "has the excludeRepositories pattern %q, which is not a path such as team/tmp-*", pattern)
	case strings.Contains(pattern, "***"):
		return Invalid(param, "has the excludeRepositories pattern %q; * stands for text within a segment, ** for any text, and *** for nothing", pattern)
	case strings.ContainsAny(pattern, `?[]{}!\ `):
		return Invalid(param, "has the excludeRepositories pattern %q; no repository's path has ? [ ] { } ! \\ or a blank, and only * and ** stand for other text", pattern)
	}
	return nil
}

// ExcludesPath reports whether one of the patterns matches the whole path of a
// repository. See ParseExclude for what they mean.
func ExcludesPath(patterns []string, path string) bool {
	for _, p := range patterns {
		if literal, _, ok := strings.Cut(p, "*"); !ok && p == path || ok && strings.HasPrefix(path, literal) && matchPath(p, path) {
			return true
		}
	}
	return false
}

// matchPath walks through the path once, with all places of the pattern that
// the walk can be at: no pattern makes it slow.
func matchPath(pattern, path string) bool {
	at, next := make([]bool, len(pattern)+1), make([]bool, len(pattern)+1)
	at[0] = true
	for i := 0; ; i++ {
		clear(next)
		for p := range pattern {
			if at[p] {
				step(pattern, p, path[i:], at, next)
			}
		}
		if i == len(path) {
			return at[len(pattern)]
		}
		at, next = next, at
	}
}

// step notes where the walk can go from place p of the pattern: past a star
// without a character of the path, or with the next one. The second of two
// stars is the place within what they stand for.
func step(pattern string, p int, rest string, at, next []bool) {
	more := rest != ""
	switch {
	case pattern[p] == '*' && p > 0 && pattern[p-1] == '*':
		at[p+1] = true
		next[p] = next[p] || more
	case strings.HasPrefix(pattern[p:], "**"):
		at[p+1] = true
		if strings.HasPrefix(pattern[p:], "**/") && (p == 0 || pattern[p-1] == '/') {
			at[p+len("**/")] = true
		}
	case pattern[p] == '*':
		at[p+1] = true
		next[p] = next[p] || more && rest[0] != '/'
	case more && rest[0] == pattern[p]:
		next[p+1] = true
	}
}

// Reads reports whether a repository is one that the registry's owner wants to
// have read: within the scope, and not left out.
func (e *Extra) Reads(path string) bool {
	return InScope(path, e.Scope()) && !ExcludesPath(e.Excludes, path)
}
