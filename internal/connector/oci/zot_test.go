package oci_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/oci"
)

// zot speaks the Distribution API as zot does, with its management and its
// search extension. Of signatures it lists no tags there.
type zot struct {
	*server
	// spoil changes the n-th answer of the search extension, from 1.
	spoil func(n int, a *searched)
	// status of the search extension's answers if not 200.
	status int
	asked  int
}

type searched struct {
	Errors []map[string]string `json:"errors,omitempty"`
	Data   map[string]*found   `json:"data"`
}

type found struct {
	Page    *pageInfo
	Results []map[string]string
}

type pageInfo struct{ TotalCount, ItemCount int }

var pageInput = regexp.MustCompile(`requestedPage:\{limit:(\d+),offset:(\d+),sortBy:ALPHABETIC_ASC\}`)

func (z *zot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/v2/_zot/ext/mgmt":
		_, _ = fmt.Fprint(w, `{"distSpecVersion":"1.1.1","releaseTag":"v2.1.2"}`)
	case "/v2/_zot/ext/search":
		if z.allowed(w, r, "_catalog", "") {
			z.serveSearch(w, r)
		}
	default:
		z.server.ServeHTTP(w, r)
	}
}

func (z *zot) serveSearch(w http.ResponseWriter, r *http.Request) {
	z.mu.Lock()
	z.asked++
	n := z.asked
	z.mu.Unlock()
	if z.status != 0 {
		problem(w, z.status, "UNKNOWN")
		return
	}
	page := pageInput.FindStringSubmatch(r.URL.Query().Get("query"))
	if page == nil {
		problem(w, http.StatusUnprocessableEntity, "BAD")
		return
	}
	var rows []map[string]string
	for _, repository := range z.model.Repositories() {
		for _, image := range repository.Images {
			for _, tag := range image.Tags {
				if !connector.AccessoryTag(tag) {
					rows = append(rows, map[string]string{"RepoName": repository.Path, "Tag": tag, "Digest": string(image.Digest)})
				}
			}
		}
	}
	slices.SortFunc(rows, func(a, b map[string]string) int {
		return strings.Compare(a["RepoName"]+"\x00"+a["Tag"], b["RepoName"]+"\x00"+b["Tag"])
	})
	total := len(rows)
	limit, _ := strconv.Atoi(page[1])
	offset, _ := strconv.Atoi(page[2])
	rows = rows[min(offset, total):min(offset+limit, total)]
	a := &searched{Data: map[string]*found{"ImageList": {Page: &pageInfo{total, len(rows)}, Results: rows}}}
	if z.spoil != nil {
		z.spoil(n, a)
	}
	_ = json.NewEncoder(w).Encode(a)
}

// The one suite for all sources, with a zot that is about to be read.
func TestZotSuite(t *testing.T) {
	t.Parallel()
	connectortest.Suite{
		Open: func(c connector.Config) (connector.Source, error) {
			src, err := oci.Open(c)
			if err == nil {
				src.(connector.Announcer).Announce(make([]string, 1_000))
			}
			return src, err
		},
		Serve: func(_ testing.TB, m *connectortest.Model) http.Handler {
			return &zot{server: &server{model: m, pageSize: 4}}
		},
		PageSize: 4, Links: true,
	}.Run(t)
}

// fleet is a registry of n repositories with as many tags each, two of which
// have the same digest.
func fleet(n int) *connectortest.Model {
	m := &connectortest.Model{}
	for i := range n {
		path := fmt.Sprintf("team/app-%03d", i)
		for k := range n - 1 {
			tags := []string{fmt.Sprintf("v%03d", k)}
			if k == 0 {
				tags = append(tags, "latest")
			}
			m.Add(path, connectortest.NewImage(fmt.Sprint(path, k), tags...))
		}
	}
	return m
}

