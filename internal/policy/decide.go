package policy

import "strings"

// Level is the level at which a call was decided, in the words of PolicyType
// in the wire's AccessDeniedDetail.
type Level string

// The levels that exist here. RAM has more: resource groups and control
// policies.
const (
	IdentityBased Level = "AccountLevelIdentityBasedPolicy"
	Session       Level = "SessionPolicy"
	AssumeRole    Level = "AssumeRolePolicy"
)

// Outcome is the result of a decision. The two refusals are the words of
// NoPermissionType in AccessDeniedDetail.
type Outcome string

// The outcomes. Anything but Allow, the zero value included, is a refusal.
const (
	Allow        Outcome = "Allow"
	ExplicitDeny Outcome = "ExplicitDeny"
	ImplicitDeny Outcome = "ImplicitDeny"
)

// Request is what a principal wants to do.
type Request struct {
	// Action is "<service>:<operation>", as yundun-sas:PageImageRegistry. It
	// comes from the operation that was found, not from the caller.
	Action string
	// Resource is an ARN that names the account, as
	// acs:yundun-sas:*:<account id>:* for an operation on all resources or
	// acs:ram:*:<account id>:user/<name>. Anything that is no ARN, "*" too,
	// or is longer than 2,048 bytes is allowed only by a statement on "*",
	// and denied by every Deny on the action, whatever its resources.
	Resource string
	Context  Context
}

// Named is a policy with what a decision tells of it.
type Named struct {
	Name string
	// Origin is RAM's parameter PolicyType: System or Custom; empty for a
	// policy without a name.
	Origin string
	Policy *Policy
}

// Set is the policies of one level. They add up: a request is allowed by a set
// when one of them allows it and none denies it. Policies must not be nil.
type Set struct {
	Level    Level
	Policies []Named
}

// Decision is the answer to a request and what it rests on.
type Decision struct {
	Outcome Outcome
	// Level is the level that decided.
	Level Level
	// PolicyName and PolicyOrigin name the policy that decided; Statement is
	// the index of its statement. They are empty and -1 for ImplicitDeny,
	// which rests on no statement.
	PolicyName   string
	PolicyOrigin string
	Statement    int
}

// Allowed reports whether the request may go on.
func (d Decision) Allowed() bool { return d.Outcome == Allow }

// Decide answers a request. Every set must allow it: a user has one set, its
// own policies and its groups'; a role session with a session policy has two,
// that policy first, then the role's. Sets are asked in order, and the first
// that refuses decides. Without sets, nothing is allowed.
func Decide(req Request, sets ...Set) Decision {
	q := newQuery(req)
	d := Decision{Outcome: ImplicitDeny, Level: IdentityBased, Statement: -1}
	for i := range sets {
		if d = sets[i].decide(&q); !d.Allowed() {
			break
		}
	}
	return d
}

// query is a request in the form in which statements compare it.
type query struct {
	action    string // lower case: RAM compares actions without case
	resource  string // canonical, or "" when it is no ARN
	principal principal
	context   Context
}

func newQuery(req Request) query {
	q := query{action: strings.ToLower(req.Action), context: req.Context}
	if len(req.Resource) <= maxValue {
		q.resource, _ = canonicalARN(req.Resource)
	}
	return q
}

// decide answers for one set: the first Deny that applies, else the first
// Allow, else an implicit denial.
func (s *Set) decide(q *query) Decision {
	d := Decision{Outcome: ImplicitDeny, Level: s.Level, Statement: -1}
	for i := range s.Policies {
		named := &s.Policies[i]
		for j := range named.Policy.statements {
			st := &named.Policy.statements[j]
			if !st.deny && d.Allowed() || !st.applies(q) {
				continue
			}
			d = Decision{Outcome: Allow, Level: s.Level, PolicyName: named.Name, PolicyOrigin: named.Origin, Statement: j}
			if st.deny {
				d.Outcome = ExplicitDeny
				return d
			}
		}
	}
	return d
}
