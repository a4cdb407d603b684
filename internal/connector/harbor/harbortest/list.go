package harbortest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// encode writes JSON as Harbor does: keys sorted, nothing escaped for HTML, a
// line feed at the end.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return []byte(err.Error())
	}
	return b.Bytes()
}

// paged answers one page of a list that is in order already.
func paged[T any](r *http.Request, all []T) answer {
	q := r.URL.Query()
	page, size := number(q.Get("page"), 1), number(q.Get("page_size"), 10)
	if size > 100 {
		return failed(http.StatusUnprocessableEntity, "UNPROCESSABLE_ENTITY",
			"validation failure list:\npage_size in query should be less than or equal to 100")
	}
	if bad := q.Get("q"); bad != "" && !strings.Contains(bad, "=") {
		return failed(http.StatusBadRequest, "BAD_REQUEST", `the query string must contain "=" and the key/value cannot be empty`)
	}
	rows := all
	if size > 0 { // 0 and -1 are everything
		from := min((max(page, 1)-1)*size, len(all))
		rows = all[from:min(from+size, len(all))]
	}
	a := ok(append([]T{}, rows...))
	a.header.Set("X-Total-Count", strconv.Itoa(len(all)))
	if link := links(r, page, size, len(all)); link != "" {
		a.header.Set("Link", link)
	}
	return a
}

// links writes the Link header with its values unescaped, which makes it no
// valid URI when there is a query. Page 0 names page 1 as its next.
func links(r *http.Request, page, size, total int) string {
	var list []string
	add := func(n int, rel string) {
		q := r.URL.Query()
		q.Set("page", strconv.Itoa(n))
		q.Set("page_size", strconv.Itoa(size))
		raw, _ := url.QueryUnescape(q.Encode())
		list = append(list, fmt.Sprintf(`<%s?%s>; rel=%q`, r.URL.EscapedPath(), raw, rel))
	}
	if size > 0 && page > 1 && (page-1)*size < total {
		add(page-1, "prev")
	}
	if size != 0 && page*size < total { // so page_size=-1 has a next page
		add(page+1, "next")
	}
	return strings.Join(list, " , ")
}

func number(s string, absent int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return absent
}

// sorted orders rows by the sort parameter. A key that is not known is
// silently ignored.
func sorted[T any](r *http.Request, rows []T, keys map[string]func(a, b T) int, standard func(a, b T) int) []T {
	rows = slices.Clone(rows)
	var order []func(a, b T) int
	for key := range strings.SplitSeq(r.URL.Query().Get("sort"), ",") {
		name, down := strings.CutPrefix(key, "-")
		compare, known := keys[name]
		switch {
		case known && down:
			order = append(order, func(a, b T) int { return compare(b, a) })
		case known:
			order = append(order, compare)
		}
	}
	order = append(order, standard)
	slices.SortStableFunc(rows, func(a, b T) int {
		for _, compare := range order {
			if c := compare(a, b); c != 0 {
				return c
			}
		}
		return 0
	})
	return rows
}

// projects answers everything below /projects.
func (s *Server) projects(who caller, r *http.Request, seg []string) answer {
	if len(seg) == 0 {
		return s.listProjects(who, r)
	}
	name, err := url.PathUnescape(seg[0])
	if err != nil {
		return failed(http.StatusBadRequest, "BAD_REQUEST", "bad project name")
	}
	p := s.projectOf(r, name)
	if a, refused := s.refuse(who, p, name, seg); refused {
		return a
	}
	switch {
	case len(seg) == 1:
		return ok(s.projectRow(who, *p))
	case len(seg) == 2 && seg[1] == "repositories":
		return s.repositories(who, r, p)
	case len(seg) == 2 && seg[1] == "artifacts" && s.since(12): // unverified
		return s.projectArtifacts(r, p)
	case len(seg) == 4 && seg[1] == "repositories" && seg[3] == "artifacts":
		return s.repositoryArtifacts(r, p, seg[2])
	}
	return failed(http.StatusNotFound, "NOT_FOUND", "path "+r.URL.Path+" was not found")
}

