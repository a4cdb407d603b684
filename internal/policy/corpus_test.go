package policy

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpusCase is one line of testdata/decisions.json: policies, a request and
// the decision. A case has either identity (and session) policies, or a trust
// policy and a principal. A missing session list is no session at all.
type corpusCase struct {
	Name      string          `json:"name"`
	Identity  []corpusPolicy  `json:"identity"`
	Session   *[]corpusPolicy `json:"session"`
	Trust     json.RawMessage `json:"trust"`
	Principal struct {
		Type PrincipalType `json:"type"`
		ID   string        `json:"id"`
	} `json:"principal"`
	Request struct {
		Action   string              `json:"action"`
		Resource string              `json:"resource"`
		Context  map[string][]string `json:"context"`
	} `json:"request"`
	Want struct {
		Outcome   Outcome `json:"outcome"`
		Level     Level   `json:"level"`
		Policy    string  `json:"policy"`
		Statement int     `json:"statement"`
	} `json:"want"`
}

type corpusPolicy struct {
	Name     string          `json:"name"`
	Origin   string          `json:"origin"`
	Document json.RawMessage `json:"document"`
}

func corpus(t testing.TB) []corpusCase {
	t.Helper()
	text, err := os.ReadFile("testdata/decisions.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []corpusCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, c := range corpus(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			want := Decision{Outcome: c.Want.Outcome, Level: c.Want.Level, PolicyName: c.Want.Policy, Statement: c.Want.Statement}
			got := c.decide(t, c.Request.Action)
			if got.PolicyName != "" {
				want.PolicyOrigin = c.origin(got.PolicyName)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if got.Allowed() != (got.Outcome == "Allow") {
				t.Errorf("Allowed() = %v for %s", got.Allowed(), got.Outcome)
			}
			if other := c.decide(t, swapCase(c.Request.Action)); other != got {
				t.Errorf("the case of the action matters: %+v, not %+v", other, got)
			}
			if other := c.reversed(t).decide(t, c.Request.Action); other.Outcome != got.Outcome || other.Level != got.Level {
				t.Errorf("the order of policies or statements matters: %+v, not %+v", other, got)
			}
		})
	}
}

func (c corpusCase) decide(t *testing.T, action string) Decision {
	t.Helper()
	var context Context
	for name, values := range c.Request.Context {
		context.Set(name, values...)
	}
	if c.Trust != nil {
		trust, err := ParseTrust(string(c.Trust))
		if err != nil {
			t.Fatal(err)
		}
		return trust.Decide(action, Principal{c.Principal.Type, c.Principal.ID}, context)
	}
	req := Request{Action: action, Resource: c.Request.Resource, Context: context}
	identity := Set{Level: IdentityBased, Policies: named(t, c.Identity, Parse)}
	if c.Session == nil {
		return Decide(req, identity)
	}
	return Decide(req, Set{Level: Session, Policies: named(t, *c.Session, ParseSession)}, identity)
}

func named(t *testing.T, policies []corpusPolicy, parse func(string) (*Policy, error)) []Named {
	t.Helper()
	list := make([]Named, len(policies))
	for i, p := range policies {
		compiled, err := parse(string(p.Document))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = Named{Name: p.Name, Origin: p.Origin, Policy: compiled}
	}
	return list
}

func (c corpusCase) origin(name string) string {
	i := slices.IndexFunc(c.Identity, func(p corpusPolicy) bool { return p.Name == name })
	return c.Identity[i].Origin
}

// reversed is the same case with policies and statements in reverse order.
func (c corpusCase) reversed(t *testing.T) corpusCase {
	t.Helper()
	c.Identity = reversePolicies(t, c.Identity)
	if c.Session != nil {
		session := reversePolicies(t, *c.Session)
		c.Session = &session
	}
	if c.Trust != nil {
		c.Trust = reverseStatements(t, c.Trust)
	}
	return c
}

func reversePolicies(t *testing.T, policies []corpusPolicy) []corpusPolicy {
	t.Helper()
	policies = slices.Clone(policies)
	slices.Reverse(policies)
	for i := range policies {
		policies[i].Document = reverseStatements(t, policies[i].Document)
	}
	return policies
}

func reverseStatements(t *testing.T, document json.RawMessage) json.RawMessage {
	t.Helper()
	var d struct {
		Version   string
		Statement []json.RawMessage
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(d.Statement)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func swapCase(text string) string {
	return strings.Map(func(r rune) rune {
		if upper := strings.ToUpper(string(r)); upper != string(r) {
			return []rune(upper)[0]
		}
		return []rune(strings.ToLower(string(r)))[0]
	}, text)
}
