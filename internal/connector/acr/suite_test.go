package acr_test

import (
	"net/http"
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
	fake.Before(m.Follow(func(now []connectortest.Repository) {
		fake.Update(func(held *acrtest.Model) { convert(held, now) })
	}))
	return fake
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
