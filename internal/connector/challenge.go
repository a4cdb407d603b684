package connector

import (
	"net/http"
	"strings"
)

// challenge is one way in which a server wants to be told who is asking.
type challenge struct {
	scheme string // lower case
	params map[string]string
}

const maxChallenges = 20

// BearerChallenge answers where a registry's challenge wants tokens to be
// fetched, and the name that the registry gives itself there; "" without one.
func BearerChallenge(h http.Header) (realm, service string) {
	for _, c := range challenges(h) {
		if c.scheme == bearer {
			return c.params["realm"], c.params["service"]
		}
	}
	return "", ""
}

// challenges reads all WWW-Authenticate headers (RFC 9110, section 11.6.1).
// One header may hold several challenges, parameters come in any order, and
// what cannot be read is left out.
func challenges(h http.Header) []challenge {
	var list []challenge
	for _, s := range h.Values("WWW-Authenticate") {
		for s = skipSeparators(s); s != "" && len(list) < maxChallenges; s = skipSeparators(s) {
			scheme, rest := token(s)
			if scheme == "" {
				break
			}
			c := challenge{scheme: strings.ToLower(scheme), params: map[string]string{}}
			s = authParams(rest, c.params)
			list = append(list, c)
		}
	}
	return list
}

// authParams reads name=value pairs up to the next scheme, which is a token
// that no "=" follows.
func authParams(s string, params map[string]string) string {
	for {
		s = skipSeparators(s)
		name, rest := token(s)
		if name == "" || !strings.HasPrefix(strings.TrimLeft(rest, " \t"), "=") {
			if name == "" && s != "" {
				s = s[1:] // neither a parameter nor a scheme: step over it
			}
			return s
		}
		var value string
		name, value, s = parameter(s)
		if name = strings.ToLower(name); params[name] == "" {
			params[name] = value
		}
	}
}

// parameter reads `name=value` with a token or a quoted string as value.
func parameter(s string) (name, value, rest string) {
	name, rest = token(strings.TrimLeft(s, " \t"))
	rest = strings.TrimLeft(rest, " \t")
	if !strings.HasPrefix(rest, "=") {
		return name, "", rest
	}
	rest = strings.TrimLeft(rest[1:], " \t")
	if strings.HasPrefix(rest, `"`) {
		value, rest = quoted(rest[1:])
		return name, value, rest
	}
	end := strings.IndexAny(rest, " \t,;")
	if end < 0 {
		end = len(rest)
	}
	return name, rest[:end], rest[end:]
}

// quoted reads a quoted string after its first quote.
func quoted(s string) (value, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), s[i+1:]
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

// token reads the characters of RFC 9110's token.
func token(s string) (tok, rest string) {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return s[:i], s[i:]
		}
	}
	return s, ""
}

func skipSeparators(s string) string { return strings.TrimLeft(s, " \t,") }
