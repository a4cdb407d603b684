package policy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// decideUnder answers whether a statement with the condition applies when the
// key has the values: for an Allow and for a Deny.
func decideUnder(t testing.TB, operator string, listed any, values ...string) (allows, denies bool) {
	t.Helper()
	condition, err := json.Marshal(map[string]any{operator: map[string]any{"key": listed}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(withCondition(string(condition)))
	if err != nil {
		t.Fatal(err)
	}
	deny, err := Parse(strings.Replace(withCondition(string(condition)), "Allow", "Deny", 1))
	if err != nil {
		t.Fatal(err)
	}
	req := Request{Action: "a:b", Resource: "acs:a:*:1:*"}
	req.Context.Set("KEY", values...)
	allows = Decide(req, Set{Policies: []Named{{Policy: p}}}).Allowed()
	denies = Decide(req, Set{Policies: []Named{{Policy: deny}}}).Outcome == ExplicitDeny
	return allows, denies
}

// Every case is run for an operator and, turned round, for its negation.
func TestOperators(t *testing.T) {
	t.Parallel()
	type values = []any
	for name, c := range map[string]struct {
		operator string
		negation string
		listed   any
		meets    []string // values that meet the operator
		fails    []string // values that do not
	}{
		"StringEquals":                   {"StringEquals", "StringNotEquals", values{"a*", "B", ""}, []string{"a*", "B", ""}, []string{"ab", "b", "A*", " B"}},
		"StringEquals with scalars":      {"StringEquals", "StringNotEquals", values{1, true, 1.50}, []string{"1", "true", "1.5"}, []string{"1.0", "True", "1.50"}},
		"StringEqualsIgnoreCase":         {"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", values{"Alice", "ÄB"}, []string{"aLICE", "äb"}, []string{"alic", "b"}},
		"StringLike":                     {"StringLike", "StringNotLike", values{"a*c", "?"}, []string{"ac", "abbc", "x", "容"}, []string{"acd", "Ac", "", "xy"}},
		"NumericEquals":                  {"NumericEquals", "NumericNotEquals", values{"10", -0.5}, []string{"10", "10.0", "+10", "010", "-0.50"}, []string{"10.01", "0.5", "-10"}},
		"NumericEquals is exact":         {"NumericEquals", "NumericNotEquals", "20000000000000001", []string{"20000000000000001"}, []string{"20000000000000000", "20000000000000002"}},
		"NumericLessThan":                {"NumericLessThan", "", 10, []string{"9.999", "-11"}, []string{"10", "11"}},
		"NumericLessThanEquals":          {"NumericLessThanEquals", "", 10, []string{"9.999", "10"}, []string{"10.001"}},
		"NumericGreaterThan":             {"NumericGreaterThan", "", 10, []string{"10.001"}, []string{"10", "9"}},
		"NumericGreaterThanEquals":       {"NumericGreaterThanEquals", "", 10, []string{"10", "11"}, []string{"9.999"}},
		"DateEquals":                     {"DateEquals", "DateNotEquals", "2026-01-31T08:00:00+08:00", []string{"2026-01-31T00:00:00Z", "2026-01-31T00:00:00.000Z", "2026-01-31", "2026-01-31T00:00Z", "2026-01-31T05:30:00+0530"}, []string{"2026-01-31T08:00:00Z", "2026-01-31T00:00:00.001Z"}},
		"DateLessThan":                   {"DateLessThan", "", "2026-01-31", []string{"2026-01-30T23:59:59Z"}, []string{"2026-01-31T00:00:00Z", "2026-02-01"}},
		"DateLessThanEquals":             {"DateLessThanEquals", "", "2026-01-31", []string{"2026-01-31T00:00:00Z", "2025-12-31"}, []string{"2026-01-31T00:00:01Z"}},
		"DateGreaterThan":                {"DateGreaterThan", "", "2026-01-31", []string{"2026-01-31T00:00:01Z"}, []string{"2026-01-31T00:00:00Z", "2026-01-30"}},
		"DateGreaterThanEquals":          {"DateGreaterThanEquals", "", "2026-01-31", []string{"2026-01-31T00:00:00Z", "2027-01-01"}, []string{"2026-01-30T23:59:59Z"}},
		"Bool":                           {"Bool", "", true, []string{"true", "True"}, []string{"false"}},
		"Bool false":                     {"Bool", "", "FALSE", []string{"false"}, []string{"true"}},
		"IpAddress":                      {"IpAddress", "NotIpAddress", values{"192.0.2.7", "10.1.2.3/8"}, []string{"192.0.2.7", "10.255.255.255", "10.0.0.0", "::ffff:10.0.0.1"}, []string{"192.0.2.8", "11.0.0.0", "::10.0.0.1"}},
		"IpAddress v6":                   {"IpAddress", "NotIpAddress", values{"2001:db8::1", "fe80::/10"}, []string{"2001:DB8:0::1", "fe80::1%eth0"}, []string{"2001:db8::2", "192.0.2.7"}},
		"IpAddress v4 written as v6":     {"IpAddress", "NotIpAddress", values{"::ffff:192.0.2.7", "::ffff:10.0.0.0/104"}, []string{"192.0.2.7", "10.9.9.9"}, []string{"192.0.2.8", "11.0.0.0"}},
		"IpAddress of all v4":            {"IpAddress", "NotIpAddress", "0.0.0.0/0", []string{"192.0.2.7", "::ffff:192.0.2.7"}, []string{"2001:db8::1"}},
		"IpAddressIncludeBorder, plain":  {"IpAddressIncludeBorder", "NotIpAddressIncludeBorder", "192.0.2.0/30", []string{"192.0.2.0", "192.0.2.3"}, []string{"192.0.1.255", "192.0.2.4"}},
		"several numbers: any of them":   {"NumericLessThan", "", values{5, 10}, []string{"7"}, []string{"10"}},
		"a list of one is the same":      {"StringEquals", "StringNotEquals", values{"x"}, []string{"x"}, []string{"y"}},
		"StringLike star alone":          {"StringLike", "StringNotLike", "*", []string{"", "x"}, nil},
		"StringLike longest value":       {"StringLike", "StringNotLike", "x*", []string{strings.Repeat("x", maxValue)}, nil},
		"StringEquals compares no forms": {"StringEquals", "StringNotEquals", "\u00e4", []string{"\u00e4"}, []string{"a\u0308"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for operator, turned := range map[string]bool{c.operator: false, c.negation: true} {
				if operator == "" {
					continue
				}
				for value, meets := range merged(c.meets, c.fails) {
					want := meets != turned
					if allows, denies := decideUnder(t, operator, c.listed, value); allows != want || denies != want {
						t.Errorf("%s %v on %q: allows %v, denies %v, want %v", operator, c.listed, value, allows, denies, want)
					}
				}
			}
		})
	}
}

func merged(meets, fails []string) map[string]bool {
	all := map[string]bool{}
	for _, v := range meets {
		all[v] = true
	}
	for _, v := range fails {
		all[v] = false
	}
	return all
}

// A good value of a document for every operator there is; a new operator has
// to be added here.
var goodValues = map[string]string{
	"StringEquals": "x", "StringNotEquals": "x", "StringEqualsIgnoreCase": "x", "StringNotEqualsIgnoreCase": "x", "StringLike": "x", "StringNotLike": "x",
	"NumericEquals": "1", "NumericNotEquals": "1", "NumericLessThan": "1", "NumericLessThanEquals": "1", "NumericGreaterThan": "1", "NumericGreaterThanEquals": "1",
	"DateEquals": "2026-01-31", "DateNotEquals": "2026-01-31", "DateLessThan": "2026-01-31", "DateLessThanEquals": "2026-01-31", "DateGreaterThan": "2026-01-31", "DateGreaterThanEquals": "2026-01-31",
	"Bool":      "true",
	"IpAddress": "10.0.0.0/8", "NotIpAddress": "10.0.0.0/8", "IpAddressIncludeBorder": "10.0.0.0/8", "NotIpAddressIncludeBorder": "10.0.0.0/8",
}

func TestEveryOperatorHasAGoodValue(t *testing.T) {
	t.Parallel()
	got, want := slices.Sorted(maps.Keys(operators)), slices.Sorted(maps.Keys(goodValues))
	if !slices.Equal(got, want) {
		t.Errorf("operators are %q, want %q", got, want)
	}
}

func TestWhatCannotBeComparedCountsAgainstTheCaller(t *testing.T) {
	t.Parallel()
	for operator, listed := range goodValues {
		t.Run(operator, func(t *testing.T) {
			t.Parallel()
			negated := strings.Contains(operator, "Not")
			for name, values := range map[string][]string{"absent": nil, "no values": {}} {
				if allows, denies := decideUnder(t, operator, listed, values...); allows || denies != negated {
					t.Errorf("%s: allows %v, denies %v; want false, %v", name, allows, denies, negated)
				}
			}
			bad := []string{strings.Repeat("x", maxValue+1)}
			if !strings.HasPrefix(operator, "String") {
				bad = append(bad, "", "rubbish", "1/2", "-+1", "1.", ".5", "1e3", "0x1", strings.Repeat("1", 65), "2026-01-31T08:00:00", "10.0.0.0/8", "yes")
			}
			for _, value := range bad {
				if allows, denies := decideUnder(t, operator, listed, value); allows || !denies {
					t.Errorf("%q: allows %v, denies %v; want false, true", value, allows, denies)
				}
			}
		})
	}
}

func TestSeveralValuesOfARequest(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		operator       string
		values         []string
		allows, denies bool
	}{
		"one meets":                      {"IpAddress", []string{"192.0.2.7", "10.0.0.1"}, true, true},
		"none meets":                     {"IpAddress", []string{"192.0.2.7", "192.0.2.8"}, false, false},
		"one meets, one is unreadable":   {"IpAddress", []string{"rubbish", "10.0.0.1"}, true, true},
		"none meets, one is unreadable":  {"IpAddress", []string{"192.0.2.7", "rubbish"}, false, true},
		"negated: one is listed":         {"NotIpAddress", []string{"192.0.2.7", "10.0.0.1"}, false, false},
		"negated: none is listed":        {"NotIpAddress", []string{"192.0.2.7", "192.0.2.8"}, true, true},
		"negated: one is unreadable":     {"NotIpAddress", []string{"192.0.2.7", "rubbish"}, false, true},
		"negated: listed and unreadable": {"NotIpAddress", []string{"10.0.0.1", "rubbish"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if allows, denies := decideUnder(t, c.operator, "10.0.0.0/8", c.values...); allows != c.allows || denies != c.denies {
				t.Errorf("allows %v, denies %v; want %v, %v", allows, denies, c.allows, c.denies)
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	var c Context
	if got := c.values("acs:sourceip"); got != nil {
		t.Errorf("a context without keys has %q", got)
	}
	c.Set(KeySourceIP, "192.0.2.7")
	c.Set("a", "1", "2")
	c.Set("ACS:SOURCEIP", "192.0.2.8")
	if got := c.values("acs:sourceip"); !slices.Equal(got, []string{"192.0.2.8"}) {
		t.Errorf("after a second Set the key has %q", got)
	}
	if got := c.values("A"); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("the other key has %q", got)
	}
}
