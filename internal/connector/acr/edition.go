package acr

import (
	"context"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// edition is one of the two products with an API of its own.
type edition interface {
	name() string
	// repositories answers a page of the repositories of a namespace, "" for
	// all of the instance.
	repositories(ctx context.Context, namespace string, n, size int) (page[repositoryEntry], error)
	// locate finds what tags needs of a repository.
	locate(ctx context.Context, r connector.Repository) (repositoryID, error)
	// tags answers a page of the tags of a repository.
	tags(ctx context.Context, r repositoryID, n int) (page[tagEntry], error)
	// login asks for a user name and a password for the registry side.
	login(ctx context.Context) (temporary, error)
}

// repositoryID names a repository in calls: by id in Enterprise Edition, by
// path in Personal.
type repositoryID struct{ path, id string }

// temporary is a login for the registry side, until it ends.
type temporary struct {
	credential portolan.Credential
	until      time.Time
}

// page is one page of a list.
type page[T any] struct {
	number int
	items  []T
	total  int
	// size is what the registry says a page holds, however many were asked for.
	size int
	// date is when it was answered, by the clock of the API.
	date time.Time
}

// last reports whether nothing follows.
func (p page[T]) last() bool { return len(p.items) == 0 || p.number*p.size >= p.total }

// newPage checks what a page says of itself.
func newPage[T any](items []T, n int, total, size number) (page[T], bool) {
	p := page[T]{number: n, items: items, total: total.count(), size: size.count()}
	if p.size <= 0 {
		p.size = pageSize
	}
	return p, p.total >= 0
}

// pageOf gets a page: read answers what get decoded.
func pageOf[T any](ctx context.Context, a *api, c call, n int, into answer, read func() (items []T, total, size number)) (page[T], error) {
	date, err := a.get(ctx, c, into)
	if err != nil {
		return page[T]{}, err
	}
	items, total, size := read()
	p, ok := newPage(items, n, total, size)
	if p.date = date; !ok {
		return p, a.malformed(c)
	}
	return p, nil
}

const (
	needsRepositories = "cr:ListRepository"
	needsTags         = "cr:ListRepositoryTag"
	needsLogin        = "cr:GetAuthorizationToken"
	needsPull         = "cr:PullRepository"
)

// find answers the edition, which the registry is asked for once.
func (s *source) find(ctx context.Context) (edition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.edition != nil {
		return s.edition, nil
	}
	found, err := discover(ctx, s.config.Client, s.config.BaseURL)
	if err != nil {
		return nil, err
	}
	a := &api{client: s.apiClient(), host: found.apiHost(s.config.BaseURL), key: s.key, now: s.config.Now, slow: s.config.Slow}
	if found.instance != "" {
		a.version = "2018-12-01"
		s.edition = &enterprise{api: a, instance: found.instance}
	} else {
		a.version = "2016-06-07"
		s.edition = &personal{api: a}
	}
	return s.edition, nil
}

// namespaceOf is all before the last slash of a path.
func namespaceOf(path string) (namespace, name string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}

// malformed is the error of a list that does not say how long it is.
func (a *api) malformed(c call) error {
	return connector.Errorf(portolan.ServerFailure, "%s does not announce a usable total when %s.", a.host, c.doing)
}
