package oci

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// Repositories implements connector.Source. Where the registry does not list
// repositories (404, 405, 401, 403) and the scope names some, those are read.
func (s *source) Repositories(ctx context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		began, err := s.catalog(ctx, after, yield)
		if after != "" && !began && refusesCursor(err) {
			// The repository may be gone, and some registries know no place
			// after a name that they do not have. A path may come twice.
			began, err = s.catalog(ctx, "", yield)
		}
		if !began && unavailable(err) {
			err = s.scopeOnly(after, err, yield)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(connector.Repository{}, err)
		}
	}
}

// Announce implements connector.Announcer.
func (s *source) Announce(paths []string) {
	s.search.announced.Add(int64(len(paths)))
	s.auth.Announce(paths)
}

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

// catalog yields the registry's own list. It tells whether the list began:
// one that did is available, and nothing takes its place.
func (s *source) catalog(ctx context.Context, after string, yield func(connector.Repository, error) bool) (began bool, err error) {
	l := newList(s.auth.Catalog(), s.address("", "_catalog"), &s.catalogPage, catalogNames)
	for page, err := range l.pages(ctx, after) {
		if err != nil {
			return began, err
		}
		began = true
		page = slices.DeleteFunc(page, func(p string) bool { return !portolan.InScope(p, s.scope) })
		if err := s.yieldAll(page, yield); err != nil {
			return began, err
		}
	}
	return began, nil
}

func (s *source) yieldAll(paths []string, yield func(connector.Repository, error) bool) error {
	s.auth.Announce(paths)
	for _, path := range paths {
		if !portolan.Printable(path) {
			return connector.Errorf(portolan.ServerFailure, "%s lists a repository whose name has control characters.", s.base.Host)
		}
		if !yield(connector.Repository{Path: path, Expect: -1, Cursor: path}, nil) {
			return errStopped
		}
	}
	return nil
}

func statusOf(err error) int {
	if status, ok := errors.AsType[*connector.StatusError](err); ok {
		return status.Status
	}
	return 0
}

func refusesCursor(err error) bool {
	status := statusOf(err)
	return status == http.StatusBadRequest || status == http.StatusNotFound
}

func unavailable(err error) bool {
	switch statusOf(err) {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnauthorized, http.StatusForbidden:
		return true
	}
	return false
}

// scopeOnly takes the entries of the scope for repositories.
func (s *source) scopeOnly(after string, cause error, yield func(connector.Repository, error) bool) error {
	if len(s.scope) == 0 {
		return &connector.Error{
			Class: portolan.CannotEnumerate, Err: cause,
			Message: s.base.Host + " does not list its repositories for this account.",
			Remedy:  "Name the repositories in ExtraParam (repositories), or use an account that may list them.",
		}
	}
	paths := make([]string, 0, len(s.scope))
	for _, p := range s.scope {
		if p = strings.Trim(p, "/"); p > after {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return s.yieldAll(slices.Compact(paths), yield)
}
