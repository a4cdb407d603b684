package harbortest

import (
	"net/http"
	"strings"
)

// robots lists the robot accounts of the system to who may, those with a name
// if the query asks for one.
func (s *Server) robots(who caller, r *http.Request) answer {
	switch {
	case who.anonymous():
		return unauthorized()
	case !who.admin && !who.listRobots:
		return failed(http.StatusForbidden, "FORBIDDEN", who.name)
	}
	wanted, named := strings.CutPrefix(r.URL.Query().Get("q"), "name=")
	list := []any{}
	for i, robot := range s.model.Robots {
		short := strings.TrimPrefix(robot.Name, "robot$")
		if strings.Contains(short, "+") || named && short != wanted {
			continue
		}
		expires := int64(-1)
		if !robot.Expires.IsZero() {
			expires = robot.Expires.Unix()
		}
		list = append(list, map[string]any{
			"id": i + 1, "name": robot.Name, "level": "system", "disable": robot.Disabled, "editable": true, "expires_at": expires,
			"creation_time": At(epoch), "update_time": At(epoch), "permissions": []any{},
		})
	}
	return ok(list)
}
