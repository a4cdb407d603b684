package harbor_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/harbor/harbortest"
)

// readAll reads a registry as the engine does and answers the number of rows.
func readAll(t *testing.T, s connector.Source, since time.Time) int {
	t.Helper()
	p, err := s.Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unchanged := false
	if !since.IsZero() {
		_, unchanged = changes(t, s, since)
	}
	list, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	if !unchanged {
		rows = readLists(t, s, p.Bulk, list)
	}
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rows
}

func readLists(t *testing.T, s connector.Source, bulk bool, list []connector.Repository) int {
	t.Helper()
	groups := map[string]int{}
	var listings []*connector.Listing
	for _, r := range list {
		if groups[r.Group] += r.Expect; !bulk {
			listings = append(listings, &connector.Listing{Repository: r})
		}
	}
	for group, expect := range groups {
		if bulk {
			listings = append(listings, &connector.Listing{Repository: connector.Repository{Group: group, Expect: expect}})
		}
	}
	rows := 0
	for _, l := range listings {
		got, err := images(t.Context(), s, l)
		if err != nil {
			t.Fatal(err)
		}
		rows += len(got)
	}
	return rows
}

// harborOf has repositories in projects with so many artifacts each.
func harborOf(projects, repositories, artifacts int) harbortest.Model {
	counts := map[string]int{}
	for i := range repositories {
		counts[fmt.Sprintf("p%02d/r%04d", i%projects, i)] = artifacts
	}
	m := model(counts)
	m.Audit = []harbortest.AuditEntry{{OpTime: harbortest.At(noon.Add(-48 * time.Hour)), Operation: "create", ResourceType: "tag", Resource: "p00/r0000:1"}}
	return m
}

// The number of requests is what a reading costs Harbor. A first reading is
// three, the pages of projects and of repositories, and the pages of each
// project or, before 2.12, of each repository. An unchanged one is three and
// the pages of projects and repositories.
func TestRequestCounts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		projects, repositories, artifacts int
		version                           string
		since                             time.Time
		want                              int
	}{
		"first, 50,000 artifacts":  {40, 2_000, 25, "", time.Time{}, 3 + 1 + 20 + 40*13},
		"first, one page of all":   {3, 90, 1, "", time.Time{}, 3 + 1 + 1 + 3},
		"first, 2.11":              {3, 90, 1, "v2.11.1", time.Time{}, 3 + 1 + 1 + 90},
		"first, 2.11, two pages":   {1, 2, 150, "v2.11.1", time.Time{}, 3 + 1 + 1 + 2*2},
		"unchanged":                {3, 90, 1, "", noon.Add(-time.Hour), 3 + 1 + 1},
		"unchanged, 2,000":         {40, 2_000, 1, "", noon.Add(-time.Hour), 3 + 1 + 20},
		"empty":                    {1, 0, 0, "", time.Time{}, 3 + 1 + 1},
		"log too young to believe": {3, 90, 1, "", noon.Add(-72 * time.Hour), 3 + 1 + 1 + 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := harborOf(tt.projects, tt.repositories, tt.artifacts)
			m.Version = tt.version
			fake := harbortest.New(m)
			rows := readAll(t, open(t, fake, robot, secret), tt.since)
			if got := len(fake.Requests()); got != tt.want {
				t.Errorf("%d requests, want %d", got, tt.want)
			}
			if want := tt.repositories * tt.artifacts; rows != want && !strings.HasPrefix(name, "unchanged") {
				t.Errorf("%d rows, want %d", rows, want)
			}
			for _, r := range fake.Requests() {
				mustBePolite(t, r)
			}
		})
	}
}

