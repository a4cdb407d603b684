package gateway

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, like that of
// context.WithDeadline, whose timer is made when somebody waits for it: most
// calls are answered from memory and never do.
type deadline struct {
	parent context.Context
	at     time.Time

	mu     sync.Mutex
	timed  context.Context // nil until somebody waits
	cancel context.CancelFunc
	ended  bool
}

var _ context.Context = (*deadline)(nil)

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.parent.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.waited().Done() }

// Err implements context.Context.
func (d *deadline) Err() error { return d.waited().Err() }

// Value implements context.Context. The context with the timer is asked, by
// which the context package finds it as the parent of others.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	c := d.timed
	d.mu.Unlock()
	if c == nil {
		c = d.parent
	}
	return c.Value(key)
}

func (d *deadline) waited() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.parent, d.at)
		if d.ended {
			d.cancel()
		}
	}
	return d.timed
}

// end is the context's cancel function.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}