// readAll reads a registry as the engine does: identity, catalogue, rows,
// identity.
func readAll(t *testing.T, r *rig, known connector.Known) (rows []string) {
	t.Helper()
	for range 2 {
		if _, err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	paths, err := repositories(t, r)
	if err != nil {
		t.Fatal(err)
	}
	r.Source.(connector.Announcer).Announce(paths)
	for _, path := range paths {
		l, list, err := images(t, r, path, known)
		if err != nil || l.Listed != len(list) {
			t.Fatalf("%s: %d rows of %d, %v", path, len(list), l.Listed, err)
		}
		for _, row := range list {
			if row.Err != nil {
				t.Fatal(row.Err)
			}
			rows = append(rows, fmt.Sprint(path, row.Tags, row.Digest, row.Facts))
		}
	}
	slices.Sort(rows)
	return rows
}

// everything knows all images of a model.
type everything struct {
	nothing
	facts map[portolan.Digest]connector.Facts
}

func (e everything) Facts(context.Context, []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	return e.facts, nil
}

func knowing(m *connectortest.Model) everything {
	e := everything{facts: map[portolan.Digest]connector.Facts{}}
	for _, repository := range m.Repositories() {
		for _, image := range repository.Images {
			e.facts[image.Digest] = connector.Facts{Kind: image.Kind, MediaType: image.MediaType}
		}
	}
	return e
}

// A zot is read with one request for 200 tags, whatever the number of its
// repositories, and finds what the plain way finds. New manifests are read.
func TestZotRequests(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 14, 20, 45} { // with 4, 196, 400 and 2,025 tags
		m := fleet(n)
		m.Add("team/zero")
		tags := 0
		for _, repository := range m.Repositories() {
			for _, image := range repository.Images {
				tags += len(image.Tags)
			}
		}
		z := &zot{server: &server{model: m, pageSize: 1000}}
		warm := open(t, z, nil)
		got := readAll(t, warm, knowing(m))
		// Two probes, the first with its challenge, and the product; the
		// catalogue; the pages; and one list of tags for the repository of which
		// zot knows none.
		const probes, catalogue, empty = 4, 1, 1
		pages := (tags + 199) / 200
		if asked := warm.requests(""); z.asked != pages || asked != probes+catalogue+pages+empty {
			t.Errorf("%d tags: %d pages, %d requests: %s", tags, z.asked, asked, warm.log)
		}
		if warm.requests("HEAD") > 0 {
			t.Error("tags are asked for one by one")
		}
		plain := open(t, &server{model: m, pageSize: 1000}, nil)
		if want := readAll(t, plain, knowing(m)); !slices.Equal(got, want) {
			t.Errorf("%d tags: zot has %d rows, the plain way %d", tags, len(got), len(want))
		}
		cold := open(t, &zot{server: &server{model: m, pageSize: 1000}}, nil)
		got = readAll(t, cold, nothing{})
		if want := readAll(t, open(t, &server{model: m, pageSize: 1000}, nil), nothing{}); !slices.Equal(got, want) {
			t.Errorf("%d tags, cold: the rows differ", tags)
		}
		if digests := len(knowing(m).facts); cold.requests("GET /v2/team") != digests+empty {
			t.Errorf("%d manifests were read, want each of %d once", cold.requests("GET /v2/team"), digests)
		}
	}
}

// Whatever is not as it has to be leads to the plain way, and to the same rows.
func TestZotFallback(t *testing.T) {
	t.Parallel()
	m := fleet(20)
	want := readAll(t, open(t, &server{model: m, pageSize: 1000}, nil), knowing(m))
	list := func(a *searched) *found { return a.Data["ImageList"] }
	for name, change := range map[string]func(*zot){
		"no search extension": func(z *zot) { z.status = http.StatusNotFound },
		"unknown query":       func(z *zot) { z.status = http.StatusUnprocessableEntity },
		"forbidden":           func(z *zot) { z.status = http.StatusForbidden },
		"errors":              func(z *zot) { z.spoil = func(_ int, a *searched) { a.Errors = []map[string]string{{"message": "no"}} } },
		"no data":             func(z *zot) { z.spoil = func(_ int, a *searched) { a.Data = nil } },
		"no page":             func(z *zot) { z.spoil = func(_ int, a *searched) { list(a).Page = nil } },
		"another total": func(z *zot) {
			z.spoil = func(n int, a *searched) { list(a).Page.TotalCount += n }
		},
		"a count too high": func(z *zot) { z.spoil = func(_ int, a *searched) { list(a).Page.ItemCount++ } },
		"a row missing": func(z *zot) {
			z.spoil = func(_ int, a *searched) {
				list(a).Results, list(a).Page.ItemCount = list(a).Results[1:], list(a).Page.ItemCount-1
			}
		},
		"a row moved between pages": func(z *zot) {
			z.spoil = func(n int, a *searched) {
				if n == 2 {
					list(a).Results[0]["Tag"] += "x"
				}
			}
		},
		"a row twice": func(z *zot) {
			z.spoil = func(_ int, a *searched) { list(a).Results[7] = list(a).Results[6] }
		},
		"no digest": func(z *zot) { z.spoil = func(_ int, a *searched) { delete(list(a).Results[5], "Digest") } },
		"no name":   func(z *zot) { z.spoil = func(_ int, a *searched) { delete(list(a).Results[0], "RepoName") } },
		"no tag":    func(z *zot) { z.spoil = func(_ int, a *searched) { list(a).Results[0]["Tag"] = "" } },
		"no order": func(z *zot) {
			z.spoil = func(_ int, a *searched) { slices.Reverse(list(a).Results) }
		},
	} {
		z := &zot{server: &server{model: m, pageSize: 1000}}
		change(z)
		r := open(t, z, nil)
		if got := readAll(t, r, knowing(m)); !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d", name, len(got), len(want))
		}
		if r.requests("HEAD") != len(want) || z.asked == 0 || z.asked > 2 {
			t.Errorf("%s: %d tags were asked for, %d pages", name, r.requests("HEAD"), z.asked)
		}
	}
}

