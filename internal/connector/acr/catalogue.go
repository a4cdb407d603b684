package acr

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// Repositories implements connector.Source. The list is read to its end before
// its first entry is told: it is short (5,000 at most), and begins again if it
// changed meanwhile. It is told by path, which is the cursor.
func (s *source) Repositories(ctx context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		list, err := s.catalogue(ctx)
		var paths []string
		for _, r := range list {
			if r.Path > after {
				paths = append(paths, r.Path)
			}
		}
		s.Announce(paths)
		for _, r := range list {
			if r.Path > after && !yield(r, nil) {
				return
			}
		}
		if err != nil {
			yield(connector.Repository{}, err)
		}
	}
}

// catalogue answers all repositories in the scope, by path. A namespace that
// does not exist fails it, but only after the others: it may be a slip of the
// pen, and an empty list would look as if all were well.
func (s *source) catalogue(ctx context.Context) ([]connector.Repository, error) {
	e, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	names := s.namespaces()
	if len(names) == 0 {
		names = []string{""} // all
	}
	var list []connector.Repository
	var missing error
	for _, namespace := range names {
		part, err := s.namespace(ctx, e, namespace)
		if isNoNamespace(err) {
			missing = err
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	slices.SortFunc(list, func(a, b connector.Repository) int { return strings.Compare(a.Path, b.Path) })
	return list, missing
}

// namespace answers the repositories of one namespace, of all for "".
func (s *source) namespace(ctx context.Context, e edition, namespace string) ([]connector.Repository, error) {
	for range maxWalks {
		var list []connector.Repository
		w := walk[repositoryEntry]{
			read: func(ctx context.Context, n int) (page[repositoryEntry], error) {
				return e.repositories(ctx, namespace, n, pageSize)
			},
			key:   repositoryEntry.path,
			limit: maxCatalogue,
			visit: func(entry repositoryEntry, _ place) error {
				r, ok, err := s.repository(entry)
				if ok {
					list = append(list, r)
				}
				return err
			},
		}
		if err := w.run(ctx, place{}); !errors.Is(err, errChanged) {
			return list, err
		}
	}
	return nil, truncated(s.config.BaseURL.Host, "listing the repositories")
}

// repository turns an entry into one of the contract; false for one that is
// being deleted or is not in the scope.
func (s *source) repository(e repositoryEntry) (connector.Repository, bool, error) {
	path := e.path()
	if path == "" || !portolan.Printable(path) {
		return connector.Repository{}, false, connector.Errorf(portolan.ServerFailure, "%s lists a repository whose name cannot be used.", s.config.BaseURL.Host)
	}
	if going(e.Status) || !portolan.InScope(path, s.config.Scope) {
		return connector.Repository{}, false, nil
	}
	return connector.Repository{Path: path, Expect: -1, Fingerprint: e.fingerprint(), Visibility: e.visibility(), Cursor: path}, true, nil
}