// mustBePolite checks what holds of every request.
func mustBePolite(t *testing.T, r harbortest.Request) {
	t.Helper()
	q, err := url.ParseQuery(r.Query)
	if err != nil || q.Has("page") && q.Get("page_size") != "100" {
		t.Errorf("%s?%s is not a page of 100", r.Path, r.Query)
	}
	if r.Method != http.MethodGet || !strings.HasPrefix(r.Path, "/api/v2.0/") {
		t.Errorf("%s %s: only the API is read; a manifest would count as pulled", r.Method, r.Path)
	}
	if r.Header.Get("Cookie") != "" {
		t.Errorf("%s was sent with a cookie", r.Path)
	}
	if r.Header.Get("X-Is-Resource-Name") != "true" {
		t.Errorf("%s: the name of a project could be taken for an id", r.Path)
	}
	if strings.HasSuffix(r.Path, "/artifacts") && (q.Get("with_tag") != "true" || q.Get("sort") != "push_time") {
		t.Errorf("%s?%s does not ask for tags in the order of pushes", r.Path, r.Query)
	}
}

// The answers that were recorded while parts of Harbor were down.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault harbortest.Fault
		class portolan.ErrorClass
		words []string
	}{
		"database down": {
			harbortest.Fault{Status: 500, Body: `{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}`},
			portolan.ServerFailure,
			[]string{"status 500 UNKNOWN", harbortest.RequestID(1)},
		},
		"registry down":     {harbortest.Fault{Status: 502}, portolan.ServerFailure, []string{"status 502", harbortest.RequestID(1)}},
		"page too large":    {harbortest.Fault{Status: 422, Body: `{"errors":[{"code":"UNPROCESSABLE_ENTITY","message":"` + secret + `"}]}`}, portolan.ServerFailure, []string{"status 422"}},
		"precondition":      {harbortest.Fault{Status: 412}, portolan.ServerFailure, []string{"status 412"}},
		"gone":              {harbortest.Fault{Status: 404}, portolan.ServerFailure, []string{"404", "team/app"}},
		"lost a permission": {harbortest.Fault{Status: 403}, portolan.Forbidden, []string{robot, "artifact: list and tag: list", harbortest.RequestID(1)}},
		"not logged in":     {harbortest.Fault{Status: 401}, portolan.BadCredentials, []string{robot, "team/app"}},
		"login page": {
			harbortest.Fault{Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>" + secret},
			portolan.ServerFailure,
			[]string{"HTML", harbortest.RequestID(1)},
		},
		"odd request id": {
			harbortest.Fault{Status: 500, Header: http.Header{"X-Request-Id": {`"` + secret + `"`}}},
			portolan.ServerFailure,
			[]string{"status 500"},
		},
		"cut off": {harbortest.Fault{Close: true}, portolan.ConnectFailure, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(model(map[string]int{"team/app": 3}))
			fake.Inject(1, tt.fault)
			fake.Inject(2, tt.fault) // the client asks again on a fresh connection
			_, err := images(t.Context(), open(t, fake, robot, secret), listing("team/app"))
			mustFail(t, err, tt.class)
			for _, word := range tt.words {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not say %q", err, word)
				}
			}
			if errors.Is(err, connector.ErrNotExist) != (name == "gone") {
				t.Errorf("%v: is it gone? %t", err, errors.Is(err, connector.ErrNotExist))
			}
		})
	}
}

// The recordings themselves, without the fake, make the same inventory.
func TestReplay(t *testing.T) {
	t.Parallel()
	h, err := harbortest.Replay("robot-systeminfo", "robot-users-current", "robot-projects", "robot-repositories-all", "robot-project-artifacts", "robot-unknown-project")
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, h, "robot$portolan", harbortest.RecordedRobotSecret)
	p, err := s.Probe(t.Context())
	if err != nil || p.Version != "2.15.2" || !p.Bulk || p.Feed {
		t.Fatalf("%+v, %v", p, err)
	}
	list, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil || len(list) != len(allRecorded) {
		t.Fatalf("%d repositories, %v", len(list), err)
	}
	rows, err := images(t.Context(), s, &connector.Listing{Repository: connector.Repository{Group: "team-b", Expect: 6}})
	if err != nil || len(rows) != 6 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if _, err := s.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
