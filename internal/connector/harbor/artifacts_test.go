package harbor_test

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/harbor/harbortest"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

// An artifact with two tags, a signature and a referrer; one without a tag.
func TestImages(t *testing.T) {
	t.Parallel()
	s := open(t, recorded(t), "robot$portolan", harbortest.RecordedRobotSecret)
	l := listing("team-a/api")
	rows, err := images(t.Context(), s, l)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 6 || l.Listed != 6 || l.Announced != 6 || l.Truncated {
		t.Errorf("%d rows, listing %+v, want 6 of all", len(rows), l)
	}
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	want := []connector.Row{
		{
			Repository: "team-a/api",
			Digest:     "sha256:5f113f7f1f6958ce73c10499553a88df406dd4409fe4798f176d463c1be2ed54",
			Tags: []connector.Tag{
				{Name: "latest", Pushed: at(t, "2026-11-24T03:22:52.210Z")},
				{Name: "2.0.0", Pushed: at(t, "2026-11-24T03:22:51.888Z")},
			},
			Facts:  connector.Facts{Kind: portolan.KindImage, MediaType: docker, Size: 5771, Created: at(t, "2026-01-01T00:01:40Z")},
			Pushed: at(t, "2026-11-24T03:22:51.815Z"),
		},
		{
			Repository: "team-a/api",
			Digest:     "sha256:7a870d9b477480bd940c626422e5e857d4609ffabf4d5e9875fe30a26ad711d3",
			Facts:      connector.Facts{Kind: portolan.KindImage, MediaType: docker, Size: 3119, Created: at(t, "2026-01-01T00:01:43Z")},
			Pushed:     at(t, "2026-11-24T03:22:54.592Z"),
		},
	}
	latest := rows[:2]
	slices.Reverse(latest)
	for i := range latest {
		latest[i].Cursor = ""
	}
	if diff := cmp.Diff(want, latest); diff != "" {
		t.Errorf("the latest two (-want +got):\n%s", diff)
	}
}

func TestImagesKinds(t *testing.T) {
	t.Parallel()
	s := open(t, recorded(t), "robot$portolan", harbortest.RecordedRobotSecret)
	const index = "application/vnd.oci.image.index.v1+json"
	for path, want := range map[string]connector.Facts{
		"infra/multi":    {Kind: portolan.KindImage, MediaType: index, Size: 6886, Platforms: []string{"linux/amd64", "linux/arm64/v8"}},
		"infra/buildkit": {Kind: portolan.KindImage, MediaType: index, Size: 4580, Platforms: []string{"linux/amd64"}},
		"charts/web":     {Kind: portolan.KindOther, MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 699},
	} {
		rows, err := images(t.Context(), s, listing(path))
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %d rows, %v", path, len(rows), err)
		}
		if diff := cmp.Diff(want, rows[0].Facts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// Deep paths are encoded twice; a project called "3" is no id.
func TestImagesPaths(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"b/other": 9, "a/other": 9, "c/x": 9, "3/app": 2, "team/a/b/c/d": 3, "team/p.q_r-s": 4})
	fake := harbortest.New(m)
	s := open(t, fake, robot, secret)
	for path, count := range map[string]int{"3/app": 2, "team/a/b/c/d": 3, "team/p.q_r-s": 4} {
		rows, err := images(t.Context(), s, listing(path))
		if err != nil || len(rows) != count {
			t.Errorf("%s: %d rows, %v, want %d", path, len(rows), err, count)
		}
	}
	for _, r := range fake.Requests() {
		if strings.Contains(r.Path, "/a%2F") {
			t.Errorf("%s: slashes are encoded once", r.Path)
		}
	}
}

// A repository that does not exist has an empty list, not a 404.
func TestImagesUnknown(t *testing.T) {
	t.Parallel()
	fake := recorded(t)
	for name, tt := range map[string]struct {
		user, secret, path string
		class              portolan.ErrorClass
	}{
		"unknown repository":           {user: "robot$portolan", secret: harbortest.RecordedRobotSecret, path: "team-b/nope"},
		"unknown project, as admin":    {user: "admin", secret: harbortest.RecordedUserPassword, path: "nope/api"},
		"unknown project, as a robot":  {user: "robot$portolan", secret: harbortest.RecordedRobotSecret, path: "nope/api", class: portolan.Forbidden},
		"another project":              {user: "robot$team-b+ro", secret: harbortest.RecordedRobotSecret, path: "infra/nginx", class: portolan.Forbidden},
		"private project, anonymously": {path: "team-b/worker", class: portolan.Forbidden},
		"disabled robot":               {user: "robot$off", secret: harbortest.RecordedRobotSecret, path: "team-b/worker", class: portolan.BadCredentials},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listing(tt.path)
			rows, err := images(t.Context(), open(t, fake, tt.user, tt.secret), l)
			if tt.class != "" {
				mustFail(t, err, tt.class)
				if errors.Is(err, connector.ErrNotExist) {
					t.Error("it looks as if the repository were gone")
				}
				return
			}
			if err != nil || len(rows) != 0 || l.Announced != 0 {
				t.Errorf("%d rows, %v, announced %d", len(rows), err, l.Announced)
			}
		})
	}
}

