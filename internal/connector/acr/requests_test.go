package acr_test

import (
	"fmt"
	"strings"
	"testing"

	"portolan/internal/connector"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// readAll reads a registry as the engine does and answers the number of rows
// and of manifests.
func readAll(t *testing.T, s connector.Source, known *connectortest.Memory) (rows, manifests int) {
	t.Helper()
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := connectortest.Repositories(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		l := &connector.Listing{Repository: r, Known: known}
		got, err := images(t, s, l)
		if err != nil {
			t.Fatal(err)
		}
		if l.Listed != len(got) || l.Announced != len(got) {
			t.Errorf("%s: %d rows, %d listed, %d announced", r.Path, len(got), l.Listed, l.Announced)
		}
		known.Learn(got...)
		rows, manifests = rows+len(got), manifests+l.ManifestsRead
	}
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rows, manifests
}

func pages(entries int) int { return max(1, (entries+99)/100) }

// The number of requests is what a reading costs. Unchanged: one to the
// registry, one of proof before and after, the pages of repositories and those
// of each repository's tags. A first reading also asks for a login, once
// without a token, for a token for every twenty repositories, and for each
// manifest.
func TestRequestCounts(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		for _, tt := range []struct{ repositories, tags int }{{0, 0}, {1, 1}, {40, 3}, {3, 250}, {1_000, 2}} {
			t.Run(fmt.Sprint(edition, " ", tt.repositories, "x", tt.tags), func(t *testing.T) {
				t.Parallel()
				counts := map[string]int{}
				for i := range tt.repositories {
					counts[fmt.Sprintf("team/r%04d", i)] = tt.tags
				}
				fake := acrtest.New(model(instance, counts))
				all := tt.repositories * tt.tags
				unchanged := 3 + pages(tt.repositories) + tt.repositories*pages(tt.tags)
				cold := unchanged + all
				if all > 0 { // the challenge, the login, the tokens
					cold += 1 + 1 + (tt.repositories+19)/20
				}
				known := &connectortest.Memory{}
				if rows, manifests := readAll(t, open(t, fake), known); rows != all || manifests != all {
					t.Errorf("%d rows and %d manifests, want %d", rows, manifests, all)
				}
				if got := len(fake.Requests()); got != cold {
					t.Errorf("cold: %d requests, want %d", got, cold)
				}
				fake.Reset()
				if rows, manifests := readAll(t, open(t, fake), known); rows != all || manifests != 0 {
					t.Errorf("unchanged: %d rows and %d manifests, want %d and none", rows, manifests, all)
				}
				if got := len(fake.Requests()); got != unchanged {
					t.Errorf("unchanged: %d requests, want %d", got, unchanged)
				}
				for _, r := range fake.Requests() {
					mustBePolite(t, r)
				}
			})
		}
	}
}

// mustBePolite checks what holds of every request: the access key's id goes to
// the API alone, and its secret nowhere.
func mustBePolite(t *testing.T, r acrtest.Request) {
	t.Helper()
	all := fmt.Sprint(r)
	if strings.Contains(all, secret) {
		t.Errorf("the secret was sent to %s", r.Host)
	}
	if strings.Contains(all, keyID) != (r.Host == acrtest.APIHost) {
		t.Errorf("%s%s: the access key is for the API alone", r.Host, r.Path)
	}
}

// A digest that is in many places is read once.
func TestOneManifestForEachDigest(t *testing.T) {
	t.Parallel()
	for edition, instance := range editions {
		t.Run(edition, func(t *testing.T) {
			t.Parallel()
			m := model(instance, nil)
			for i := range 5 {
				r := acrtest.Repository{Path: fmt.Sprintf("team/r%d", i)}
				for j := range 5 {
					r.Tags = append(r.Tags, tagged(&m, "the same", fmt.Sprintf("v%d", j)))
				}
				m.Repositories = append(m.Repositories, r)
			}
			fake := acrtest.New(m)
			rows, manifests := readAll(t, open(t, fake), &connectortest.Memory{})
			if rows != 25 || manifests != 1 {
				t.Errorf("%d rows and %d manifests, want 25 and 1", rows, manifests)
			}
		})
	}
}
