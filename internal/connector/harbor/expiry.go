package harbor

import (
	"context"
	"net/url"
	"strings"
	"time"
)

// robotAccount is an entry of GET /robots.
type robotAccount struct {
	Name string `json:"name"`
	// ExpiresAt is in seconds, -1 for never.
	ExpiresAt int64 `json:"expires_at"`
}

// CredentialExpires implements connector.Expirer. Harbor tells when a robot
// account ends to robots with the system permission robot: list alone, and of
// those of projects not at all.
func (s *source) CredentialExpires(ctx context.Context) (at time.Time, known bool) {
	full := s.api.credential.UserName
	name, ok := strings.CutPrefix(full, robotPrefix)
	if !ok || strings.Contains(name, "+") {
		return time.Time{}, false
	}
	var list []robotAccount
	c := call{path: "/api/v2.0/robots", query: "q=" + url.QueryEscape("name="+name), doing: "looking up the robot account", needs: "robot: list"}
	if _, err := s.api.get(ctx, c, &list); err != nil {
		return time.Time{}, false
	}
	for _, r := range list {
		if r.Name != full {
			continue
		}
		if r.ExpiresAt > 0 {
			at = time.Unix(r.ExpiresAt, 0).UTC()
		}
		return at, true
	}
	return time.Time{}, false
}