// The list of all tags is not fetched for a test of the registry, for a few
// repositories of many, or within a scope.
func TestZotNotWorth(t *testing.T) {
	t.Parallel()
	m := fleet(70) // 4,900 tags, 25 pages
	for name, c := range map[string]struct {
		announce []string
		scope    []string
		pages    int
	}{
		"a test":            {nil, nil, 0},
		"two repositories":  {[]string{"team/app-000", "team/app-001"}, nil, 1},
		"ten repositories":  {make([]string, 10), nil, 25},
		"a scope":           {make([]string, 70), []string{"team"}, 0},
		"all repositories ": {make([]string, 70), nil, 25},
	} {
		z := &zot{server: &server{model: m, pageSize: 1000}}
		r := open(t, z, func(config *connector.Config) { config.Scope = c.scope })
		if _, err := r.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.announce != nil {
			r.Source.(connector.Announcer).Announce(c.announce)
		}
		if _, rows, err := images(t, r, "team/app-000", knowing(m)); err != nil || len(rows) != 70 || z.asked != c.pages {
			t.Errorf("%s: %d rows, %v, %d pages, want %d", name, len(rows), err, z.asked, c.pages)
		}
	}
}

// zot does not list signatures there; images are the same.
func TestZotSignatures(t *testing.T) {
	t.Parallel()
	m := fleet(5)
	signed := connectortest.NewImage("signed", "1.0")
	m.Add("team/app-000", signed, connectortest.NewSignature(signed.Digest))
	images := func(rows []string) []string {
		return slices.DeleteFunc(rows, func(row string) bool { return strings.Contains(row, ".sig") })
	}
	got := images(readAll(t, open(t, &zot{server: &server{model: m, pageSize: 1000}}, nil), nothing{}))
	want := images(readAll(t, open(t, &server{model: m, pageSize: 1000}, nil), nothing{}))
	if !slices.Equal(got, want) || len(got) != 26 {
		t.Errorf("%d images, the plain way has %d", len(got), len(want))
	}
}

// A tag that was moved or deleted after it was listed is asked for itself.
func TestZotMoved(t *testing.T) {
	t.Parallel()
	m := fleet(3)
	z := &zot{server: &server{model: m, pageSize: 1000}}
	r := open(t, z, nil)
	if _, err := r.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Source.(connector.Announcer).Announce(make([]string, 3))
	if _, _, err := images(t, r, "team/app-000", nothing{}); err != nil {
		t.Fatal(err)
	}
	old, _ := m.Repository("team/app-001")
	for _, image := range old.Images {
		m.Remove("team/app-001", image.Digest)
	}
	moved := connectortest.NewImage("moved", "latest")
	m.Add("team/app-001", moved)
	l, rows, err := images(t, r, "team/app-001", nothing{})
	if err != nil || len(rows) != 1 || rows[0].Digest != moved.Digest || rows[0].Err != nil || l.Listed != 1 {
		t.Errorf("%d listed, %+v, %v", l.Listed, rows, err)
	}
}
