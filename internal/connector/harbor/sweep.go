package harbor

import (
	"context"
	"slices"

	"portolan"
	"portolan/internal/connector"
)

// sweep reads a list of artifacts from its last page to its first. The list
// has the oldest push first, so a deletion moves entries only to pages that
// are still to be read: none is missed, even if a push at the same time
// leaves the total as it was. A new push comes after all that was read and
// waits for the next reading.
type sweep struct {
	api   *api
	call  call
	visit func(artifact, place) error

	total int // when the sweep began
	left  int // entries to come when it began
	seen  map[string]struct{}
}

// read visits every entry before a place once, or all, and ends with
// errChanged if the total fell or pages did not hold what was announced. The
// expected number of entries tells which page is the last; if it is wrong,
// one page is read in vain.
func (s *sweep) read(ctx context.Context, from place, expect int) error {
	s.seen = map[string]struct{}{}
	p, err := s.begin(ctx, from, expect)
	for {
		if err != nil {
			return err
		}
		if err := s.take(p); err != nil {
			return err
		}
		if p.number == 1 {
			break
		}
		p, err = s.full(ctx, p.number-1)
	}
	if len(s.seen) != s.left {
		return errChanged
	}
	return nil
}

// begin finds the page to begin with, and cuts it at the place.
func (s *sweep) begin(ctx context.Context, from place, expect int) (page[artifact], error) {
	first := from.page
	if first == 0 {
		first = max(1, lastPage(expect))
	}
	p, err := s.page(ctx, first)
	if err == nil && from.page == 0 && p.number != max(1, lastPage(p.total)) {
		p, err = s.page(ctx, max(1, lastPage(p.total)))
	}
	if err != nil {
		return p, err
	}
	s.total, s.left = p.total, p.total
	if from.page > 0 {
		return s.cut(p, from)
	}
	if (p.number-1)*pageSize+len(p.items) != p.total {
		return p, errChanged
	}
	return p, nil
}

// cut leaves of a page what is before a place.
func (s *sweep) cut(p page[artifact], from place) (page[artifact], error) {
	i := slices.IndexFunc(p.items, func(a artifact) bool { return a.key() == from.key })
	if i < 0 || p.total < from.total {
		return p, errChanged
	}
	p.items = p.items[:i]
	s.left = (p.number-1)*pageSize + i
	return p, nil
}

// full reads a page that others follow.
func (s *sweep) full(ctx context.Context, number int) (page[artifact], error) {
	p, err := s.page(ctx, number)
	if err == nil && (p.total < s.total || len(p.items) != pageSize) {
		return p, errChanged
	}
	return p, err
}

func (s *sweep) page(ctx context.Context, number int) (page[artifact], error) {
	p, err := readPage[artifact](ctx, s.api, s.call, number)
	if err == nil && (p.total < 0 || lastPage(p.total) > maxPages) {
		return p, connector.Errorf(portolan.ServerFailure, "%s does not announce a usable total when %s.", s.api.base.Host, s.call.doing)
	}
	return p, err
}

// take visits the entries of a page, the last one first.
func (s *sweep) take(p page[artifact]) error {
	for _, a := range slices.Backward(p.items) {
		k := a.key()
		if _, twice := s.seen[k]; twice {
			continue
		}
		s.seen[k] = struct{}{}
		if err := s.visit(a, place{page: p.number, total: s.total, key: k}); err != nil {
			return err
		}
	}
	return nil
}

// lastPage is the number of the page on which so many entries end.
func lastPage(entries int) int { return (max(entries, 0) + pageSize - 1) / pageSize }
