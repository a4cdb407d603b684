package acr

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// errChanged ends a walk through a list whose entries moved while it was read,
// so that some may have been missed.
var errChanged = errors.New("the list changed while it was read")

// errStopped says that the caller wants no more.
var errStopped = errors.New("stopped")

// place is a position in a list: after the entry with a key, which has this
// index on its page.
type place struct {
	page  int
	index int
	key   string
	total int // of the list when the page was read; no part of a cursor
}

func (p place) String() string { return fmt.Sprintf("%d %d %s", p.page, p.index, p.key) }

// parsePlace reads a cursor; anything that is none is the start.
func parsePlace(cursor string) place {
	number, rest, _ := strings.Cut(cursor, " ")
	index, key, _ := strings.Cut(rest, " ")
	p := place{key: key}
	var err1, err2 error
	p.page, err1 = strconv.Atoi(number)
	p.index, err2 = strconv.Atoi(index)
	if err1 != nil || err2 != nil || key == "" || p.page < 1 || p.page >= maxPages || p.index < 0 {
		return place{}
	}
	return p
}

// walk goes once through a list and visits every entry once. Pages are counted
// off an order that the product does not document, so a walk ends with
// errChanged if anything may have been missed: the total fell, a page brought
// nothing new, there were not as many entries as announced, or entries came to
// be that the total does not show, so that others went and moved up what follows
// them. These may have moved only, and may do so at every attempt: the walk is
// believed all the same if it saw whatever the attempt before did.
type walk[T any] struct {
	read  func(ctx context.Context, n int) (page[T], error)
	key   func(T) string
	made  func(T) time.Time // when an entry last changed; nil if unknown
	visit func(T, place) error
	// before is what the attempt before saw, nil for the first. limit is the
	// longest list in pages.
	before map[string]struct{}
	limit  int

	began  time.Time // by the registry's clock
	start  int       // total at the beginning
	total  int       // announced last
	passed int       // entries before the place where the walk began
	newer  int       // entries that came to be since the walk began
	seen   map[string]struct{}
}

func (w *walk[T]) run(ctx context.Context, from place) error {
	w.seen = map[string]struct{}{}
	for n := max(from.page, 1); ; n++ {
		p, err := w.read(ctx, n)
		if err != nil {
			return err
		}
		if n == max(from.page, 1) {
			w.start, w.total, w.began = p.total, p.total, p.date
		}
		skip := 0
		if from.page == n {
			if skip, err = w.skip(p, from); err != nil {
				return err
			}
		}
		if err := w.take(p, skip); err != nil {
			return err
		}
		if p.last() {
			break
		}
		if n >= w.limit {
			return errChanged
		}
	}
	if w.passed+len(w.seen) != w.total || w.newer > w.total-w.start && !w.sawAllAgain() {
		return errChanged
	}
	return nil
}

func (w *walk[T]) sawAllAgain() bool {
	for k := range w.before {
		if _, again := w.seen[k]; !again {
			return false
		}
	}
	return w.before != nil
}

// skip answers how many entries of a page were visited before an interruption.
// The last of them must be where it was: else entries may have moved up past
// it unseen.
func (w *walk[T]) skip(p page[T], from place) (int, error) {
	if from.index >= len(p.items) || w.key(p.items[from.index]) != from.key {
		return 0, errChanged
	}
	w.passed = (p.number-1)*p.size + from.index + 1
	return from.index + 1, nil
}

func (w *walk[T]) take(p page[T], skip int) error {
	if p.total < w.total {
		return errChanged
	}
	w.total = p.total
	before := len(w.seen)
	for i, item := range p.items {
		if i < skip {
			continue
		}
		k := w.key(item)
		if _, twice := w.seen[k]; twice {
			continue
		}
		w.seen[k] = struct{}{}
		// Dates are whole seconds.
		if w.made != nil && !w.began.IsZero() && w.made(item).After(w.began.Add(time.Second)) {
			w.newer++
		}
		if err := w.visit(item, place{page: p.number, total: p.total, index: i, key: k}); err != nil {
			return err
		}
	}
	if len(p.items) > skip && len(w.seen) == before {
		return errChanged
	}
	return nil
}

// truncated is the error of a list that never held still.
func truncated(host, doing string) error {
	err := connector.Errorf(portolan.ServerFailure, "%s: the list kept changing when %s.", host, doing)
	err.Err = connector.ErrTruncated
	return err
}
