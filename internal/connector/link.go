package connector

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"portolan"
)

// ErrTruncated is wrapped by the error of a list that its source cut off: a
// Link that leads in a circle or to another host, or fewer entries than it
// announced.
var ErrTruncated = errors.New("the list was cut off")

// NextLink answers the address of the next page from the Link header (RFC
// 8288), nil if there is none. The address may be relative to page; one on
// another host or scheme is an ErrTruncated, for it is not followed.
func NextLink(page *url.URL, h http.Header) (*url.URL, error) {
	for _, line := range h.Values("Link") {
		target, ok := linkTarget(line, "next")
		if !ok {
			continue
		}
		next, err := page.Parse(target)
		if err != nil || next.Scheme != page.Scheme || next.Host != page.Host || next.User != nil {
			return nil, because(ErrTruncated, portolan.ServerFailure, "%s continues its list on another host or at an address that cannot be used.", page.Host)
		}
		next.Fragment = ""
		next.RawQuery = strings.ReplaceAll(next.RawQuery, " ", "%20") // Harbor does not escape
		return next, nil
	}
	return nil, nil
}

// linkTarget finds the target of the relation in one header line of links,
// `<target>; rel="next", <target>; rel=prev`.
func linkTarget(line, relation string) (string, bool) {
	for {
		_, rest, ok := strings.Cut(line, "<")
		if !ok {
			return "", false
		}
		target, rest, ok := strings.Cut(rest, ">")
		if !ok {
			return "", false
		}
		var found bool
		if found, line = linkParams(rest, relation); found {
			return strings.TrimSpace(target), true
		}
	}
}

// linkParams reads the parameters of one link up to the comma that ends it,
// and answers whether they name the relation and what follows.
func linkParams(s, relation string) (found bool, rest string) {
	seen := false
	for {
		s = strings.TrimLeft(s, " \t")
		if !strings.HasPrefix(s, ";") {
			_, rest, _ = strings.Cut(s, ",")
			return found, rest
		}
		var name, value string
		name, value, s = parameter(s[1:])
		if strings.EqualFold(name, "rel") && !seen { // only the first rel counts
			seen = true
			found = hasWord(value, relation)
		}
	}
}

func hasWord(list, word string) bool {
	for w := range strings.FieldsSeq(list) {
		if strings.EqualFold(w, word) {
			return true
		}
	}
	return false
}