func TestGroupImages(t *testing.T) {
	t.Parallel()
	fake := recorded(t)
	s := open(t, fake, "robot$portolan", harbortest.RecordedRobotSecret)
	l := &connector.Listing{Repository: connector.Repository{Group: "team-a"}}
	rows, err := images(t.Context(), s, l)
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, row := range rows {
		counts[row.Repository]++
	}
	want := map[string]int{"team-a/api": 6, "team-a/web": 6, "team-a/platform/auth/server": 1}
	if diff := cmp.Diff(want, counts); diff != "" || l.Listed != 13 || l.Announced != 13 {
		t.Errorf("listed %d of %d (-want +got):\n%s", l.Listed, l.Announced, diff)
	}
	if n := len(fake.Requests()); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// The same digest in two repositories of a project is two rows.
func TestGroupImagesSameDigest(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"team/a": 0, "team/b": 0})
	for i := range m.Projects[0].Repositories {
		m.Projects[0].Repositories[i].Artifacts = artifacts("same", 0, 70)
	}
	l := &connector.Listing{Repository: connector.Repository{Group: "team"}}
	rows, err := images(t.Context(), open(t, harbortest.New(m), robot, secret), l)
	if err != nil || len(rows) != 140 {
		t.Errorf("%d rows, %v, want 140", len(rows), err)
	}
}

func TestImagesChangeMeanwhile(t *testing.T) {
	t.Parallel()
	const path = "team/app"
	drop := func(n int) func(*harbortest.Model) {
		return func(m *harbortest.Model) {
			r := m.Find(path)
			r.Artifacts = slices.DeleteFunc(r.Artifacts, func(a harbortest.Artifact) bool { return a.Digest == digest(path, n) })
		}
	}
	push := func(m *harbortest.Model) {
		r := m.Find(path)
		r.Artifacts = append(r.Artifacts, artifacts(path, 900, 901)...)
	}
	for name, tt := range map[string]struct {
		change   func(*harbortest.Model)
		requests int
	}{
		"nothing":           {func(*harbortest.Model) {}, 3},
		"deleted before us": {drop(5), 5},
		"deleted behind us": {drop(220), 5},
		"pushed":            {push, 3},
		"deleted before us and pushed": {func(m *harbortest.Model) {
			drop(5)(m)
			push(m)
		}, 6},
		"deleted behind us and pushed": {func(m *harbortest.Model) {
			drop(220)(m)
			push(m)
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(model(map[string]int{path: 250}))
			fake.Before(func(n int, _ *http.Request) {
				if n == 2 {
					fake.Update(tt.change)
				}
			})
			l := listing(path)
			l.Repository.Expect = 250
			rows, err := images(t.Context(), open(t, fake, robot, secret), l)
			if err != nil {
				t.Fatal(err)
			}
			times := map[string]int{}
			for _, row := range rows {
				times[string(row.Digest)]++
			}
			for n := 1; n <= 250; n++ { // those that were there all the time
				if n != 5 && n != 220 && times[digest(path, n)] != 1 {
					t.Errorf("number %d came %d times", n, times[digest(path, n)])
				}
			}
			if l.Listed != len(rows) || l.Announced != len(rows) || len(times) != len(rows) {
				t.Errorf("%d rows, listed %d of %d", len(rows), l.Listed, l.Announced)
			}
			if n := len(fake.Requests()); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

func TestImagesChangeAlways(t *testing.T) {
	t.Parallel()
	const path = "team/app"
	fake := harbortest.New(model(map[string]int{path: 250}))
	fake.Before(func(int, *http.Request) {
		fake.Update(func(m *harbortest.Model) { r := m.Find(path); r.Artifacts = r.Artifacts[1:] })
	})
	l := listing(path)
	rows, err := images(t.Context(), open(t, fake, robot, secret), l)
	mustFail(t, err, portolan.ServerFailure)
	if !l.Truncated || len(rows) != 0 {
		t.Errorf("truncated %t after %d rows", l.Truncated, len(rows))
	}
	if n := len(fake.Requests()); n > 12 {
		t.Errorf("%d requests, want it to give up", n)
	}
}

// A list that is cut, or goes in circles, is not taken for complete.
func TestImagesCut(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"fewer than announced": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Total-Count", "300")
			_, _ = w.Write([]byte(`[]`))
		},
		"a short page": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Total-Count", "101")
			_, _ = fmt.Fprintf(w, `[{"repository_name":"team/app","digest":"sha256:%064s"}]`, r.URL.Query().Get("page"))
		},
		"the same page again": func(w http.ResponseWriter, _ *http.Request) {
			var page []string
			for n := range 100 {
				page = append(page, fmt.Sprintf(`{"repository_name":"team/app","digest":%q}`, digest("team/app", n)))
			}
			w.Header().Set("X-Total-Count", "300")
			_, _ = fmt.Fprintf(w, "[%s]", strings.Join(page, ","))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listing("team/app")
			_, err := images(t.Context(), open(t, http.HandlerFunc(answer), robot, secret), l)
			if !errors.Is(err, connector.ErrTruncated) || !l.Truncated {
				t.Errorf("%v, truncated %t", err, l.Truncated)
			}
		})
	}
}

