package policy

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// maxValue bounds the text of a resource or a condition key in bytes. A longer
// one is not compared; it counts against the caller.
const maxValue = 2048

// answer is what a test says of one value. The order matters: of several
// values, the greatest answer counts.
type answer int

const (
	no answer = iota
	unknown
	yes
)

// test compares one value of a request with the values of a document.
type test func(value string) answer

// condition is one key under one operator.
type condition struct {
	key     string
	negated bool
	test    test
}

// holds reports whether the condition is met. Several values in the document
// are alternatives; under a negated operator none of them may be met.
//
// A key that the request does not have meets no positive operator. Whether it
// meets a negated one is not documented, and neither is what an unreadable
// value does, so both count against the caller: they hold for a Deny only.
func (c *condition) holds(context Context, deny bool) bool {
	values := context.values(c.key)
	if len(values) == 0 {
		return c.negated && deny
	}
	result := no
	for _, value := range values {
		if len(value) > maxValue {
			result = max(result, unknown)
			continue
		}
		result = max(result, c.test(value))
	}
	if result == unknown {
		return deny
	}
	return (result == yes) != c.negated
}

// operator is a condition operator: how it compiles the values of a document,
// and whether its test is turned round.
type operator struct {
	compile func(values []string) (test, error)
	negated bool
}

// operators are all there are. RAM has neither the IfExists suffix nor Null.
var operators = map[string]operator{
	"StringEquals":              {compile: stringEquals},
	"StringNotEquals":           {compile: stringEquals, negated: true},
	"StringEqualsIgnoreCase":    {compile: stringEqualsIgnoreCase},
	"StringNotEqualsIgnoreCase": {compile: stringEqualsIgnoreCase, negated: true},
	"StringLike":                {compile: stringLike},
	"StringNotLike":             {compile: stringLike, negated: true},

	"NumericEquals":            {compile: numeric(func(order int) bool { return order == 0 })},
	"NumericNotEquals":         {compile: numeric(func(order int) bool { return order == 0 }), negated: true},
	"NumericLessThan":          {compile: numeric(func(order int) bool { return order < 0 })},
	"NumericLessThanEquals":    {compile: numeric(func(order int) bool { return order <= 0 })},
	"NumericGreaterThan":       {compile: numeric(func(order int) bool { return order > 0 })},
	"NumericGreaterThanEquals": {compile: numeric(func(order int) bool { return order >= 0 })},

	"DateEquals":            {compile: date(func(order int) bool { return order == 0 })},
	"DateNotEquals":         {compile: date(func(order int) bool { return order == 0 }), negated: true},
	"DateLessThan":          {compile: date(func(order int) bool { return order < 0 })},
	"DateLessThanEquals":    {compile: date(func(order int) bool { return order <= 0 })},
	"DateGreaterThan":       {compile: date(func(order int) bool { return order > 0 })},
	"DateGreaterThanEquals": {compile: date(func(order int) bool { return order >= 0 })},

	"Bool": {compile: boolean},

	// The IncludeBorder forms of later documents mean the same: a prefix
	// holds its first and last address.
	"IpAddress":                 {compile: ipAddress},
	"NotIpAddress":              {compile: ipAddress, negated: true},
	"IpAddressIncludeBorder":    {compile: ipAddress},
	"NotIpAddressIncludeBorder": {compile: ipAddress, negated: true},
}

func stringEquals(values []string) (test, error) {
	return compare(values, "a string", parseString, parseString, func(v, listed string) bool { return v == listed })
}

func stringEqualsIgnoreCase(values []string) (test, error) {
	return compare(values, "a string", parseString, parseString, strings.EqualFold)
}

func stringLike(values []string) (test, error) {
	return compare(values, "a pattern", parseString, parsePattern, func(v string, p pattern) bool { return p.match(v) })
}

func numeric(accept func(order int) bool) func([]string) (test, error) {
	return func(values []string) (test, error) {
		return compare(values, "a decimal number such as 10 or -0.5", parseNumber, parseNumber,
			func(v, listed *big.Rat) bool { return accept(v.Cmp(listed)) })
	}
}

func date(accept func(order int) bool) func([]string) (test, error) {
	return func(values []string) (test, error) {
		return compare(values, "an ISO 8601 time with a zone, such as 2026-01-31T08:00:00Z", parseTime, parseTime,
			func(v, listed time.Time) bool { return accept(v.Compare(listed)) })
	}
}

func boolean(values []string) (test, error) {
	return compare(values, "true or false", parseBool, parseBool, func(v, listed bool) bool { return v == listed })
}

func ipAddress(values []string) (test, error) {
	return compare(values, "an IP address or a prefix such as 192.0.2.0/24", parseAddress, parsePrefix,
		func(v netip.Addr, p netip.Prefix) bool { return p.Contains(v) })
}

// compare makes a test out of how a value of the request is read, how a value
// of the document is read, and when the first meets the second.
func compare[V, L any](values []string, want string, read func(string) (V, bool), readListed func(string) (L, bool), meets func(V, L) bool) (test, error) {
	list := make([]L, len(values))
	for i, text := range values {
		var ok bool
		if list[i], ok = readListed(text); !ok {
			return nil, fmt.Errorf("%q must be %s", text, want)
		}
	}
	return func(text string) answer {
		value, ok := read(text)
		switch {
		case !ok:
			return unknown
		case slices.ContainsFunc(list, func(listed L) bool { return meets(value, listed) }):
			return yes
		default:
			return no
		}
	}, nil
}

func (s *statement) compileCondition(path string, o object) error {
	value, ok := o.get("Condition")
	if !ok {
		return nil
	}
	path += ".Condition"
	byOperator, ok := value.(object)
	if !ok {
		return fmt.Errorf("%s must be an object of operators", path)
	}
	for _, m := range byOperator {
		op, ok := operators[m.name]
		if !ok {
			return fmt.Errorf("%s: the condition operator %q is not supported", path, m.name)
		}
		if err := s.compileOperator(path+"."+m.name, op, m.value); err != nil {
			return err
		}
	}
	return nil
}

func (s *statement) compileOperator(path string, op operator, value any) error {
	keys, _ := value.(object)
	if len(keys) == 0 {
		return fmt.Errorf("%s must be an object of at least one condition key", path)
	}
	first := len(s.conditions)
	for _, m := range keys {
		key := strings.ToLower(m.name)
		if key == "" || slices.ContainsFunc(s.conditions[first:], func(c condition) bool { return c.key == key }) {
			return fmt.Errorf("%s: the condition key %q is empty or stands twice (names are compared without case)", path, m.name)
		}
		values, err := scalarList(path+"."+m.name, m.value)
		if err != nil {
			return err
		}
		test, err := op.compile(values)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", path, m.name, err)
		}
		s.conditions = append(s.conditions, condition{key: key, negated: op.negated, test: test})
	}
	return nil
}
