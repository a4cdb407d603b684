package faults

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector/harbor/harbortest"
)

const robot = "robot$inventory"

// harborOrigin is the fake Harbor. Its last robot is the one that is used.
type harborOrigin struct {
	*harbortest.Server
	name string
}

// newHarbor makes a Harbor of a version: before 2.12 repositories are listed
// one by one.
func newHarbor(version, name string) *harborOrigin {
	library := harbortest.Project{Name: "library", Public: true, Repositories: []harbortest.Repository{repository("tool", 2), repository("web/front", 1)}}
	team := harbortest.Project{Name: "team", Repositories: []harbortest.Repository{repository("api", 2), repository("app", 3), repository("big", 102)}}
	chart := &team.Repositories[0].Artifacts[1]
	chart.Type, chart.MediaType, chart.ManifestMediaType = "CHART", "application/vnd.cncf.helm.config.v1+json", "application/vnd.oci.image.manifest.v1+json"
	chart.ArtifactType = chart.MediaType
	signature := &team.Repositories[2].Artifacts[0]
	signature.Tags[0].Name = strings.Replace(digest("app", 1), ":", "-", 1) + ".sig"
	return &harborOrigin{name: name, Server: harbortest.New(harbortest.Model{
		Version: version, Projects: []harbortest.Project{library, team}, Now: time.Now,
		Robots: []harbortest.Robot{{Name: robot, Secret: password, Projects: []string{"team", "library"}}},
		Users:  []harbortest.User{{Name: "reader", Password: password, Projects: []string{"team", "library"}}},
	})}
}

func repository(name string, artifacts int) harbortest.Repository {
	r := harbortest.Repository{Name: name}
	for n := range artifacts {
		r.Artifacts = append(r.Artifacts, artifact(name, n+1))
	}
	return r
}

func artifact(name string, n int) harbortest.Artifact {
	return harbortest.Artifact{Digest: digest(name, n), Tags: []harbortest.Tag{{Name: fmt.Sprintf("1.%d", n)}}}
}

func digest(name string, n int) string {
	return fmt.Sprintf("sha256:%056x%08x", fmt.Sprintf("%.28s", name+strings.Repeat(".", 28)), n)
}

func (*harborOrigin) kind() portolan.RegistryType { return portolan.Harbor }
func (h *harborOrigin) user() string              { return h.name }

func (h *harborOrigin) change() {
	h.Update(func(m *harbortest.Model) {
		app, big := m.Find("team/app"), m.Find("team/big")
		fresh := artifact("app", 9)
		fresh.Tags = append(fresh.Tags, app.Artifacts[1].Tags...) // a tag moves
		app.Artifacts[1].Tags = nil
		app.Artifacts = append(app.Artifacts[:2], fresh) // and an image goes
		big.Artifacts = append(slices.Delete(big.Artifacts, 50, 51), artifact("big", 200), artifact("big", 201))
		team := &m.Projects[1]
		team.Repositories = append(team.Repositories, repository("new", 1))
		for _, r := range []*harbortest.Repository{m.Find("team/app"), m.Find("team/big")} {
			r.Updated = harbortest.At(r.Updated.Add(time.Hour))
		}
	})
}

func (h *harborOrigin) vanish() string {
	h.Update(func(m *harbortest.Model) {
		team := &m.Projects[1]
		team.Repositories = slices.DeleteFunc(team.Repositories, func(r harbortest.Repository) bool { return r.Name == "api" })
	})
	return "team/api"
}

func (h *harborOrigin) truth() content {
	c := content{}
	h.Update(func(m *harbortest.Model) {
		for _, p := range m.Projects {
			for _, r := range p.Repositories {
				for _, a := range r.Artifacts {
					h.image(c, p.Name+"/"+r.Name, a)
				}
			}
		}
	})
	return c
}

func (*harborOrigin) image(c content, path string, a harbortest.Artifact) {
	var tags []string
	for _, t := range a.Tags {
		if strings.HasSuffix(t.Name, ".sig") {
			return
		}
		tags = append(tags, t.Name)
	}
	if a.Type == "IMAGE" {
		c.add(path, portolan.Digest(a.Digest), tags...)
	}
}

// lock is what a wrong password does to a user's name.
func (h *harborOrigin) lock() {
	req := httptest.NewRequest(http.MethodGet, "/api/v2.0/users/current", http.NoBody)
	req.SetBasicAuth(h.name, "mistyped")
	h.ServeHTTP(httptest.NewRecorder(), req)
}
