package inventory

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// learnt remembers what manifests say until the store does, and which listing
// is about to read one: repositories that are listed at the same time often
// hold the same digests, and a manifest is fetched once.
type learnt struct {
	mu     sync.Mutex
	facts  map[portolan.Digest]connector.Facts
	claims map[portolan.Digest]*claim
}

// claim is a listing's announcement that it reads a manifest. done is closed
// when it has, or when the listing ends.
type claim struct {
	by   *connector.Listing
	done chan struct{}
}

// add remembers what a row's manifest says.
func (l *learnt) add(row *connector.Row) {
	if row.Err != nil || !row.Complete() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.facts == nil {
		l.facts = map[portolan.Digest]connector.Facts{}
	}
	l.facts[row.Digest] = row.Facts
	l.drop(row.Digest)
}

// forget drops what the store now knows of a listing.
func (l *learnt) forget(f *found) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d := range f.images {
		delete(l.facts, d)
	}
	for d, row := range f.artifacts {
		if kept(row) {
			delete(l.facts, d)
		}
	}
}

func (l *learnt) drop(d portolan.Digest) {
	if c := l.claims[d]; c != nil {
		close(c.done)
		delete(l.claims, d)
	}
}

// known gives up what a listing need not read, since the store knows it.
func (l *learnt) known(by *connector.Listing, found map[portolan.Digest]connector.Facts) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d := range found {
		if c := l.claims[d]; c != nil && c.by == by {
			l.drop(d)
		}
	}
}

// release gives up what a listing that has ended did not come to read.
func (l *learnt) release(by *connector.Listing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d, c := range l.claims {
		if c.by == by {
			l.drop(d)
		}
	}
}

// of answers what is remembered of digests, after those that another listing
// is reading, and claims the others. A listing that has claims does not wait,
// so that no two wait for each other.
func (l *learnt) of(ctx context.Context, by *connector.Listing, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	for _, c := range l.others(by, digests) {
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known := make(map[portolan.Digest]connector.Facts, len(digests))
	for _, d := range digests {
		if f, ok := l.facts[d]; ok {
			known[d] = f
		} else if l.claims[d] == nil {
			if l.claims == nil {
				l.claims = map[portolan.Digest]*claim{}
			}
			l.claims[d] = &claim{by: by, done: make(chan struct{})}
		}
	}
	return known, nil
}

// others are the claims of other listings, none if the listing has some.
func (l *learnt) others(by *connector.Listing, digests []portolan.Digest) []*claim {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.claims {
		if c.by == by {
			return nil
		}
	}
	var list []*claim
	for _, d := range digests {
		if c := l.claims[d]; c != nil {
			list = append(list, c)
		}
	}
	return list
}

// inquiry joins what listings ask the store at about the same time: a question
// waits a moment for others, and while one is being answered, they become the
// next.
type inquiry struct {
	// listings is how many may ask.
	listings atomic.Int64

	mu   sync.Mutex
	next *question
	turn chan struct{} // holds one while a question is being answered
}

// patience is how long a question waits for others to join, and how many are
// enough not to wait for more. Where many repositories are listed at once, the
// others keep the registry busy meanwhile; else it is far less than a registry
// takes to answer.
func (q *inquiry) patience() (linger time.Duration, enough int) {
	if q.listings.Load() > readers/2 {
		return 8 * time.Millisecond, readers / 2
	}
	return time.Millisecond, firstReaders
}

type question struct {
	digests []portolan.Digest
	askers  int
	linger  time.Duration
	enough  int
	full    chan struct{} // closed when there are enough
	done    chan struct{}
	found   map[portolan.Digest]connector.Facts
	err     error
}

type lookup func(context.Context, []portolan.Digest) (map[portolan.Digest]connector.Facts, error)

// ask answers what is known of digests, and maybe of others.
func (q *inquiry) ask(ctx context.Context, digests []portolan.Digest, look lookup) (map[portolan.Digest]connector.Facts, error) {
	q.mu.Lock()
	own := q.next
	first := own == nil
	if first {
		own = &question{done: make(chan struct{}), full: make(chan struct{})}
		own.linger, own.enough = q.patience()
		q.next = own
	}
	if own.askers++; own.askers == own.enough {
		close(own.full)
	}
	if q.turn == nil {
		q.turn = make(chan struct{}, 1)
	}
	own.digests = append(own.digests, digests...)
	q.mu.Unlock()
	if first {
		return q.answer(ctx, own, look)
	}
	select {
	case <-own.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if own.err != nil {
		return look(ctx, digests) // it may be the other's own: its context ended
	}
	return own.found, nil
}

func (q *inquiry) answer(ctx context.Context, own *question, look lookup) (map[portolan.Digest]connector.Facts, error) {
	defer close(own.done)
	moment := time.NewTimer(own.linger)
	defer moment.Stop()
	select {
	case <-own.full:
	case <-moment.C:
	case <-ctx.Done():
	}
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		own.err = context.Cause(ctx)
	}
	q.mu.Lock()
	q.next = nil
	q.mu.Unlock()
	if own.err == nil {
		own.found, own.err = look(ctx, own.digests)
	}
	return own.found, own.err
}