func TestImagesResume(t *testing.T) {
	t.Parallel()
	const path = "team/app"
	fake := harbortest.New(model(map[string]int{path: 250}))
	s := open(t, fake, robot, secret)
	all, err := images(t.Context(), s, listing(path))
	if err != nil || len(all) != 250 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	for _, i := range []int{0, 99, 100, 150, 249} {
		l := listing(path)
		l.Repository.Expect = 250 // as the catalogue announces
		l.Resume = all[i].Cursor
		rest, err := images(t.Context(), s, l)
		if err != nil || len(rest) != 249-i || l.Listed != 249-i || l.Announced != 250 {
			t.Errorf("after %d: %d rows, %v, %+v", i, len(rest), err, l)
		}
		if len(rest) > 0 && rest[0].Digest != all[i+1].Digest {
			t.Errorf("after %d comes %s", i, rest[0].Digest)
		}
	}
	fake.Update(func(m *harbortest.Model) { r := m.Find(path); r.Artifacts = r.Artifacts[1:] })
	l := listing(path)
	l.Resume = all[150].Cursor
	if _, err := images(t.Context(), s, l); !errors.Is(err, connector.ErrTruncated) {
		t.Errorf("after a deletion: %v, want it to fail, for a row may be missed", err)
	}
}

// Rows of a long list come page by page, and a deletion cannot be mended.
func TestImagesLong(t *testing.T) {
	t.Parallel()
	const path, count = "team/app", 5_100
	fake := harbortest.New(model(map[string]int{path: count}))
	s := open(t, fake, robot, secret)
	l := listing(path)
	l.Repository.Expect = count
	seen := 0
	for _, err := range s.Images(t.Context(), l) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 && len(fake.Requests()) != 1 {
			t.Errorf("the first row came after %d requests", len(fake.Requests()))
		}
	}
	if seen != count || l.Listed != count || l.Announced != count {
		t.Errorf("%d rows, %+v", seen, l)
	}
	fake.Reset()
	fake.Before(func(n int, _ *http.Request) {
		if n == 3 {
			fake.Update(func(m *harbortest.Model) { r := m.Find(path); r.Artifacts = r.Artifacts[1:] })
		}
	})
	l = listing(path)
	if _, err := images(t.Context(), s, l); !errors.Is(err, connector.ErrTruncated) || !l.Truncated {
		t.Errorf("%v, truncated %t", err, l.Truncated)
	}
}

// A row without a usable digest is one failed row, not a failed list.
func TestImagesBadRow(t *testing.T) {
	t.Parallel()
	m := model(map[string]int{"team/app": 3})
	m.Projects[0].Repositories[0].Artifacts[1].Digest = "sha256:short"
	l := listing("team/app")
	rows, err := images(t.Context(), open(t, harbortest.New(m), robot, secret), l)
	if err != nil || len(rows) != 3 || l.Listed != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, row := range rows {
		if (row.Err != nil) != (i == 1) {
			t.Errorf("row %d: %v", i, row.Err)
		}
	}
}

// A list of 100,000 artifacts is handed on while it is read, not held. The test
// is not parallel, for it measures the heap of the whole process.
func TestImagesMemory(t *testing.T) {
	const count = 100_000
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, err := strconv.Atoi(r.URL.Query().Get("page"))
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Total-Count", strconv.Itoa(count))
		_, _ = fmt.Fprint(w, "[")
		for i := range 100 {
			if i > 0 {
				_, _ = fmt.Fprint(w, ",")
			}
			_, _ = fmt.Fprintf(w, `{"digest":"sha256:%064x","repository_name":"team/app","type":"IMAGE","tags":[{"name":"t%d"}]}`, page*100+i, i)
		}
		_, _ = fmt.Fprint(w, "]")
	})
	l := listing("team/app")
	l.Repository.Expect = count
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	rows := 0
	for _, err := range open(t, h, robot, secret).Images(t.Context(), l) {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; rows == count {
			runtime.GC()
			runtime.ReadMemStats(&during)
		}
	}
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); rows != count || grown > 32<<20 {
		t.Errorf("%d rows with %d MiB of heap", rows, grown>>20)
	}
}
