package harbor_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/harbor/harbortest"
)

var allRecorded = []string{
	"charts/web", "infra/buildkit", "infra/multi", "infra/nginx", "team-a/api", "team-a/platform/auth/server",
	"team-a/web", "team-b/a/b/c/d", "team-b/api-copy", "team-b/worker",
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	teamA, teamB := allRecorded[4:7], allRecorded[7:]
	for name, tt := range map[string]struct {
		user, secret string
		scope        []string
		version      string
		want         []string
		requests     int
	}{
		"system robot":           {user: "robot$portolan", want: allRecorded, requests: 2},
		"robot of two projects":  {user: "robot$two", want: slices.Concat(allRecorded[1:7], teamB), requests: 2},
		"project robot":          {user: "robot$team-b+ro", want: teamB, requests: 2},
		"anonymous":              {want: teamA, requests: 2},
		"scope of projects":      {user: "robot$portolan", scope: []string{"team-b", "team-a"}, want: slices.Concat(teamA, teamB), requests: 4},
		"scope within a project": {user: "robot$portolan", scope: []string{"team-a/platform", "team-a/we", "/infra/multi/"}, want: []string{"infra/multi", "team-a/platform/auth/server"}, requests: 4},
		"before 2.3":             {user: "robot$portolan", version: "v2.2.0", want: allRecorded, requests: 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := recorded(t)
			if tt.version != "" {
				fake.Update(func(m *harbortest.Model) { m.Version = tt.version })
			}
			s := open(t, fake, tt.user, "")
			if tt.user != "" {
				s = open(t, fake, tt.user, harbortest.RecordedRobotSecret, tt.scope...)
			}
			got, err := connectortest.Repositories(t.Context(), s, "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, paths(got)); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
			if n := len(fake.Requests()); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

func TestRepositoryEntry(t *testing.T) {
	t.Parallel()
	s := open(t, recorded(t), "robot$portolan", harbortest.RecordedRobotSecret, "team-a", "infra/nginx")
	list, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	want := []connector.Repository{
		{Path: "infra/nginx", Expect: 4, Fingerprint: "2026-11-24T03:22:51.240Z 4", Visibility: "private"},
		{Path: "team-a/api", Group: "team-a", Expect: 6, Fingerprint: "2026-11-24T03:23:00.223Z 6", Visibility: "public"},
		{Path: "team-a/platform/auth/server", Group: "team-a", Expect: 1, Fingerprint: "2026-11-24T03:22:55.465Z 1", Visibility: "public"},
		{Path: "team-a/web", Group: "team-a", Expect: 6, Fingerprint: "2026-11-24T03:22:53.919Z 6", Visibility: "public"},
	}
	for i := range list {
		list[i].Cursor = ""
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The project of a robot whose prefix is configured is found among what it
// sees, with the public projects of others.
func TestRobotPrefix(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"red/app": 1, "blue/app": 1, "dark-blue/app": 1})
	m.Projects[0].Public = true // blue
	m.Robots = []harbortest.Robot{
		{Name: "svc-red+ro", Secret: secret, Projects: []string{"red"}},
		{Name: "svc-dark-blue+ro", Secret: secret, Projects: []string{"dark-blue"}},
	}
	fake := harbortest.New(m)
	list, err := connectortest.Repositories(t.Context(), open(t, fake, "svc-red+ro", secret), "")
	if diff := cmp.Diff([]string{"red/app"}, paths(list)); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	_, err = connectortest.Repositories(t.Context(), open(t, fake, "svc-dark-blue+ro", secret), "")
	mustFail(t, err, portolan.CannotEnumerate)
}

func TestScopeWithoutProject(t *testing.T) {
	t.Parallel()
	fake := recorded(t)
	s := open(t, fake, "admin", harbortest.RecordedUserPassword, "nope", "team-b")
	list, err := connectortest.Repositories(t.Context(), s, "")
	mustFail(t, err, portolan.CannotEnumerate)
	if len(list) != 3 {
		t.Errorf("%d repositories of the other project, want 3", len(list))
	}
	s = open(t, fake, "robot$two", harbortest.RecordedRobotSecret, "charts", "team-b")
	list, err = connectortest.Repositories(t.Context(), s, "")
	mustFail(t, err, portolan.Forbidden)
	if e, _ := errors.AsType[*connector.Error](err); e.Remedy == "" || len(list) != 3 {
		t.Errorf("%d repositories of the other project, want 3; remedy %q", len(list), e.Remedy)
	}
}

// many is a Harbor with so many repositories in two projects.
func many(n int) harbortest.Model {
	counts := map[string]int{}
	for i := range n {
		counts[fmt.Sprintf("p%d/r%04d", i%2, i)] = 1
	}
	return model(counts)
}

func TestRepositoriesResume(t *testing.T) {
	t.Parallel()
	for name, scope := range map[string][]string{"all": nil, "by project": {"p0", "p1"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(many(250))
			s := open(t, fake, robot, secret, scope...)
			all, err := connectortest.Repositories(t.Context(), s, "")
			if err != nil || len(all) != 250 {
				t.Fatalf("%d repositories, %v", len(all), err)
			}
			for _, i := range []int{0, 98, 99, 100, 124, 125, 199, 248, 249} {
				rest, err := connectortest.Repositories(t.Context(), s, all[i].Cursor)
				if diff := cmp.Diff(paths(all[i+1:]), paths(rest)); err != nil || diff != "" {
					t.Errorf("after %d: %v\n%s", i, err, diff)
				}
			}
		})
	}
}

// What the cursor names may be gone, or an earlier entry, which moves all
// others: then the list begins again and some paths come twice.
func TestRepositoriesResumeAfterDeletion(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]int{"the entry itself": 149, "an earlier one": 3, "a later one": 230} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(many(250))
			s := open(t, fake, robot, secret)
			all, err := connectortest.Repositories(t.Context(), s, "")
			if err != nil {
				t.Fatal(err)
			}
			fake.Update(func(m *harbortest.Model) { remove(m, all[gone].Path) })
			rest, err := connectortest.Repositories(t.Context(), s, all[149].Cursor)
			if err != nil {
				t.Fatal(err)
			}
			for i := 150; i < 250; i++ {
				if i != gone && !slices.Contains(paths(rest), all[i].Path) {
					t.Errorf("%s is missing", all[i].Path)
				}
			}
		})
	}
}

