// Package policy is the policy language of RAM: it compiles policy documents
// and decides whether a request is allowed by them.
//
// It is pure: no clock, no network, no storage. It knows nothing of users,
// groups or how policies are attached, and nothing of the account's root, who
// is allowed everything and never gets here. Whatever is unknown or cannot be
// read counts against the caller: a Deny applies, an Allow does not.
package policy

import (
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"portolan"
)

// Limits of documents in characters, as RAM and STS publish them.
const (
	MaxIdentityPolicy = 6144 // PolicyDocument of CreatePolicy and CreatePolicyVersion
	MaxTrustPolicy    = 4096 // AssumeRolePolicyDocument of CreateRole and UpdateRole
	MaxSessionPolicy  = 2048 // Policy of AssumeRole
)

// Policy is a compiled identity or session policy. It does not change and may
// be used by many goroutines at once. Make one with Parse or ParseSession.
type Policy struct {
	statements []statement
}

// Parse compiles an identity policy. A document that is too long is a
// portolan.Error with the code InvalidParameter.PolicyDocument.Length, any
// other mistake one with MalformedPolicyDocument, whose message names the
// statement (counted from 0) and the element. Both are 400.
func Parse(document string) (*Policy, error) { return compile(document, &identityGrammar) }

// ParseSession compiles the policy that narrows a role session. The errors are
// those of AssumeRole: InvalidParameter.PolicySize for a document that is too
// long, InvalidParameter.PolicyGrammar for any other mistake.
func ParseSession(document string) (*Policy, error) { return compile(document, &sessionGrammar) }

// ParseTrust compiles the trust policy of a role. The codes are
// InvalidParameter.AssumeRolePolicyDocument.Length and
// MalformedPolicyDocument.
func ParseTrust(document string) (*Trust, error) {
	p, err := compile(document, &trustGrammar)
	if err != nil {
		return nil, err
	}
	return &Trust{policy: p}, nil
}

// grammar is what differs between the kinds of documents.
type grammar struct {
	limit     int
	tooLong   string // wire code
	malformed string // wire code
	lead      string // how the message of malformed begins
	scope     string // the element that says what a statement is about, besides Action
	elements  []string
}

var (
	identityGrammar = grammar{
		limit:     MaxIdentityPolicy,
		tooLong:   "InvalidParameter.PolicyDocument.Length",
		malformed: "MalformedPolicyDocument",
		lead:      "The policy document is malformed",
		scope:     "Resource",
		elements:  []string{"Effect", "Action", "NotAction", "Resource", "Condition", "Sid"},
	}
	sessionGrammar = grammar{
		limit:     MaxSessionPolicy,
		tooLong:   "InvalidParameter.PolicySize",
		malformed: "InvalidParameter.PolicyGrammar",
		lead:      "The parameter Policy has not passed grammar check",
		scope:     "Resource",
		elements:  identityGrammar.elements,
	}
	trustGrammar = grammar{
		limit:     MaxTrustPolicy,
		tooLong:   "InvalidParameter.AssumeRolePolicyDocument.Length",
		malformed: "MalformedPolicyDocument",
		lead:      "The trust policy document is malformed",
		scope:     "Principal",
		elements:  []string{"Effect", "Action", "Principal", "Condition", "Sid"},
	}
)

func compile(document string, g *grammar) (*Policy, error) {
	if n := utf8.RuneCountInString(document); n > g.limit {
		return nil, portolan.Refused(g.tooLong, "The policy document has %d characters; at most %d are allowed.", n, g.limit)
	}
	statements, err := compileDocument(document, g)
	if err != nil {
		return nil, &portolan.Error{Code: g.malformed, Status: http.StatusBadRequest, Message: g.lead + ": " + err.Error()}
	}
	return &Policy{statements: statements}, nil
}

func compileDocument(document string, g *grammar) ([]statement, error) {
	value, err := decode(document)
	if err != nil {
		return nil, err
	}
	top, ok := value.(object)
	if !ok {
		return nil, errors.New("the document must be a JSON object")
	}
	if err := top.only("", "Version", "Statement"); err != nil {
		return nil, err
	}
	if version, _ := top.get("Version"); version != "1" {
		return nil, errors.New(`the element Version must be the string "1"`)
	}
	value, _ = top.get("Statement")
	list, _ := value.([]any)
	if len(list) == 0 {
		return nil, errors.New("the element Statement must be a list of at least one statement")
	}
	statements := make([]statement, len(list))
	for i, item := range list {
		if err := statements[i].compile(fmt.Sprintf("Statement[%d]", i), item, g); err != nil {
			return nil, err
		}
	}
	return statements, nil
}
