package harbor_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/harbor"
	"portolan/internal/connector/harbor/harbortest"
)

// noon is the time of every test.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// The accounts of the tests' own models.
const (
	robot  = "robot$inventory"
	secret = "canary-7f3a"
)

// recorded is a fake that holds what was recorded.
func recorded(t testing.TB) *harbortest.Server {
	t.Helper()
	m, err := harbortest.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	m.Now = func() time.Time { return noon }
	return harbortest.New(m)
}

// model has projects with repositories of so many artifacts.
func model(counts map[string]int) harbortest.Model {
	m := harbortest.Model{
		Now:    func() time.Time { return noon },
		Robots: []harbortest.Robot{{Name: robot, Secret: secret, Projects: []string{"*"}, AuditLog: true}},
	}
	projects := map[string]int{}
	for _, path := range slices.Sorted(maps.Keys(counts)) {
		project, rest, _ := strings.Cut(path, "/")
		i, known := projects[project]
		if !known {
			i = len(m.Projects)
			projects[project] = i
			m.Projects = append(m.Projects, harbortest.Project{Name: project})
		}
		m.Projects[i].Repositories = append(m.Projects[i].Repositories, harbortest.Repository{Name: rest, Artifacts: artifacts(path, 0, counts[path])})
	}
	return m
}

// artifacts makes artifacts with the numbers from (excluded) to.
func artifacts(path string, from, to int) []harbortest.Artifact {
	var list []harbortest.Artifact
	for n := from + 1; n <= to; n++ {
		list = append(list, harbortest.Artifact{
			Digest: digest(path, n),
			Tags:   []harbortest.Tag{{Name: fmt.Sprintf("1.%d", n)}},
		})
	}
	return list
}

func digest(path string, n int) string {
	return fmt.Sprintf("sha256:%056x%08x", fmt.Sprintf("%.28s", path+strings.Repeat(".", 28)), n)
}

// open opens a source of a handler as a user. Nothing is sent twice, so that
// requests can be counted; a cookie jar is handed in to show that it is not
// used.
func open(t testing.TB, h http.Handler, user, password string, scope ...string) connector.Source {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	base, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	if client.Jar, err = cookiejar.New(nil); err != nil {
		t.Fatal(err)
	}
	s, err := harbor.Open(connector.Config{
		BaseURL:    base,
		Credential: portolan.Credential{UserName: user, Password: password},
		Scope:      scope,
		Client:     client,
		Now:        func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func images(ctx context.Context, s connector.Source, l *connector.Listing) ([]connector.Row, error) {
	list := s.Images(ctx, l)
	if l.Repository.Path == "" {
		list = s.(connector.BulkLister).GroupImages(ctx, l)
	}
	var rows []connector.Row
	for row, err := range list {
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func listing(path string) *connector.Listing {
	return &connector.Listing{Repository: connector.Repository{Path: path}}
}

func paths(list []connector.Repository) []string {
	var names []string
	for _, r := range list {
		names = append(names, r.Path)
	}
	return names
}

// mustFail checks the class of an error, and that it neither holds the
// secret nor, if it came from an answer, lacks Harbor's request id.
func mustFail(t *testing.T, err error, class portolan.ErrorClass) {
	t.Helper()
	if err == nil || connector.ClassOf(err) != class {
		t.Fatalf("error %v (%s), want class %s", err, connector.ClassOf(err), class)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
		t.Errorf("the error holds the secret: %v", err)
	}
}
