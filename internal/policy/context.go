package policy

import (
	"slices"
	"strings"
)

// Condition keys that every service has. Their values are the ISO 8601 time of
// the request, "true" or "false", the address of the client, and the ARN of
// the caller.
const (
	KeyCurrentTime     = "acs:CurrentTime"
	KeySecureTransport = "acs:SecureTransport"
	KeySourceIP        = "acs:SourceIp"
	KeyPrincipalARN    = "acs:PrincipalARN"
)

// Context holds the condition keys of a request. Names are compared without
// case. The zero value has no keys and is ready to use; a copy shares its keys.
type Context struct {
	keys []contextKey
}

type contextKey struct {
	name   string
	values []string
}

// Set gives a key its values and replaces those it had. A key without values
// is absent. The values are kept, not copied.
func (c *Context) Set(name string, values ...string) {
	i := slices.IndexFunc(c.keys, func(k contextKey) bool { return strings.EqualFold(k.name, name) })
	if i >= 0 {
		c.keys[i].values = values
		return
	}
	c.keys = append(c.keys, contextKey{name, values})
}

func (c Context) values(name string) []string {
	for i := range c.keys {
		if strings.EqualFold(c.keys[i].name, name) {
			return c.keys[i].values
		}
	}
	return nil
}
