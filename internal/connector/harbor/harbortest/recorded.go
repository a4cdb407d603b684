package harbortest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Secrets of the accounts in Recorded.
const (
	RecordedUserPassword = "dummy-password"
	RecordedRobotSecret  = "dummy-robot-secret"
)

// Recorded is the model of the Harbor that was recorded: five projects, of
// which library and team-a are public, ten repositories and 26 artifacts, the
// robots robot$portolan (all projects), robot$audit (also the audit log),
// robot$team-b+ro, robot$two (infra and team-b), robot$off (disabled),
// robot$old (expired), and the administrator admin. Three artifacts of
// infra/nginx are made up, for they were not recorded.
func Recorded() (Model, error) {
	m := Model{
		Now:   func() time.Time { return time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC) },
		Users: []User{{Name: "admin", Password: RecordedUserPassword, Admin: true}},
		Robots: []Robot{
			{Name: "robot$portolan", Secret: RecordedRobotSecret, Projects: []string{"*"}},
			{Name: "robot$audit", Secret: "dummy", Projects: []string{"*"}, AuditLog: true},
			{Name: "robot$team-b+ro", Secret: RecordedRobotSecret, Projects: []string{"team-b"}},
			{Name: "robot$two", Secret: RecordedRobotSecret, Projects: []string{"infra", "team-b"}},
			{Name: "robot$off", Secret: RecordedRobotSecret, Projects: []string{"*"}, Disabled: true},
			{Name: "robot$old", Secret: RecordedRobotSecret, Projects: []string{"*"}, Expires: time.Date(2026, 11, 24, 3, 25, 8, 0, time.UTC)},
		},
	}
	if err := m.loadProjects(); err != nil {
		return Model{}, err
	}
	if err := m.loadArtifacts(); err != nil {
		return Model{}, err
	}
	return m, m.loadAudit()
}

// loadAudit puts together what was recorded of the log, 14 of its 71 entries.
func (m *Model) loadAudit() error {
	for _, name := range []string{"auditlog-exts", "robot-auditlog-exts", "robot-auditlog-exts-since"} {
		var entries []AuditEntry
		if err := loadBody(name, &entries); err != nil {
			return err
		}
		for _, e := range entries {
			if !slices.ContainsFunc(m.Audit, func(had AuditEntry) bool { return had.ID == e.ID }) {
				m.Audit = append(m.Audit, e)
			}
		}
	}
	return nil
}

func (m *Model) loadProjects() error {
	var projects []struct {
		ProjectID    int               `json:"project_id"`
		Name         string            `json:"name"`
		Metadata     map[string]string `json:"metadata"`
		CreationTime time.Time         `json:"creation_time"`
	}
	var repositories []repositoryRow
	if err := loadBody("projects-page-size-100", &projects); err != nil {
		return err
	}
	if err := loadBody("robot-repositories-all", &repositories); err != nil {
		return err
	}
	for _, p := range projects {
		project := Project{ID: p.ProjectID, Name: p.Name, Public: p.Metadata["public"] == "true", Created: At(p.CreationTime)}
		for _, r := range repositories {
			if name, found := strings.CutPrefix(r.Name, p.Name+"/"); found {
				project.Repositories = append(project.Repositories, Repository{ID: r.ID, Name: name, Created: r.CreationTime, Updated: r.UpdateTime})
			}
		}
		m.Projects = append(m.Projects, project)
	}
	return nil
}

func (m *Model) loadArtifacts() error {
	for _, name := range []string{
		"artifacts-all-options", "artifacts-project-level-all", "robot-project-artifacts",
		"artifacts-index", "artifacts-index-buildkit", "artifacts-helm", "repository-tagless",
	} {
		var rows []Artifact
		if err := loadBody(name, &rows); err != nil {
			return err
		}
		for _, a := range rows {
			r := m.Find(a.RepositoryName)
			if r != nil && !slices.ContainsFunc(r.Artifacts, func(had Artifact) bool { return had.Digest == a.Digest }) {
				r.Artifacts = append(r.Artifacts, a)
			}
		}
	}
	nginx := m.Find("infra/nginx")
	for i := range 3 {
		nginx.Artifacts = append(nginx.Artifacts, Artifact{
			ID: 14 + i, Digest: fmt.Sprintf("sha256:%064x", i+1), Size: 5773,
			Tags: []Tag{{Name: fmt.Sprintf("1.%d.0", i+1)}},
		})
	}
	return nil
}

func loadBody(name string, v any) error {
	rec, err := Load(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(rec.Body), v); err != nil {
		return fmt.Errorf("recording %s: %w", name, err)
	}
	return nil
}
