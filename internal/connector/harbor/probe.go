package harbor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

const (
	// robotPrefix is what robots' names begin with unless Harbor is
	// configured otherwise. No user can have it: Harbor refuses $ in names.
	robotPrefix = "robot$"
	// maxSkew is how far the clocks may differ unmentioned.
	maxSkew = 5 * time.Minute
)

// findings is what the first Probe found out.
type findings struct {
	probe   connector.Probe
	version version
	robot   bool
	// skew is Harbor's clock less ours.
	skew time.Duration
	// newest is the first page of the audit log, read at readAt.
	newest auditPage
	readAt time.Time
}

// systemInfo is the answer of GET /systeminfo. An anonymous caller, and one
// whose password is wrong, gets it without the version.
type systemInfo struct {
	AuthMode      string    `json:"auth_mode"`
	HarborVersion string    `json:"harbor_version"`
	ReadOnly      bool      `json:"read_only"`
	CurrentTime   time.Time `json:"current_time"`
}

// currentUser is the answer of GET /users/current to a user.
type currentUser struct {
	Username        string `json:"username"`
	Sysadmin        bool   `json:"sysadmin_flag"`
	AdminRoleInAuth bool   `json:"admin_role_in_auth"`
}

// Probe asks for the version and who we are. Lists answer bad credentials by
// 200 with the public part, so only these calls prove an identity. A later
// Probe of the same source asks again who we are and nothing else.
func (s *source) Probe(ctx context.Context) (connector.Probe, error) {
	if known := s.remembered(); known != nil {
		if _, err := s.whoAmI(ctx); err != nil {
			return connector.Probe{}, err
		}
		return known.probe, nil
	}
	known, err := s.find(ctx)
	if err != nil {
		return connector.Probe{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = known
	return known.probe, nil
}

func (s *source) remembered() *findings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

func (s *source) find(ctx context.Context) (*findings, error) {
	info, err := s.systemInfo(ctx)
	if err != nil {
		return nil, err
	}
	f := &findings{version: parseVersion(info.HarborVersion)}
	who, err := s.identify(ctx, f.version)
	if err != nil {
		return nil, err
	}
	f.robot = who.robot
	f.probe = connector.Probe{Product: product, Version: f.version.text, Identity: who.name, Bulk: f.version.since(bulkSince)}
	if !info.CurrentTime.IsZero() {
		f.skew = info.CurrentTime.Sub(s.now())
	}
	f.probe.Warnings = s.warnings(info, who, f.skew)
	return f, s.findFeed(ctx, f, who)
}

// findFeed proves the audit log: a robot without the right to it gets an
// empty list, not an error, and a user who is no administrator a part of it.
func (s *source) findFeed(ctx context.Context, f *findings, who identity) error {
	if f.version.text == "" || !who.robot && !who.admin {
		return nil
	}
	page, err := s.readAudit(ctx, f.version, 1)
	if ctx.Err() != nil {
		return err
	}
	f.probe.Feed = err == nil && page.total > 0
	if !f.probe.Feed {
		f.probe.Warnings = append(f.probe.Warnings, fmt.Sprintf(
			"%q cannot read Harbor's audit log, so every repository is read again each time. Grant it the system permission audit-log: list.", who.name))
		return nil
	}
	f.newest, f.readAt = page, s.now()
	return nil
}

func (s *source) warnings(info systemInfo, who identity, skew time.Duration) []string {
	var list []string
	if !who.robot && !s.api.anonymous() {
		list = append(list, fmt.Sprintf(
			"%q is a user account: Harbor hashes its password for every request, at about 0.1 s of processor time each. Use a robot account.", who.name))
	}
	if info.ReadOnly {
		list = append(list, "Harbor is in read-only mode: it can be read, but nothing can be pushed.")
	}
	if skew.Abs() > maxSkew {
		list = append(list, fmt.Sprintf("Harbor's clock differs by %s.", skew.Abs().Round(time.Second)))
	}
	return list
}

// systemInfo asks for the version and finds out whether this is Harbor 2.
func (s *source) systemInfo(ctx context.Context) (systemInfo, error) {
	var info systemInfo
	c := call{path: "/api/v2.0/systeminfo", doing: "asking for the version"}
	_, err := s.api.get(ctx, c, &info)
	if err == nil && info.AuthMode != "" {
		return info, nil
	}
	if err != nil && !foreign(err) {
		return info, err
	}
	return info, s.otherProduct(ctx, err)
}

// foreign reports whether an error is the answer of something that is not
// Harbor 2: a path that it does not know, or not the expected JSON.
func foreign(err error) bool {
	if status, ok := errors.AsType[*connector.StatusError](err); ok {
		return status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed
	}
	e, ok := errors.AsType[*connector.Error](err)
	return ok && e.Class == portolan.ServerFailure
}

// otherProduct tells Harbor 1.x, whose API has no version in its path
// (unverified), from what is not Harbor at all.
func (s *source) otherProduct(ctx context.Context, seen error) error {
	var info systemInfo
	legacy := &api{base: s.api.base, client: s.api.client, header: s.api.header}
	_, err := legacy.get(ctx, call{path: "/api/systeminfo", doing: "asking for the version"}, &info)
	if err == nil && info.HarborVersion != "" {
		return connector.Errorf(portolan.UnsupportedVersion, "Harbor %s is not supported.", parseVersion(info.HarborVersion).text).
			WithRemedy("Use Harbor 2.0 or later; 2.12 or later is recommended.")
	}
	if ctx.Err() != nil {
		return err
	}
	what := "its answer is not that of Harbor's system information"
	if status, ok := errors.AsType[*connector.StatusError](seen); ok {
		what = fmt.Sprintf("/api/v2.0/systeminfo was answered with status %d", status.Status)
	}
	return connector.Errorf(portolan.NotThisProduct, "%s does not answer like Harbor: %s.", s.api.base.Host, what).
		WithRemedy("Check the address and the type of the registry.")
}

// identity is who Harbor says we are.
type identity struct {
	name         string
	robot, admin bool
}

// identify proves the credential. The version is shown only to a caller who
// is logged in, though versions before 2.3 may show it to all (unverified); so
// a name that only a robot can have needs no further question.
func (s *source) identify(ctx context.Context, v version) (identity, error) {
	if name := s.api.credential.UserName; strings.HasPrefix(name, robotPrefix) && v.since(3) {
		return identity{name: name, robot: true}, nil
	}
	return s.whoAmI(ctx)
}

// login is the call that takes nothing but a proven identity.
func login() call { return call{path: "/api/v2.0/users/current", doing: "logging in"} }

// whoAmI asks Harbor: it answers a user with 200, a robot with 412, and
// credentials that it does not know with 401.
func (s *source) whoAmI(ctx context.Context) (identity, error) {
	if s.api.anonymous() {
		return identity{name: "anonymous"}, nil
	}
	var user currentUser
	_, err := s.api.get(ctx, login(), &user)
	if err == nil {
		return identity{name: user.Username, admin: user.Sysadmin || user.AdminRoleInAuth}, nil
	}
	if status, ok := errors.AsType[*connector.StatusError](err); ok && status.Status == http.StatusPreconditionFailed {
		return identity{name: s.api.credential.UserName, robot: true}, nil
	}
	return identity{}, err
}
