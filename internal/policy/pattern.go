package policy

import (
	"strings"
	"unicode/utf8"
)

// pattern is text with wildcards: * is any run of characters, also an empty
// one, and ? is exactly one character. Both cross colons and slashes.
//
// Runs are the pieces between the stars. As each has a fixed number of
// characters, taking the leftmost place for each is enough, and nothing is
// ever tried twice. Time is linear in the text, times the length of a run if
// that run holds a question mark.
type pattern []run

// run is a piece of a pattern without stars.
type run struct {
	text string
	// characters is 0 unless text holds a question mark.
	characters int
}

func compilePattern(text string) pattern {
	var p pattern
	pieces := strings.Split(text, "*")
	for i, piece := range pieces {
		if piece == "" && i > 0 && i < len(pieces)-1 {
			continue // ** is *
		}
		r := run{text: piece}
		if strings.Contains(piece, "?") {
			r.characters = utf8.RuneCountInString(piece)
		}
		p = append(p, r)
	}
	return p
}

func (p pattern) match(text string) bool {
	rest, ok := p[0].cutPrefix(text)
	if !ok || len(p) == 1 {
		return ok && rest == ""
	}
	last := len(p) - 1
	for _, r := range p[1:last] {
		if rest, ok = r.cutFirst(rest); !ok {
			return false
		}
	}
	return p[last].endOf(rest)
}

// cutPrefix answers what follows the run at the start of text.
func (r run) cutPrefix(text string) (rest string, ok bool) {
	if r.characters == 0 {
		return strings.CutPrefix(text, r.text)
	}
	for _, want := range r.text {
		got, size := utf8.DecodeRuneInString(text)
		if size == 0 || want != '?' && want != got {
			return "", false
		}
		text = text[size:]
	}
	return text, true
}

// cutFirst answers what follows the leftmost place of the run in text.
func (r run) cutFirst(text string) (rest string, ok bool) {
	if r.characters == 0 {
		_, rest, ok = strings.Cut(text, r.text)
		return rest, ok
	}
	for i := range text {
		if rest, ok = r.cutPrefix(text[i:]); ok {
			return rest, true
		}
	}
	return "", false
}

// endOf reports whether text ends with the run.
func (r run) endOf(text string) bool {
	if r.characters == 0 {
		return strings.HasSuffix(text, r.text)
	}
	start := len(text)
	for range r.characters {
		_, size := utf8.DecodeLastRuneInString(text[:start])
		start -= size
	}
	_, ok := r.cutPrefix(text[start:])
	return ok
}

// canonicalARN brings acs:<service>:<region>:<account>:<relative id> into the
// form in which patterns and resources are compared: all but the relative id
// in lower case, and an empty region written as *, since RAM uses both for
// resources that have none. It answers false for anything else.
func canonicalARN(arn string) (string, bool) {
	scheme, rest, _ := strings.Cut(arn, ":")
	service, rest, _ := strings.Cut(rest, ":")
	region, rest, _ := strings.Cut(rest, ":")
	account, relative, ok := strings.Cut(rest, ":")
	if !ok {
		return "", false
	}
	head := arn[:len(arn)-len(relative)]
	if region == "" {
		head = scheme + ":" + service + ":*:" + account + ":"
	}
	if head = strings.ToLower(head); !strings.HasPrefix(arn, head) {
		arn = head + relative // most requests come in canonical form
	}
	return arn, true
}
