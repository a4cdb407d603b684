package acr_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"portolan/internal/connector/acr"
	"portolan/internal/connector/acr/acrtest"
	"portolan/internal/connector/connectortest"
)

// TestSource runs the suite of all sources for both editions, and for either
// order of tags: it is not documented.
func TestSource(t *testing.T) {
	t.Parallel()
	for name, instance := range editions {
		for order, newest := range map[string]bool{"oldest first": false, "newest first": true} {
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				connectortest.Suite{
					Open: acr.Open, PageSize: 4, Accessories: true, User: keyID,
					Serve: func(_ testing.TB, m *connectortest.Model) http.Handler { return serve(m, instance, newest) },
				}.Run(t)
			})
		}
	}
}

// serve shows at each request what the suite's model holds then.
func serve(m *connectortest.Model, instance string, newest bool) http.Handler {
	fake := acrtest.New(acrtest.Model{
		Instance: instance, Keys: []acrtest.Key{{ID: keyID, Secret: connectortest.Credential.Password}},
		MaxPage: 4, NewestFirst: newest, Now: func() time.Time { return noon },
	})
	var mu sync.Mutex
	var shown []connectortest.Repository
	fake.Before(func(int, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if now := m.Repositories(); !slices.EqualFunc(shown, now, same) {
			shown = now
			fake.Update(func(held *acrtest.Model) { convert(held, now) })
		}
	})
	return fake
}

// same is enough to see what the suite does: it adds at the end of a repository
// and removes the first image.
func same(a, b connectortest.Repository) bool {
	return a.Path == b.Path && len(a.Images) == len(b.Images) && (len(a.Images) == 0 || a.Images[0].Digest == b.Images[0].Digest)
}

func convert(held *acrtest.Model, repositories []connectortest.Repository) {
	held.Repositories, held.Manifests = nil, map[string]acrtest.Manifest{}
	for _, r := range repositories {
		repository := acrtest.Repository{Path: r.Path}
		for _, image := range r.Images {
			for _, tag := range image.Tags {
				repository.Tags = append(repository.Tags, pushed(held, image, tag))
			}
		}
		held.Repositories = append(held.Repositories, repository)
	}
}