// projectOf takes a numeric name for an id unless the header says otherwise.
func (s *Server) projectOf(r *http.Request, name string) *Project {
	if id, err := strconv.Atoi(name); err == nil && r.Header.Get("X-Is-Resource-Name") != "true" {
		for i := range s.model.Projects {
			if s.model.Projects[i].ID == id {
				return &s.model.Projects[i]
			}
		}
		return nil
	}
	return s.model.project(name)
}

// refuse decides about a project: whoever may not know it gets 401 or 403
// whether it exists or not. Only an administrator gets 404, and an empty list
// of artifacts even for a project that does not exist.
func (s *Server) refuse(who caller, p *Project, name string, seg []string) (answer, bool) {
	switch {
	case p != nil && who.sees(*p):
		return answer{}, false
	case who.anonymous():
		return unauthorized(), true
	case !who.admin:
		return forbidden(), true
	case seg[len(seg)-1] == "artifacts":
		return answer{}, false
	}
	return failed(http.StatusNotFound, "NOT_FOUND", "project "+name+" not found"), true
}

func (s *Server) listProjects(who caller, r *http.Request) answer {
	var seen []Project
	for _, p := range s.model.Projects {
		if who.sees(p) {
			seen = append(seen, p)
		}
	}
	byName := func(a, b Project) int { return strings.Compare(a.Name, b.Name) }
	seen = sorted(r, seen, map[string]func(a, b Project) int{
		"name":       byName,
		"project_id": func(a, b Project) int { return a.ID - b.ID },
	}, byName)
	rows := make([]map[string]any, len(seen))
	for i, p := range seen {
		rows[i] = s.projectRow(who, p)
		if r.URL.Query().Get("with_detail") == "false" {
			for _, detail := range []string{"metadata", "owner_name"} {
				delete(rows[i], detail)
			}
			rows[i]["cve_allowlist"] = map[string]any{"creation_time": Time{}, "items": nil, "update_time": Time{}}
		}
	}
	return paged(r, rows)
}

func (s *Server) projectRow(who caller, p Project) map[string]any {
	row := map[string]any{
		"creation_time": p.Created, "current_user_role_ids": nil,
		"cve_allowlist": map[string]any{"creation_time": Time{}, "id": p.ID, "items": []any{}, "project_id": p.ID, "update_time": Time{}},
		"metadata":      map[string]any{"public": strconv.FormatBool(p.Public)},
		"name":          p.Name, "owner_id": 1, "owner_name": "admin", "project_id": p.ID,
		"repo_count": len(p.Repositories), "update_time": p.Created,
	}
	if who.admin {
		row["current_user_role_id"], row["current_user_role_ids"] = 1, []int{1}
	}
	return row
}

// repositoryRow is an entry of a list of repositories.
type repositoryRow struct {
	ArtifactCount int    `json:"artifact_count"`
	CreationTime  Time   `json:"creation_time"`
	ID            int    `json:"id"`
	Name          string `json:"name"`
	ProjectID     int    `json:"project_id"`
	PullCount     int    `json:"pull_count"`
	UpdateTime    Time   `json:"update_time"`
}

// repositories answers those of a project, or of all that the caller sees;
// the newest come first.
func (s *Server) repositories(who caller, r *http.Request, only *Project) answer {
	rows := []repositoryRow{}
	for _, p := range s.model.Projects {
		if only == nil && !who.sees(p) || only != nil && only.Name != p.Name {
			continue
		}
		for _, repo := range p.Repositories {
			rows = append(rows, repositoryRow{
				ArtifactCount: len(repo.Artifacts), CreationTime: repo.Created, ID: repo.ID,
				Name: p.Name + "/" + repo.Name, ProjectID: p.ID, UpdateTime: repo.Updated,
			})
		}
	}
	newest := func(a, b repositoryRow) int {
		return cmp.Or(b.CreationTime.Compare(a.CreationTime.Time), b.ID-a.ID)
	}
	return paged(r, sorted(r, rows, map[string]func(a, b repositoryRow) int{
		"name":          func(a, b repositoryRow) int { return strings.Compare(a.Name, b.Name) },
		"update_time":   func(a, b repositoryRow) int { return a.UpdateTime.Compare(b.UpdateTime.Time) },
		"creation_time": func(a, b repositoryRow) int { return a.CreationTime.Compare(b.CreationTime.Time) },
		"repository_id": func(a, b repositoryRow) int { return a.ID - b.ID },
		"pull_count":    func(a, b repositoryRow) int { return a.PullCount - b.PullCount },
	}, newest))
}

