package connector

import (
	"context"
	"sync"
	"sync/atomic"
)

// Crew spreads the requests of one source's listings. A listing sends its own,
// and others help it only while fewer send than the crew may have: where many
// repositories are listed at once, a goroutine for each request would cost
// much and bring nothing.
type Crew struct {
	most int64
	busy atomic.Int64
}

// NewCrew makes a crew of so many.
func NewCrew(most int) *Crew { return &Crew{most: int64(most)} }

// Each calls do for 0 to n-1, some at once, and waits for all. It stops at the
// first error, which it answers, and at the end of the context: then some are
// never called.
func (c *Crew) Each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &shift{crew: c, n: int64(n), do: func(i int) error { return do(inner, i) }, stop: cancel, over: inner.Done()}
	c.busy.Add(1)
	s.work()
	s.helpers.Wait()
	if s.err != nil {
		return s.err
	}
	return ctx.Err()
}

// shift is one call of Each.
type shift struct {
	crew    *Crew
	n       int64
	next    atomic.Int64
	do      func(i int) error
	over    <-chan struct{}
	stop    context.CancelCauseFunc
	failed  sync.Once
	err     error
	helpers sync.WaitGroup
}

// work does what is left, and asks for help while there is more than that.
func (s *shift) work() {
	defer s.crew.busy.Add(-1)
	for {
		select {
		case <-s.over:
			return
		default:
		}
		i := s.next.Add(1) - 1
		if i >= s.n {
			return
		}
		if i+1 < s.n && s.crew.join() {
			s.helpers.Go(s.work)
		}
		if err := s.do(int(i)); err != nil {
			s.failed.Do(func() { s.err = err })
			s.stop(err)
			return
		}
	}
}

// join counts one more in, if there is room.
func (c *Crew) join() bool {
	for {
		busy := c.busy.Load()
		if busy >= c.most {
			return false
		}
		if c.busy.CompareAndSwap(busy, busy+1) {
			return true
		}
	}
}
