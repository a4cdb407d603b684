package portolan

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold brings a name into the form in which names are compared: NFC, full
// Unicode case folding, NFC again. Databases differ in case folding, so it is
// always done here and stored beside the name.
func Fold(s string) string {
	if isLowerASCII(s) {
		return s
	}
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(s)))
}

func isLowerASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// SplitRepository splits the path of a repository into its namespace
// (everything before the last slash, possibly empty) and its name.
func SplitRepository(path string) (namespace, name string) {
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// InScope reports whether a path is one of the prefixes or below one of them,
// at a slash boundary. An empty list of prefixes holds everything.
func InScope(path string, prefixes []string) bool {
	for _, p := range prefixes {
		p = strings.Trim(p, "/")
		if path == p || strings.HasPrefix(path, p+"/") {
			return true
		}
	}
	return len(prefixes) == 0
}

// Printable reports whether s is valid UTF-8 without control characters.
func Printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