func (s *Server) projectArtifacts(r *http.Request, p *Project) answer {
	if r.URL.Query().Get("latest_in_repository") == "true" {
		return failed(http.StatusBadRequest, "BAD_REQUEST", "bad request: either 'media_type' or 'artifact_type' must be specified, but not both, when querying with latest_in_repository")
	}
	var rows []Artifact
	if p != nil {
		for _, repo := range p.Repositories {
			rows = append(rows, repo.Artifacts...)
		}
	}
	return artifacts(r, rows)
}

// repositoryArtifacts answers an empty list for a repository that does not
// exist. Its name may be encoded once or twice.
func (s *Server) repositoryArtifacts(r *http.Request, p *Project, escaped string) answer {
	name, _ := url.PathUnescape(escaped)
	name, _ = url.PathUnescape(name)
	var rows []Artifact
	if p != nil {
		for _, repo := range p.Repositories {
			if repo.Name == name {
				rows = repo.Artifacts
			}
		}
	}
	return artifacts(r, rows)
}

// artifacts answers a list of artifacts, the newest push first. Of the filters
// it knows tags=nil and tags=*; others are ignored, as unknown ones are.
func artifacts(r *http.Request, rows []Artifact) answer {
	q := r.URL.Query()
	pushed := func(a, b Artifact) int { return cmp.Or(a.PushTime.Compare(b.PushTime.Time), a.ID-b.ID) }
	rows = sorted(r, rows, map[string]func(a, b Artifact) int{
		"push_time": pushed,
		"id":        func(a, b Artifact) int { return a.ID - b.ID },
	}, func(a, b Artifact) int { return pushed(b, a) })
	if tags, found := strings.CutPrefix(q.Get("q"), "tags="); found {
		rows = slices.DeleteFunc(rows, func(a Artifact) bool { return (len(a.Tags) == 0) != (tags == "nil") })
	}
	for i := range rows {
		if q.Get("with_accessory") != "true" {
			rows[i].Accessories = nil
		}
		if q.Get("with_tag") == "false" { // looks like an artifact without tags
			rows[i].Tags = nil
		}
	}
	return paged(r, rows)
}

// auditLog answers the log to those who may read it; to others it is empty.
func (s *Server) auditLog(who caller, r *http.Request, log []AuditEntry) answer {
	if who.anonymous() {
		return unauthorized()
	}
	if !who.auditLog {
		log = nil
	}
	log, err := auditFilter(r.URL.Query().Get("q"), log)
	if err != nil {
		return failed(http.StatusInternalServerError, "UNKNOWN", "internal server error")
	}
	byTime := func(a, b AuditEntry) int { return a.OpTime.Compare(b.OpTime.Time) }
	return paged(r, sorted(r, log, map[string]func(a, b AuditEntry) int{
		"op_time": byTime,
		"id":      func(a, b AuditEntry) int { return a.ID - b.ID },
	}, func(a, b AuditEntry) int { return cmp.Or(byTime(b, a), b.ID-a.ID) }))
}

// auditFilter knows operation={create delete} and op_time=[from~]. Other keys
// are silently ignored; a time that cannot be read is a 500.
func auditFilter(q string, log []AuditEntry) ([]AuditEntry, error) {
	for term := range strings.SplitSeq(q, ",") {
		key, value, _ := strings.Cut(term, "=")
		switch key {
		case "operation":
			operations := strings.Fields(strings.Trim(value, "{}"))
			log = slices.DeleteFunc(slices.Clone(log), func(e AuditEntry) bool { return !slices.Contains(operations, e.Operation) })
		case "op_time":
			from, _, _ := strings.Cut(strings.Trim(value, "[]"), "~")
			t, err := time.Parse("2006-01-02 15:04:05", strings.Trim(from, `"`))
			if err != nil {
				return nil, err
			}
			log = slices.DeleteFunc(slices.Clone(log), func(e AuditEntry) bool { return e.OpTime.Before(t) })
		}
	}
	return log, nil
}
