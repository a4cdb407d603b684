// Package harbortest is a fake Harbor for tests: a server that answers from a
// small model as Harbor 2.15.2 was seen to answer, with its traps, and a
// player of recorded answers. Where it imitates versions before 2.15 it says
// "unverified".
//
// It knows the wire of Harbor and nothing of its readers.
package harbortest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Model is what a Harbor holds. Ids and times that are zero are filled in.
type Model struct {
	// Version as systeminfo tells it, "v2.15.2-080b0220" if empty. It decides
	// which calls there are.
	Version  string
	ReadOnly bool
	// Now is the clock, of locked names and expired robots too.
	Now      func() time.Time
	Projects []Project
	Users    []User
	Robots   []Robot
	Audit    []AuditEntry
}

// User is a local account. Projects are those it is a member of.
type User struct {
	Name, Password string
	Admin          bool
	Projects       []string
}

// Robot is a robot account, with its full name and what it may read. Project
// "*" is all of them. AuditLog is the system permission audit-log:list,
// ListRobots robot:list.
type Robot struct {
	Name, Secret string
	Projects     []string
	AuditLog     bool
	ListRobots   bool
	Disabled     bool
	Expires      time.Time // zero for never
}

// Project is a project with its repositories.
type Project struct {
	ID           int
	Name         string
	Public       bool
	Created      Time
	Repositories []Repository
}

// Repository is a repository; its name is without the project.
type Repository struct {
	ID        int
	Name      string
	Created   Time
	Updated   Time
	Artifacts []Artifact
}

// Artifact is a row of a list, with all that Harbor can show of it. Only
// Digest is needed.
type Artifact struct {
	Accessories       []Accessory     `json:"accessories"`
	AdditionLinks     map[string]any  `json:"addition_links,omitempty"`
	ArtifactType      string          `json:"artifact_type,omitempty"`
	Digest            string          `json:"digest"`
	ExtraAttrs        json.RawMessage `json:"extra_attrs,omitempty"`
	Icon              string          `json:"icon,omitempty"`
	ID                int             `json:"id"`
	Labels            []string        `json:"labels"`
	ManifestMediaType string          `json:"manifest_media_type"`
	MediaType         string          `json:"media_type"`
	ProjectID         int             `json:"project_id"`
	PullTime          Time            `json:"pull_time"`
	PushTime          Time            `json:"push_time"`
	References        []Reference     `json:"references"`
	RepositoryID      int             `json:"repository_id"`
	RepositoryName    string          `json:"repository_name"`
	Size              int64           `json:"size"`
	Tags              []Tag           `json:"tags"`
	Type              string          `json:"type"`
}

// Tag is a tag of an artifact.
type Tag struct {
	ArtifactID   int    `json:"artifact_id"`
	ID           int    `json:"id"`
	Immutable    bool   `json:"immutable"`
	Name         string `json:"name"`
	PullTime     Time   `json:"pull_time"`
	PushTime     Time   `json:"push_time"`
	RepositoryID int    `json:"repository_id"`
}

// Accessory is a signature or another referrer of an artifact.
type Accessory struct {
	ArtifactID            int    `json:"artifact_id"`
	CreationTime          Time   `json:"creation_time"`
	Digest                string `json:"digest"`
	Icon                  string `json:"icon"`
	ID                    int    `json:"id"`
	Size                  int64  `json:"size"`
	SubjectArtifactDigest string `json:"subject_artifact_digest"`
	SubjectArtifactID     int    `json:"subject_artifact_id"`
	SubjectArtifactRepo   string `json:"subject_artifact_repo"`
	Type                  string `json:"type"`
}

// Reference is a child of an index.
type Reference struct {
	Annotations map[string]string `json:"annotations,omitempty"`
	ChildDigest string            `json:"child_digest"`
	ChildID     int               `json:"child_id"`
	ParentID    int               `json:"parent_id"`
	Platform    *Platform         `json:"platform"`
	URLs        []string          `json:"urls"`
}

// Platform is what a child of an index runs on.
type Platform struct {
	OsFeatures   []string `json:"OsFeatures"`
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Variant      string   `json:"variant,omitempty"`
}

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	ID           int    `json:"id"`
	OpTime       Time   `json:"op_time"`
	Operation    string `json:"operation"`
	Description  string `json:"operation_description,omitempty"`
	Result       bool   `json:"operation_result"`
	Resource     string `json:"resource"`
	ResourceType string `json:"resource_type"`
	Username     string `json:"username"`
}

