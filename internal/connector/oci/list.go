package oci

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"

	"portolan"
	"portolan/internal/connector"
)

const (
	// pageSize is asked for first; distribution refuses it where its maximum
	// is lower (PAGINATION_NUMBER_INVALID), and so did Quay (413).
	pageSize      = 1_000
	smallPageSize = 100
	// maxStale is how many pages in a row may bring nothing new before the
	// list is believed to lead in a circle.
	maxStale = 3
	// maxNames bounds one page; what ignores paging answers all at once.
	maxNames = 1_000_000
)

// list is the walk through a paged list of names. Pages follow Link; where
// there is none, a page as long as asked for is followed by the one after its
// last name.
type list struct {
	doer  connector.Doer
	first *url.URL
	of    func(*listAnswer) (names, bool)
	size  *atomic.Int64
	seen  map[string]bool
	links map[string]bool
	stale int
}

// names is a list that may be null, but must be there.
type names struct {
	there bool
	list  []string
}

func (n *names) UnmarshalJSON(b []byte) error {
	if bytes.Count(b, []byte(",")) > maxNames {
		return fmt.Errorf("more than %d names", maxNames)
	}
	n.there = true
	return json.Unmarshal(b, &n.list)
}

// listAnswer is the answer of _catalog and of tags/list.
type listAnswer struct {
	Name         string `json:"name"`
	Tags         names  `json:"tags"`
	Repositories names  `json:"repositories"`
}

func catalogNames(a *listAnswer) (names, bool) { return a.Repositories, a.Repositories.there }

// tagNames takes an answer that names the repository and no tags for a
// repository without any.
func tagNames(a *listAnswer) (names, bool) { return a.Tags, a.Tags.there || a.Name != "" }

func newList(d connector.Doer, first *url.URL, size *atomic.Int64, of func(*listAnswer) (names, bool)) *list {
	return &list{doer: d, first: first, of: of, size: size, seen: map[string]bool{}, links: map[string]bool{}}
}

// pages yields the names that are new, page by page, starting after a name.
func (l *list) pages(ctx context.Context, after string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		u := l.page(after)
		for u != nil {
			all, header, err := l.get(ctx, u, after)
			if err != nil {
				yield(nil, err)
				return
			}
			fresh := l.unseen(all)
			if len(fresh) > 0 && !yield(fresh, nil) {
				return
			}
			if u, err = l.next(u, all, fresh, header); err != nil {
				yield(nil, err)
				return
			}
			after = ""
		}
	}
}

// page is the address of the page after a name.
func (l *list) page(after string) *url.URL {
	u := *l.first
	query := url.Values{"n": {strconv.FormatInt(l.size.Load(), 10)}}
	if after != "" {
		query.Set("last", after)
	}
	u.RawQuery = query.Encode()
	return &u
}

// get reads one page. The first one finds out which page size is accepted.
func (l *list) get(ctx context.Context, u *url.URL, after string) ([]string, http.Header, error) {
	var answer listAnswer
	header, err := connector.GetJSON(ctx, l.doer, u, nil, connector.MaxList, &answer)
	if status, ok := errors.AsType[*connector.StatusError](err); ok && len(l.links) == 0 && l.size.Load() > smallPageSize &&
		(status.Status == http.StatusBadRequest || status.Status == http.StatusRequestEntityTooLarge) {
		l.size.Store(smallPageSize)
		*u = *l.page(after)
		answer = listAnswer{}
		header, err = connector.GetJSON(ctx, l.doer, u, nil, connector.MaxList, &answer)
	}
	if err != nil {
		return nil, nil, err
	}
	found, ok := l.of(&answer)
	if !ok {
		return nil, nil, connector.Errorf(portolan.ServerFailure, "%s answered JSON without the list that was asked for.", u.Host)
	}
	return found.list, header, nil
}

// unseen answers the names of a page that no earlier one had.
func (l *list) unseen(all []string) []string {
	fresh := all[:0:0]
	for _, name := range all {
		if !l.seen[name] {
			l.seen[name] = true
			fresh = append(fresh, name)
		}
	}
	return fresh
}

// next answers the address of the next page, nil at the end of the list.
func (l *list) next(u *url.URL, all, fresh []string, h http.Header) (*url.URL, error) {
	link, err := connector.NextLink(u, h)
	if err != nil {
		return nil, err
	}
	l.links[u.String()] = true
	if link == nil {
		if len(fresh) > 0 && int64(len(all)) == l.size.Load() {
			return l.page(all[len(all)-1]), nil
		}
		return nil, nil
	}
	l.stale++
	if len(fresh) > 0 {
		l.stale = 0
	}
	if l.links[link.String()] || l.stale > maxStale {
		return nil, &connector.Error{
			Class: portolan.ServerFailure, Err: connector.ErrTruncated,
			Message: u.Host + " leads in a circle instead of to the end of its list.",
		}
	}
	return link, nil
}
