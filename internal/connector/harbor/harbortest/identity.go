package harbortest

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// lockTime is how long a user name is locked after a failed login: a correct
// one is then taken for anonymous. Robots are never locked.
const lockTime = 1500 * time.Millisecond

// caller is who a request was taken for.
type caller struct {
	name         string
	robot, admin bool
	projects     []string
	auditLog     bool
	listRobots   bool
	// refused is set if credentials were sent and not accepted; Harbor then
	// goes on as for an anonymous caller.
	refused bool
}

func (c caller) anonymous() bool { return c.name == "" }

// sees reports whether the caller may read a project.
func (c caller) sees(p Project) bool {
	return p.Public || c.admin || slices.Contains(c.projects, "*") || slices.Contains(c.projects, p.Name)
}

// identify takes Basic credentials for a robot's, then for a user's. A failed
// login of a robot falls through to the user login, as in Harbor.
func (s *Server) identify(r *http.Request) caller {
	name, secret, sent := r.BasicAuth()
	if !sent {
		return caller{refused: r.Header.Get("Authorization") != ""}
	}
	for _, robot := range s.model.Robots {
		if robot.Name == name && robot.Secret == secret && !robot.Disabled &&
			(robot.Expires.IsZero() || s.model.Now().Before(robot.Expires)) {
			return caller{name: name, robot: true, projects: robot.Projects, auditLog: robot.AuditLog, listRobots: robot.ListRobots}
		}
	}
	now := s.model.Now()
	if now.Before(s.locked[name]) {
		return caller{refused: true}
	}
	for _, u := range s.model.Users {
		if u.Name == name && u.Password == secret {
			return caller{name: name, admin: u.Admin, projects: u.Projects, auditLog: u.Admin}
		}
	}
	s.locked[name] = now.Add(lockTime)
	return caller{refused: true}
}

func (s *Server) systemInfo(who caller) answer {
	info := map[string]any{
		"auth_mode": "db_auth", "banner_message": "", "oidc_provider_name": "",
		"primary_auth_mode": false, "self_registration": false,
	}
	if !who.anonymous() {
		info["current_time"] = At(s.model.Now())
		info["external_url"] = "http://127.0.0.1:18080"
		info["harbor_version"] = s.model.Version
		info["has_ca_root"] = false
		info["notification_enable"] = true
		info["project_creation_restriction"] = "everyone"
		info["read_only"] = s.model.ReadOnly
		info["registry_storage_provider_name"] = "filesystem"
		info["registry_url"] = "127.0.0.1:18080"
	}
	return ok(info)
}

func (s *Server) currentUser(who caller) answer {
	switch {
	case who.anonymous():
		return unauthorized()
	case who.robot:
		return failed(http.StatusPreconditionFailed, "PRECONDITION", "get current user not available for security context: robot")
	}
	return ok(map[string]any{
		"admin_role_in_auth": false, "comment": "", "creation_time": At(epoch), "realname": who.name,
		"sysadmin_flag": who.admin, "update_time": At(epoch), "user_id": 1, "username": who.name,
	})
}

// token answers anyone with a signed token; that of a caller without rights
// has no actions in it.
func (s *Server) token(who caller, r *http.Request) answer {
	access := []any{}
	for _, scope := range r.URL.Query()["scope"] {
		parts := strings.Split(scope, ":")
		if len(parts) != 3 {
			continue
		}
		actions := []string{}
		project, _, _ := strings.Cut(parts[1], "/")
		if p := s.model.project(project); parts[0] == "repository" && p != nil && who.sees(*p) {
			actions = append(actions, "pull")
		}
		access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": actions})
	}
	claims := base64.RawURLEncoding.EncodeToString(encode(map[string]any{"access": access, "sub": who.name}))
	a := ok(map[string]any{
		"token": "e30." + claims + ".c2lnbmVk", "access_token": "", "expires_in": 1800,
		"issued_at": s.model.Now().UTC().Format(time.RFC3339),
	})
	a.header.Set("Content-Type", "application/json; charset=utf-8")
	return a
}

// registry answers the part of the distribution API that needs no registry:
// the challenge, the catalogue and tags. It takes Basic only.
func (s *Server) registry(who caller, r *http.Request, rest string) answer {
	version := http.Header{"Docker-Distribution-Api-Version": {"registry/2.0"}}
	deny := func(challenge, message string) answer {
		a := failed(http.StatusUnauthorized, "UNAUTHORIZED", message)
		a.header["Docker-Distribution-Api-Version"] = version["Docker-Distribution-Api-Version"]
		a.header["Www-Authenticate"] = []string{challenge}
		return a
	}
	switch {
	case rest == "" && who.anonymous() && !who.refused:
		return deny(`Bearer realm="http://`+r.Host+`/service/token",service="harbor-registry"`, "unauthorized: unauthorized")
	case rest == "" && who.anonymous():
		return deny(`Basic realm="harbor"`, "unauthorized: unauthorized")
	case rest == "_catalog" && !who.admin && !slices.Contains(who.projects, "*"):
		return deny(`Basic realm="harbor"`, "unauthorized to list catalog: unauthorized to list catalog")
	case rest == "_catalog":
		a := ok(map[string]any{"repositories": s.tagged()})
		a.header.Set("Content-Type", "application/json; charset=utf-8")
		return a
	case rest == "":
		return answer{status: http.StatusOK, header: version, body: "{}"}
	}
	return failed(http.StatusNotFound, "NOT_FOUND", "the fake has no registry behind it")
}

// tagged are the repositories with a tag; the catalogue leaves out the others.
func (s *Server) tagged() []string {
	list := []string{}
	for _, p := range s.model.Projects {
		for _, r := range p.Repositories {
			if slices.ContainsFunc(r.Artifacts, func(a Artifact) bool { return len(a.Tags) > 0 }) {
				list = append(list, p.Name+"/"+r.Name)
			}
		}
	}
	slices.Sort(list)
	return list
}
