package quay_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay"
	"portolan/internal/connector/quay/quaytest"
)

// perPage is how many repositories a page has here, so that the suite needs
// fewer of them than Quay's pages have.
const perPage = 10

// TestSource runs the suite of all sources, once with every list of tags in
// one answer and once page by page.
func TestSource(t *testing.T) {
	t.Parallel()
	for name, tags := range map[string]int{"AtOnce": 0, "ByPage": perPage} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Suite{
				Open:     func(c connector.Config) (connector.Source, error) { return openNamed(c, tags) },
				Serve:    func(_ testing.TB, m *connectortest.Model) http.Handler { return serve(m, tags) },
				PageSize: perPage, Accessories: true,
			}.Run(t)
		})
	}
}

// named is a source that tells the user whom the suite knows: Quay's tokens
// have no names.
type named struct {
	connector.Source
	user string
}

func (n named) Probe(ctx context.Context) (connector.Probe, error) {
	p, err := n.Source.Probe(ctx)
	p.Identity = n.user
	return p, err
}

// openNamed opens a source with the suite's password as the token of each
// organisation.
func openNamed(c connector.Config, tags int) (connector.Source, error) {
	user := c.Credential.UserName
	c.Credential = portolan.Credential{AuthTokens: map[string]string{"team": c.Credential.Password, "3": c.Credential.Password}}
	s, err := quay.Open(c)
	if tags > 0 {
		s, err = quay.OpenPaged(c, tags)
	}
	return named{s, user}, err
}

// serve shows at each request what the suite's model holds then.
func serve(m *connectortest.Model, tags int) http.Handler {
	fake := quaytest.New(quaytest.Model{PerPage: perPage, MaxTags: tags, Tokens: []quaytest.Token{{
		Secret: connectortest.Credential.Password, Scopes: []string{"repo:read"}, Admin: []string{"team", "3"},
	}}})
	fake.Before(m.Follow(func(now []connectortest.Repository) {
		fake.Update(func(held *quaytest.Model) { held.Namespaces = convert(now) })
	}))
	return fake
}

func convert(repositories []connectortest.Repository) []quaytest.Namespace {
	var list []quaytest.Namespace
	for i, r := range repositories { // sorted, so those of a namespace are together
		namespace, name, _ := strings.Cut(r.Path, "/")
		if len(list) == 0 || list[len(list)-1].Name != namespace {
			list = append(list, quaytest.Namespace{Name: namespace})
		}
		held := quaytest.Repository{ID: i + 1, Name: name, Public: i%2 == 0, Manifests: map[string]quaytest.Manifest{}}
		if strings.HasSuffix(name, "new") { // what is made later comes last
			held.ID += len(repositories)
		}
		for _, image := range r.Images {
			held.Manifests[string(image.Digest)] = quaytest.Manifest{MediaType: image.MediaType, Data: string(image.Manifest)}
			for _, tag := range image.Tags {
				held.Tags = append(held.Tags, quaytest.Tag{Name: tag, Digest: string(image.Digest)})
			}
		}
		n := &list[len(list)-1]
		n.Repositories = append(n.Repositories, held)
	}
	return list
}
