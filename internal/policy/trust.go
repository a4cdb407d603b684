package policy

import (
	"fmt"
	"strings"
)

// PrincipalType is the kind of a principal, as the element Principal of a trust
// policy names it.
type PrincipalType string

// The kinds of principals.
const (
	RAM       PrincipalType = "RAM"
	Service   PrincipalType = "Service"
	Federated PrincipalType = "Federated"
)

// Principal is who wants to assume a role.
type Principal struct {
	Type PrincipalType
	// ID is, for RAM, the ARN acs:ram::<account id>:user/<name> or
	// :role/<name> (for a session: of its role); for Service a name such as
	// ecs.aliyuncs.com; for Federated the ARN of the provider,
	// acs:ram::<account id>:oidc-provider/<name> or :saml-provider/<name>.
	ID string
}

// Trust is the compiled trust policy of a role. It does not change and may be
// used by many goroutines at once. Make one with ParseTrust.
type Trust struct {
	policy *Policy
}

// Decide answers whether a principal may assume the role, as far as the trust
// policy goes; a RAM principal needs an identity policy that allows it too.
// The action is sts:AssumeRole, also with OIDC and SAML. An account's root
// cannot assume roles and is never trusted.
func (t *Trust) Decide(action string, who Principal, context Context) Decision {
	p, ok := parsePrincipal(who.Type, who.ID)
	if !ok || p.entity == rootEntity {
		return Decision{Outcome: ImplicitDeny, Level: AssumeRole, Statement: -1}
	}
	set := Set{Level: AssumeRole, Policies: []Named{{Policy: t.policy}}}
	return set.decide(&query{action: strings.ToLower(action), principal: p, context: context})
}

const rootEntity = "root"

// principal is a principal taken apart. Account is empty for a service.
type principal struct {
	kind    PrincipalType
	account string
	entity  string // root, <type>/<name>, or the name of a service
}

// matchedBy reports whether a listed principal stands for p. The root of an
// account stands for all its users and roles.
func (p principal) matchedBy(listed principal) bool {
	return listed == p || listed == principal{RAM, p.account, rootEntity} && p.kind == RAM
}

func parsePrincipal(kind PrincipalType, id string) (principal, bool) {
	if kind == Service {
		valid := id != "" && !strings.ContainsAny(id, "*?:/ ")
		return principal{kind: Service, entity: strings.ToLower(id)}, valid
	}
	arn, _ := canonicalARN(id)
	rest, ok := strings.CutPrefix(arn, "acs:ram:*:")
	account, entity, _ := strings.Cut(rest, ":")
	if !ok || !allDigits(account) || !validEntity(kind, entity) {
		return principal{}, false
	}
	return principal{kind, account, entity}, true
}

// validEntity knows no wildcards: a trust policy names whom it trusts.
func validEntity(kind PrincipalType, entity string) bool {
	class, name, _ := strings.Cut(entity, "/")
	named := name != "" && !strings.ContainsAny(name, "*?/")
	switch class {
	case rootEntity:
		return kind == RAM && entity == rootEntity
	case "user", "role":
		return kind == RAM && named
	case "oidc-provider", "saml-provider":
		return kind == Federated && named
	default:
		return false
	}
}

func (s *statement) compilePrincipal(path string, value any) error {
	kinds, _ := value.(object)
	if len(kinds) == 0 {
		return fmt.Errorf("%s must be an object with RAM, Service or Federated", path)
	}
	if err := kinds.only(path+": ", string(RAM), string(Service), string(Federated)); err != nil {
		return err
	}
	for _, m := range kinds {
		ids, err := stringList(path+"."+m.name, m.value)
		if err != nil {
			return err
		}
		for _, id := range ids {
			p, ok := parsePrincipal(PrincipalType(m.name), id)
			if !ok {
				return fmt.Errorf("%s.%s: %q must be %s", path, m.name, id, wantPrincipal(PrincipalType(m.name)))
			}
			s.principals = append(s.principals, p)
		}
	}
	return nil
}

func wantPrincipal(kind PrincipalType) string {
	switch kind {
	case RAM:
		return "acs:ram::<account id>:root, :user/<name> or :role/<name>, without wildcards"
	case Service:
		return "the name of a service, such as ecs.aliyuncs.com"
	default:
		return "acs:ram::<account id>:oidc-provider/<name> or :saml-provider/<name>, without wildcards"
	}
}
