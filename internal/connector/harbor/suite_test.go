package harbor_test

import (
	"net/http"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/harbor"
	"portolan/internal/connector/harbor/harbortest"
)

// TestSource runs the suite of all sources, once with a list for each
// repository and once with a list for each project.
func TestSource(t *testing.T) {
	t.Parallel()
	for name, bulk := range map[string]bool{"ByRepository": false, "ByProject": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Suite{Open: harbor.Open, Serve: serve, PageSize: 100, Bulk: bulk}.Run(t)
		})
	}
}

// serve shows at each request what the suite's model holds then.
func serve(_ testing.TB, m *connectortest.Model) http.Handler {
	fake := harbortest.New(harbortest.Model{Users: []harbortest.User{{
		Name: connectortest.Credential.UserName, Password: connectortest.Credential.Password, Projects: []string{"*"},
	}}})
	fake.Before(m.Follow(func(now []connectortest.Repository) {
		fake.Update(func(held *harbortest.Model) { held.Projects = convert(now) })
	}))
	return fake
}

func convert(repositories []connectortest.Repository) []harbortest.Project {
	var projects []harbortest.Project
	for _, r := range repositories { // sorted, so those of a project are together
		project, name, _ := strings.Cut(r.Path, "/")
		if len(projects) == 0 || projects[len(projects)-1].Name != project {
			projects = append(projects, harbortest.Project{Name: project})
		}
		p := &projects[len(projects)-1]
		held := harbortest.Repository{Name: name}
		for _, image := range r.Images {
			held.Artifacts = append(held.Artifacts, artifact(image))
		}
		p.Repositories = append(p.Repositories, held)
	}
	return projects
}

func artifact(image connectortest.Image) harbortest.Artifact {
	a := harbortest.Artifact{Digest: string(image.Digest), ManifestMediaType: image.MediaType}
	a.Type, a.MediaType = "IMAGE", "application/vnd.oci.image.config.v1+json"
	if image.Kind == portolan.KindOther {
		a.Type, a.MediaType = "CHART", "application/vnd.cncf.helm.config.v1+json"
	}
	a.ArtifactType = a.MediaType
	for _, tag := range image.Tags {
		a.Tags = append(a.Tags, harbortest.Tag{Name: tag})
	}
	return a
}
