package quay

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/url"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// errStop ends a walk because the consumer wants no more.
var errStop = errors.New("stop")

// Repositories lists one organisation after the other by name, each in the
// order in which its repositories were made. Pages begin at a repository, not
// at a number, so that nothing shifts.
func (s *source) Repositories(ctx context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		l := &lister{source: s, yield: yield}
		if err := l.list(ctx, after); err != nil && !errors.Is(err, errStop) {
			yield(connector.Repository{}, err)
		}
	}
}

// listing is the call for a page of an organisation's repositories. Public
// repositories must be asked for: without that, those are left out which the
// token's user was not given a right to (data/model/repository.py).
func listing(o organisation, page string) call {
	query := url.Values{"namespace": {o.name}, "public": {"true"}, "last_modified": {"true"}}
	if page != "" {
		query.Set("next_page", page)
	}
	return call{path: "repository", query: query, doing: "listing the repositories of " + o.name}
}

// lister hands on one catalogue.
type lister struct {
	*source
	yield func(connector.Repository, error) bool
}

// list lists the organisations from the cursor on. One that cannot be read
// fails the catalogue, but only after the others are listed.
func (l *lister) list(ctx context.Context, after string) error {
	if len(l.organisations) == 0 {
		return l.nothingToRead()
	}
	reached, page, _ := strings.Cut(after, " ")
	var failed error
	for _, o := range l.organisations {
		if o.name < reached {
			continue
		}
		from := ""
		if o.name == reached {
			from = page
		}
		err := l.organisation(ctx, o, from)
		if c := connector.ClassOf(err); err != nil && c != portolan.Forbidden && c != portolan.CannotEnumerate {
			return err
		}
		failed = cmp.Or(failed, err)
	}
	return failed
}

// organisation lists one organisation from a page on.
func (l *lister) organisation(ctx context.Context, o organisation, page string) error {
	begun := page == ""
	given, pages := map[string]struct{}{}, map[string]struct{}{}
	for range maxPages {
		a, err := l.page(ctx, o, page)
		if err != nil {
			return err
		}
		if page == "" {
			if err := l.mayRead(ctx, o, a.Repositories.value); err != nil {
				return err
			}
		}
		if err := l.visit(o, a.Repositories.value, page, given); err != nil {
			return err
		}
		pages[page] = struct{}{}
		page = a.NextPage
		if page == "" {
			if begun && len(given) == 0 {
				return l.exists(ctx, o)
			}
			return nil
		}
		if _, circle := pages[page]; circle {
			return l.truncated(listing(o, page), "leads in a circle")
		}
	}
	return l.truncated(listing(o, page), "has no end")
}

func (l *lister) page(ctx context.Context, o organisation, page string) (repositoryList, error) {
	var a repositoryList
	c := listing(o, page)
	err := l.get(ctx, o, c, connector.MaxList, &a)
	if err == nil && !a.Repositories.there {
		err = l.unexpected(c)
	}
	return a, err
}

// visit hands on the repositories of a page.
func (l *lister) visit(o organisation, entries []repositoryEntry, page string, given map[string]struct{}) error {
	for i := range entries {
		e := &entries[i]
		if e.Namespace != o.name || e.Name == "" {
			return l.unexpected(listing(o, page))
		}
		path := e.path()
		if _, twice := given[path]; twice {
			continue
		}
		given[path] = struct{}{}
		if !e.image() || !portolan.InScope(path, l.scope) {
			continue
		}
		r := connector.Repository{Path: path, Expect: -1, Fingerprint: e.fingerprint(), Visibility: e.visibility(), Cursor: o.name + " " + page}
		if !l.yield(r, nil) {
			return errStop
		}
	}
	return nil
}

// mayRead asks for the first private repository of a list: Quay lists for any
// token of a user who may read, and looks at the token's scope only when a
// repository is read. It is better found out here than at every repository.
func (l *lister) mayRead(ctx context.Context, o organisation, entries []repositoryEntry) error {
	for i := range entries {
		e := &entries[i]
		if o.token == "" || !e.private() || !e.image() || !portolan.InScope(e.path(), l.scope) {
			continue
		}
		path, err := l.repository(e.path())
		if err != nil {
			continue // its own listing says so
		}
		c := call{path: path, query: url.Values{"includeTags": {"false"}}, doing: "reading private repositories"}
		err = l.get(ctx, o, c, connector.MaxList, &repositoryEntry{})
		if errors.Is(err, connector.ErrNotExist) { // it went meanwhile
			return nil
		}
		return err
	}
	return nil
}

// exists asks whether an organisation that lists nothing is there at all, as
// one or as a user: the name may be a slip of the pen, and Quay answers an
// empty list for it.
func (l *lister) exists(ctx context.Context, o organisation) error {
	for _, kind := range []string{"organization", "users"} {
		var about struct{}
		c := call{path: kind + "/" + url.PathEscape(o.name), doing: "looking for the organisation " + o.name}
		err := l.get(ctx, o, c, connector.MaxList, &about)
		if err != nil && connector.ClassOf(err) == portolan.Forbidden {
			return nil // what may not be asked cannot be doubted
		}
		if !errors.Is(err, connector.ErrNotExist) {
			return err
		}
	}
	return connector.Errorf(portolan.CannotEnumerate, "%s has no organisation or user %q.", l.base.Host, o.name).
		WithRemedy("Correct the namespaces and auth tokens of the registry: Quay's names are in lower case.")
}