func remove(m *harbortest.Model, path string) {
	for i := range m.Projects {
		p := &m.Projects[i]
		p.Repositories = slices.DeleteFunc(p.Repositories, func(r harbortest.Repository) bool { return p.Name+"/"+r.Name == path })
	}
}

func add(m *harbortest.Model, name string) {
	m.Projects[0].Repositories = append(m.Projects[0].Repositories, harbortest.Repository{Name: name})
}

func TestRepositoriesChangeMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change   func(*harbortest.Model)
		requests int
	}{
		"nothing":           {func(*harbortest.Model) {}, 4},
		"deleted behind us": {func(m *harbortest.Model) { remove(m, "p0/r0000") }, 6},
		"deleted before us": {func(m *harbortest.Model) { remove(m, "p1/r0249") }, 6},
		"added behind us":   {func(m *harbortest.Model) { add(m, "a") }, 7},
		"added before us":   {func(m *harbortest.Model) { add(m, "zz") }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(many(250))
			fake.Before(func(n int, _ *http.Request) {
				if n == 3 { // the second page
					fake.Update(tt.change)
				}
			})
			got, err := connectortest.Repositories(t.Context(), open(t, fake, robot, secret), "")
			if err != nil {
				t.Fatal(err)
			}
			fake.Update(func(m *harbortest.Model) {
				for _, p := range m.Projects {
					for _, r := range p.Repositories {
						if !slices.Contains(paths(got), p.Name+"/"+r.Name) {
							t.Errorf("%s/%s is missing", p.Name, r.Name)
						}
					}
				}
			})
			seen := slices.Sorted(slices.Values(paths(got)))
			if len(slices.Compact(seen)) != len(got) {
				t.Error("a path came twice")
			}
			if n := len(fake.Requests()); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

func TestRepositoriesChangeAlways(t *testing.T) {
	t.Parallel()
	fake := harbortest.New(many(250))
	fake.Before(func(n int, _ *http.Request) {
		fake.Update(func(m *harbortest.Model) { remove(m, fmt.Sprintf("p0/r%04d", 2*n)) })
	})
	_, err := connectortest.Repositories(t.Context(), open(t, fake, robot, secret), "")
	mustFail(t, err, portolan.ServerFailure)
	if !errors.Is(err, connector.ErrTruncated) {
		t.Errorf("%v is no ErrTruncated", err)
	}
	if n := len(fake.Requests()); n > 10 {
		t.Errorf("%d requests, want it to give up", n)
	}
}

func TestRepositoriesEarlyEnd(t *testing.T) {
	t.Parallel()
	fake := harbortest.New(many(250))
	for _, err := range open(t, fake, robot, secret).Repositories(t.Context(), "") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if n := len(fake.Requests()); n != 2 {
		t.Errorf("%d requests, want 2: the projects and a page", n)
	}
}