// Time is a time as Harbor writes it, in UTC with three digits of a second.
// Its zero value is how Harbor says never.
type Time struct{ time.Time }

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// At makes a Time.
func At(t time.Time) Time { return Time{t.UTC()} }

// Media types of what the model holds most.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// epoch is when the first thing of a model was pushed if it does not say.
var epoch = time.Date(2026, 11, 24, 3, 20, 0, 0, time.UTC)

// Find answers a project's repository by its path, nil if there is none. The
// pointer is good until the model is changed.
func (m *Model) Find(path string) *Repository {
	name, rest, _ := strings.Cut(path, "/")
	p := m.project(name)
	if p == nil {
		return nil
	}
	for i := range p.Repositories {
		if p.Repositories[i].Name == rest {
			return &p.Repositories[i]
		}
	}
	return nil
}

func (m *Model) project(name string) *Project {
	for i := range m.Projects {
		if m.Projects[i].Name == name {
			return &m.Projects[i]
		}
	}
	return nil
}

// fill gives ids and times to what has none, in the order of the model: what
// comes later was pushed later.
func (m *Model) fill() {
	if m.Version == "" {
		m.Version = "v2.15.2-080b0220"
	}
	if m.Now == nil {
		m.Now = time.Now
	}
	next := m.lastIDs()
	for i := range m.Projects {
		p := &m.Projects[i]
		next.project.give(&p.ID)
		give(&p.Created, 0)
		for j := range p.Repositories {
			m.fillRepository(p, &p.Repositories[j], next)
		}
	}
	for i := range m.Audit {
		next.audit.give(&m.Audit[i].ID)
		give(&m.Audit[i].OpTime, m.Audit[i].ID)
	}
	slices.SortStableFunc(m.Audit, func(a, b AuditEntry) int { return a.ID - b.ID })
}

func (m *Model) fillRepository(p *Project, r *Repository, next *ids) {
	next.repository.give(&r.ID)
	give(&r.Created, r.ID)
	path := p.Name + "/" + r.Name
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		next.artifact.give(&a.ID)
		a.fill(path)
		a.ProjectID, a.RepositoryID, a.RepositoryName = p.ID, r.ID, path
		for j := range a.Tags {
			t := &a.Tags[j]
			next.tag.give(&t.ID)
			t.ArtifactID, t.RepositoryID = a.ID, r.ID
			if t.PushTime.IsZero() {
				t.PushTime = a.PushTime
			}
		}
	}
	if r.Updated.IsZero() {
		r.Updated = r.Created
	}
}

func (a *Artifact) fill(path string) {
	give(&a.PushTime, a.ID)
	if a.Type == "" {
		a.Type = "IMAGE"
	}
	if a.ManifestMediaType == "" {
		a.ManifestMediaType, a.MediaType, a.ArtifactType = dockerManifest, dockerConfig, dockerConfig
	}
	if a.AdditionLinks == nil && a.References == nil && a.Type == "IMAGE" {
		project, rest, _ := strings.Cut(path, "/")
		href := fmt.Sprintf("/api/v2.0/projects/%s/repositories/%s/artifacts/%s/additions/build_history", project, strings.ReplaceAll(rest, "/", "%252F"), a.Digest)
		a.AdditionLinks = map[string]any{"build_history": map[string]any{"absolute": false, "href": href}}
		a.ExtraAttrs = json.RawMessage(`{"architecture":"amd64","author":"","config":{},"created":"2026-01-01T00:01:43Z","os":"linux"}`)
	}
}

func give(t *Time, seconds int) {
	if t.IsZero() {
		*t = At(epoch.Add(time.Duration(seconds) * time.Second))
	}
}

// counter hands out ids.
type counter int

func (c *counter) note(id int) { *c = max(*c, counter(id)) }

func (c *counter) give(id *int) {
	if *id == 0 {
		*c++
		*id = int(*c)
	}
}

type ids struct{ project, repository, artifact, tag, audit counter }

// lastIDs finds the greatest ids in use.
func (m *Model) lastIDs() *ids {
	last := &ids{}
	for _, p := range m.Projects {
		last.project.note(p.ID)
		for _, r := range p.Repositories {
			last.repository.note(r.ID)
			for _, a := range r.Artifacts {
				last.artifact.note(a.ID)
				for _, t := range a.Tags {
					last.tag.note(t.ID)
				}
			}
		}
	}
	for _, e := range m.Audit {
		last.audit.note(e.ID)
	}
	return last
}
