package harbor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// page is one page of a list.
type page[T any] struct {
	number int
	items  []T
	total  int // of the whole list, -1 if it was not announced
}

// pages reads the pages of a list from the first given one on. Their
// addresses are counted, for Harbor's Link header is not a valid URI when it
// repeats a query.
func pages[T any](ctx context.Context, a *api, c call, first int) iter.Seq2[page[T], error] {
	return func(yield func(page[T], error) bool) {
		for n := first; n < maxPages; n++ {
			p, err := readPage[T](ctx, a, c, n)
			if !yield(p, err) || err != nil || p.last() {
				return
			}
		}
		yield(page[T]{}, a.truncated(c, "has no end"))
	}
}

func readPage[T any](ctx context.Context, a *api, c call, n int) (page[T], error) {
	p := page[T]{number: n}
	header, err := a.get(ctx, c.page(n), &p.items)
	p.total = announced(header)
	return p, err
}

// last reports whether nothing follows. A page past the end is an empty list.
func (p page[T]) last() bool {
	if p.total < 0 {
		return len(p.items) < pageSize
	}
	return len(p.items) == 0 || p.number*pageSize >= p.total
}

// announced reads X-Total-Count.
func announced(h http.Header) int {
	total, err := strconv.ParseUint(h.Get("X-Total-Count"), 10, 31)
	if err != nil {
		return -1
	}
	return int(total)
}

// truncated is the error of a list that did not hold what was announced.
func (a *api) truncated(c call, what string) error {
	err := connector.Errorf(portolan.ServerFailure, "%s: the list %s when %s.", a.base.Host, what, c.doing)
	err.Err = connector.ErrTruncated
	return err
}

// errChanged ends a walk through a list whose entries moved while it was
// read, so that some may have been missed.
var errChanged = errors.New("the list changed while it was read")

// place is a position in a list: after the entry with a key, on a page.
type place struct {
	page  int
	total int
	key   string
}

func (p place) String() string { return fmt.Sprintf("%d %d %s", p.page, p.total, p.key) }

// parsePlace reads a cursor; anything that is none is the start.
func parsePlace(cursor string) place {
	var p place
	number, rest, _ := strings.Cut(cursor, " ")
	total, key, _ := strings.Cut(rest, " ")
	var err1, err2 error
	p.page, err1 = strconv.Atoi(number)
	p.total, err2 = strconv.Atoi(total)
	if p.key = key; err1 != nil || err2 != nil || key == "" || p.page < 1 || p.page >= maxPages {
		return place{}
	}
	return p
}

// walk goes once through a list after a place, visits every entry once, and
// answers the announced total. It ends with errChanged if entries may have
// been missed: the total fell, a page brought nothing new, or there were not as
// many entries as announced. A total that grows is fine as long as they all
// came.
func walk[T any](ctx context.Context, a *api, c call, after place, key func(T) string, visit func(T, place) error) (int, error) {
	w := walker[T]{key: key, visit: visit, total: after.total, seen: map[string]struct{}{}}
	for p, err := range pages[T](ctx, a, c, max(after.page, 1)) {
		if err != nil {
			return w.total, err
		}
		if p.number == after.page {
			if p, err = w.skip(p, after.key); err != nil {
				return w.total, err
			}
		}
		if err := w.page(p); err != nil {
			return w.total, err
		}
	}
	if w.total >= 0 && w.passed+len(w.seen) != w.total {
		return w.total, errChanged
	}
	return w.total, nil
}

// walker is the state of one walk.
type walker[T any] struct {
	key    func(T) string
	visit  func(T, place) error
	total  int // announced last
	passed int // entries before the place where the walk begins
	seen   map[string]struct{}
}

// skip leaves out the entries of a page up to the one with the key.
func (w *walker[T]) skip(p page[T], key string) (page[T], error) {
	i := slices.IndexFunc(p.items, func(item T) bool { return w.key(item) == key })
	if i < 0 {
		return p, errChanged
	}
	w.passed = (p.number-1)*pageSize + i + 1
	p.items = p.items[i+1:]
	return p, nil
}

func (w *walker[T]) page(p page[T]) error {
	if p.total >= 0 && p.total < w.total {
		return errChanged
	}
	w.total = p.total
	before := len(w.seen)
	for _, item := range p.items {
		k := w.key(item)
		if _, twice := w.seen[k]; twice {
			continue
		}
		w.seen[k] = struct{}{}
		if err := w.visit(item, place{page: p.number, total: p.total, key: k}); err != nil {
			return err
		}
	}
	if len(p.items) > 0 && len(w.seen) == before {
		return errChanged
	}
	return nil
}
