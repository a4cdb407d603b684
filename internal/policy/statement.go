package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// statement is one compiled statement. The zero value applies to nothing.
type statement struct {
	deny       bool
	notAction  bool // actions lists what the statement is not about
	actions    []pattern
	anything   bool // Resource holds "*": every resource, well-formed or not
	resources  []pattern
	principals []principal // only of trust policies, which have no resources
	conditions []condition
}

// applies reports whether the statement is about the request.
func (s *statement) applies(q *query) bool {
	return matchAny(s.actions, q.action) != s.notAction && s.covers(q) && s.holds(q.context)
}

// covers compares the resource, or the principal in a trust policy. A resource
// that is no ARN cannot be compared, so every Deny covers it.
func (s *statement) covers(q *query) bool {
	if s.principals != nil {
		return slices.ContainsFunc(s.principals, q.principal.matchedBy)
	}
	return s.anything || s.deny && q.resource == "" || matchAny(s.resources, q.resource)
}

func (s *statement) holds(context Context) bool {
	for i := range s.conditions {
		if !s.conditions[i].holds(context, s.deny) {
			return false
		}
	}
	return true
}

func matchAny(patterns []pattern, text string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.match(text) })
}

func (s *statement) compile(path string, value any, g *grammar) error {
	o, ok := value.(object)
	if !ok {
		return fmt.Errorf("%s must be an object", path)
	}
	if err := o.only(path+": ", g.elements...); err != nil {
		return err
	}
	if sid, ok := o.get("Sid"); ok {
		if _, ok := sid.(string); !ok {
			return fmt.Errorf("%s.Sid must be a string", path)
		}
	}
	for _, compile := range []func(string, object) error{s.compileEffect, s.compileAction, s.compileCondition} {
		if err := compile(path, o); err != nil {
			return err
		}
	}
	scope, ok := o.get(g.scope)
	switch {
	case !ok:
		return fmt.Errorf("%s.%s is missing", path, g.scope)
	case g.scope == "Principal":
		return s.compilePrincipal(path+".Principal", scope)
	default:
		return s.compileResource(path+".Resource", scope)
	}
}

func (s *statement) compileEffect(path string, o object) error {
	effect, _ := o.get("Effect")
	s.deny = effect == "Deny"
	if !s.deny && effect != "Allow" {
		return fmt.Errorf("%s.Effect must be Allow or Deny", path)
	}
	return nil
}

func (s *statement) compileAction(path string, o object) error {
	value, ok := o.get("Action")
	not, okNot := o.get("NotAction")
	if ok == okNot {
		return fmt.Errorf("%s must have exactly one of Action and NotAction", path)
	}
	name := ".Action"
	if okNot {
		name, value, s.notAction = ".NotAction", not, true
	}
	texts, err := stringList(path+name, value)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if !validAction(text) {
			return fmt.Errorf("%s%s: %q must be * or <service>:<operation>, such as yundun-sas:PageImageRegistry or yundun-sas:*", path, name, text)
		}
		s.actions = append(s.actions, compilePattern(strings.ToLower(text)))
	}
	return nil
}

// validAction accepts * alone, or a service and an operation of printable
// ASCII. Anything else could never match, which in a Deny would go unnoticed.
func validAction(text string) bool {
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	service, operation, ok := strings.Cut(text, ":")
	return text == "*" || ok && service != "" && operation != "" && !strings.ContainsFunc(text, unprintable)
}

func (s *statement) compileResource(path string, value any) error {
	texts, err := stringList(path, value)
	if err != nil {
		return err
	}
	for _, text := range texts {
		arn, ok := resourcePattern(text)
		if !ok {
			return fmt.Errorf("%s: %q must be * or acs:<service>:<region>:<account id>:<relative id>, such as acs:yundun-sas:*:*:*", path, text)
		}
		s.anything = s.anything || text == "*"
		s.resources = append(s.resources, compilePattern(arn))
	}
	return nil
}

// resourcePattern answers the canonical form of a resource in a document. A
// short one that ends with a star stands for all that may follow: acs:oss:*
// is acs:oss:*:*:*.
func resourcePattern(text string) (string, bool) {
	if scheme, _, _ := strings.Cut(text, ":"); scheme != "*" && !strings.EqualFold(scheme, "acs") {
		return "", false
	}
	if missing := 4 - strings.Count(text, ":"); missing > 0 && strings.HasSuffix(text, "*") {
		text += strings.Repeat(":*", missing)
	}
	return canonicalARN(text)
}

// stringList reads a string or a list of strings. A single string is a list of
// one; an empty list is refused, as it would match nothing.
func stringList(path string, value any) ([]string, error) {
	return textList(path, value, "a string or a list of strings", func(v any) (string, bool) {
		text, ok := v.(string)
		return text, ok
	})
}

// scalarList reads like stringList and takes numbers and booleans as well, as
// documents in the field have them; they become their JSON text.
func scalarList(path string, value any) ([]string, error) {
	return textList(path, value, "a string, number, boolean or a list of them", func(v any) (string, bool) {
		switch v := v.(type) {
		case string:
			return v, true
		case json.Number, bool:
			return fmt.Sprint(v), true
		default:
			return "", false
		}
	})
}

func textList(path string, value any, want string, read func(any) (string, bool)) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s must not be an empty list", path)
	}
	texts := make([]string, len(list))
	for i, item := range list {
		if texts[i], ok = read(item); !ok {
			return nil, fmt.Errorf("%s must be %s", path, want)
		}
	}
	return texts, nil
}
