package harbor

import (
	"strconv"
	"strings"
)

// version is what Harbor says of itself, as "v2.15.2-080b0220".
type version struct {
	text         string // "2.15.2", "" when it does not tell
	major, minor int
}

// parseVersion reads a version; one that is not numbered, as "dev", counts as
// older than all.
func parseVersion(s string) version {
	text, _, _ := strings.Cut(strings.TrimPrefix(s, "v"), "-")
	major, rest, _ := strings.Cut(text, ".")
	minor, _, _ := strings.Cut(rest, ".")
	v := version{text: text}
	var err error
	if v.major, err = strconv.Atoi(major); err != nil {
		return version{text: text}
	}
	if v.minor, err = strconv.Atoi(minor); err != nil {
		return version{text: text}
	}
	return v
}

// since reports whether the version is 2.minor or later.
func (v version) since(minor int) bool {
	return v.major > 2 || v.major == 2 && v.minor >= minor
}

// Versions of 2.x that brought what is used here (read in Harbor's source).
const (
	bulkSince      = 12 // GET /projects/{project}/artifacts
	auditExtsSince = 13 // GET /auditlog-exts takes the place of /audit-logs
)
