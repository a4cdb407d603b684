package oci

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// zot's search extension answers, by GraphQL, all tags of all repositories with
// their digests (pkg/extensions/search of zot: ImageList with an empty repo).
// That takes the place of one list of tags for each repository and one HEAD for
// each tag. What manifests say is not taken from there: the extension tells
// neither subjects nor the media types of layers, so that it cannot prove what
// is an image, and manifests are read once all the same. It leaves out tags of
// signatures and of the referrers fallback, which are no images, and images
// whose manifest or configuration its storage has lost.
const (
	// searchPage is how far one page is from the next. A page has one row more:
	// the first of the next, so that nothing is missed where rows move.
	searchPage = 200
	// maxSearched is the largest registry of which all tags are kept in memory.
	maxSearched = 100_000
	// searchTime is how long the pages may take before the plain way is gone.
	searchTime = 5 * time.Second
	// worthPages is how many pages may be read for a repository that is to be
	// listed: for a few, the plain way is shorter.
	worthPages = 10
)

// search has the tags that zot's search extension listed.
type search struct {
	// announced is how many repositories the engine is about to list, 0 if it
	// only tries the source.
	announced atomic.Int64
	loading   chan struct{} // holds one while the fields below are used
	done      bool
	tags      map[string]tagList // by repository; nil if the plain way is gone
}

// tagList is the tags of a repository with their digests, in their order.
type tagList struct {
	names   []string
	digests map[string]portolan.Digest
}

// searched answers the tags of a repository as the search extension lists
// them, false if they are to be listed in the plain way: elsewhere than at zot,
// without the extension, for a repository of which it knows nothing, and where
// anything about its answer is not as it has to be.
func (s *source) searched(ctx context.Context, path string) (tagList, bool, error) {
	product := s.product.Load()
	if product == nil || product.name != productZot || s.search.announced.Load() == 0 || len(s.scope) > 0 {
		return tagList{}, false, nil
	}
	select {
	case s.search.loading <- struct{}{}:
		defer func() { <-s.search.loading }()
	case <-ctx.Done():
		return tagList{}, false, context.Cause(ctx)
	}
	if !s.search.done {
		tags, err := s.searchAll(ctx)
		if _, throttled := errors.AsType[*connector.ThrottledError](err); throttled || ctx.Err() != nil {
			return tagList{}, false, err
		}
		s.search.done = true
		if err == nil {
			s.search.tags = tags
		}
	}
	list, ok := s.search.tags[path]
	return list, ok, nil
}

// errSearch says why the search extension's answer is not used.
var errSearch = errors.New("the list of the search extension is not used")

// searchAll reads all pages.
func (s *source) searchAll(ctx context.Context) (map[string]tagList, error) {
	started, w := s.now(), &searchWalk{tags: map[string]tagList{}}
	for !w.over() {
		var answer searchAnswer
		u := s.searchAddress(w.next)
		if _, err := connector.GetJSON(ctx, s.auth.Catalog(), u, nil, connector.MaxList, &answer); err != nil {
			return nil, err
		}
		if err := w.take(&answer); err != nil {
			return nil, err
		}
		worth := s.search.announced.Load() * worthPages * searchPage
		if w.total > maxSearched || int64(w.total) > worth || !w.over() && s.now().Sub(started) > searchTime {
			return nil, fmt.Errorf("%w: it is too long", errSearch)
		}
	}
	return w.tags, nil
}

func (s *source) searchAddress(offset int) *url.URL {
	u := s.address("_zot/ext/", "search")
	u.RawQuery = url.Values{"query": {fmt.Sprintf(
		`{ImageList(repo:"",requestedPage:{limit:%d,offset:%d,sortBy:ALPHABETIC_ASC}){Page{TotalCount ItemCount} Results{RepoName Tag Digest}}}`,
		searchPage+1, offset)}}.Encode()
	return u
}

// searchAnswer is a page. What is absent stays nil or empty.
type searchAnswer struct {
	Errors []struct{} `json:"errors"`
	Data   struct {
		ImageList *struct {
			Page *struct {
				TotalCount, ItemCount int
			}
			Results []searchRow
		}
	} `json:"data"`
}

type searchRow struct{ RepoName, Tag, Digest string }

// searchWalk takes the pages, in order, and believes them only as long as all
// is as it has to be.
type searchWalk struct {
	tags  map[string]tagList
	begun bool
	total int
	taken int
	next  int // the offset of the next page
	last  searchRow
}

func (w *searchWalk) over() bool { return w.begun && w.taken == w.total }

func (w *searchWalk) take(a *searchAnswer) error {
	list := a.Data.ImageList
	if len(a.Errors) > 0 || list == nil || list.Page == nil {
		return fmt.Errorf("%w: it is none", errSearch)
	}
	rows := list.Results
	if !w.begun {
		w.begun, w.total = true, list.Page.TotalCount
	}
	left := w.total - w.next
	if list.Page.TotalCount != w.total || list.Page.ItemCount != len(rows) || len(rows) != min(left, searchPage+1) {
		return fmt.Errorf("%w: its totals do not match", errSearch)
	}
	if w.next > 0 {
		if rows[0] != w.last {
			return fmt.Errorf("%w: it changed between two pages", errSearch)
		}
		rows = rows[1:]
	}
	for _, r := range rows {
		if err := w.add(r); err != nil {
			return err
		}
	}
	w.next += searchPage
	return nil
}

// add takes a row, which comes after the one before it: no row comes twice.
func (w *searchWalk) add(r searchRow) error {
	d, err := portolan.ParseDigest(r.Digest)
	after := r.RepoName > w.last.RepoName || r.RepoName == w.last.RepoName && r.Tag > w.last.Tag
	if err != nil || r.RepoName == "" || r.Tag == "" || !after {
		return fmt.Errorf("%w: a row is out of order or incomplete", errSearch)
	}
	list := w.tags[r.RepoName]
	if list.digests == nil {
		list.digests = map[string]portolan.Digest{}
	}
	list.names = append(list.names, r.Tag)
	list.digests[r.Tag] = d
	w.tags[r.RepoName] = list
	w.last = r
	w.taken++
	return nil
}
