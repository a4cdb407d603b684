package policy

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse holds every accepted document to what must be true of it: it is
// strict JSON within the limit, it decides the same when compiled again, and
// no document can undo a Deny or a session that allows nothing.
func FuzzParse(f *testing.F) {
	for _, c := range corpus(f) {
		for _, p := range c.Identity {
			f.Add(string(p.Document), c.Request.Action, c.Request.Resource, "acs:SourceIp", "10.0.0.1")
		}
		if c.Trust != nil {
			f.Add(string(c.Trust), c.Request.Action, c.Principal.ID, "sts:ExternalId", "x-1")
		}
	}
	denyAll := parsed(f, withStatement(`{"Effect":"Deny","Action":"*","Resource":"*"}`))
	f.Fuzz(func(t *testing.T, document, action, resource, key, value string) {
		req := Request{Action: action, Resource: resource}
		req.Context.Set(key, value)
		checkTrust(t, document, req, value)
		first, err := Parse(document)
		if err != nil {
			return
		}
		if !json.Valid([]byte(document)) || utf8.RuneCountInString(document) > MaxIdentityPolicy {
			t.Fatalf("accepted %q", document)
		}
		second, err := Parse(document)
		if err != nil {
			t.Fatalf("refused at the second time: %v", err)
		}
		set, again := Set{Policies: []Named{{Policy: first}}}, Set{Policies: []Named{{Policy: second}}}
		if a, b := Decide(req, set), Decide(req, again); a != b {
			t.Fatalf("decided %+v, then %+v", a, b)
		}
		set.Policies = append(set.Policies, denyAll)
		if Decide(req, set).Allowed() || Decide(req, Set{Level: Session}, again).Allowed() {
			t.Fatal("a Deny or an empty session was overridden")
		}
	})
}

func checkTrust(t *testing.T, document string, req Request, name string) {
	t.Helper()
	trust, err := ParseTrust(document)
	if err != nil {
		return
	}
	if !json.Valid([]byte(document)) {
		t.Fatalf("accepted %q", document)
	}
	for _, kind := range []PrincipalType{RAM, Service, Federated, PrincipalType(name)} {
		who := Principal{Type: kind, ID: req.Resource}
		d := trust.Decide(req.Action, who, req.Context)
		if d != trust.Decide(req.Action, who, req.Context) {
			t.Fatal("decided in two ways")
		}
		if d.Allowed() && strings.HasSuffix(who.ID, ":root") {
			t.Fatalf("trusted the root %q", who.ID)
		}
	}
}

// FuzzPattern compares the matcher with the definition of the wildcards.
func FuzzPattern(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*?*a", "容a")
	f.Add("**", "")
	f.Add("*a?", "aaab")
	f.Add("a?b*?", "a容b器")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 24 || len(text) > 48 {
			return
		}
		p, want := compilePattern(pattern), matchByDefinition([]rune(pattern), []rune(text))
		if got := p.match(text); got != want {
			t.Errorf("%q on %q is %v, want %v", pattern, text, got, want)
		}
	})
}

// matchByDefinition fills a table: cell (i, j) tells whether the pattern from i
// on matches the text from j on.
func matchByDefinition(pattern, text []rune) bool {
	next := make([]bool, len(text)+1)
	next[len(text)] = true
	for _, p := range slices.Backward(pattern) {
		row := make([]bool, len(text)+1)
		for j := len(text); j >= 0; j-- {
			switch {
			case p == '*':
				row[j] = next[j] || j < len(text) && row[j+1]
			case j < len(text):
				row[j] = next[j+1] && (p == '?' || p == text[j])
			}
		}
		next = row
	}
	return next[0]
}

// FuzzCondition checks for every operator, listed value and value of a request
// that what an Allow is granted a Deny would take: whatever can be compared
// holds for both or neither, the rest for the Deny only.
func FuzzCondition(f *testing.F) {
	for operator, listed := range goodValues {
		f.Add(operator, listed, listed)
		f.Add(operator, listed, "rubbish")
	}
	f.Add("NumericLessThan", "-0.5", "1e400000000")
	f.Add("DateEquals", "2026-01-31T08:00:00+08:00", "2026-01-31T24:00:00Z")
	f.Add("IpAddress", "::ffff:10.0.0.0/104", "10.0.0.1%x")
	f.Fuzz(func(t *testing.T, operator, listed, value string) {
		op, ok := operators[operator]
		if !ok {
			return
		}
		test, err := op.compile([]string{listed})
		if err != nil {
			return
		}
		var context Context
		context.Set("key", value)
		c := condition{key: "key", negated: op.negated, test: test}
		turned := condition{key: "key", negated: !op.negated, test: test}
		allows, denies := c.holds(context, false), c.holds(context, true)
		if allows && !denies {
			t.Errorf("%s %q on %q holds for an Allow, not for a Deny", operator, listed, value)
		}
		known := allows == denies
		if known && turned.holds(context, true) == denies || !known && (turned.holds(context, false) || !turned.holds(context, true)) {
			t.Errorf("%s %q on %q and its negation agree", operator, listed, value)
		}
		if context.Set("key"); c.holds(context, false) || c.holds(context, true) != op.negated {
			t.Errorf("%s %q does not fail closed without the key", operator, listed)
		}
	})
}
