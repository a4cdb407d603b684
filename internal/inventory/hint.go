package inventory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
)

const (
	// hintReaders is how many registries are read at once for their marks.
	hintReaders = 8
	// hintPaths is how many marked repositories one reading takes.
	hintPaths = 100
	// hintPoll is how often the store is asked for marks of other servers.
	hintPoll = time.Second
	// hintRetry is how long a reading waits that failed for a reason of
	// Portolan's own.
	hintRetry = 5 * time.Second
	// hastenAfter is how long after a reading of the whole registry marked
	// repositories may cause the next.
	hastenAfter = 10 * time.Minute
	// guardWindow is the time over which readings of marked repositories count
	// as one for the vanish guard.
	guardWindow = 10 * time.Minute
)

// Mark has repositories of a registry read again, because an event told so.
// When it has returned, the marks outlive the server.
func (s *Service) Mark(ctx context.Context, r *portolan.Registry, paths []string) error {
	err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.Mark(ctx, r, paths) })
	if err != nil {
		return fmt.Errorf("mark repositories of registry %d: %w", r.ID, err)
	}
	s.wakeHints()
	return nil
}

// wakeHints has the marks looked at now.
func (s *Service) wakeHints() {
	select {
	case s.hinted <- struct{}{}:
	default: // it is about to look
	}
}

// hints are the readings of marked repositories under way. Its fields are used
// by the goroutine of watchHints alone.
type hints struct {
	*Service
	wg sync.WaitGroup
	// busy has the registries in hand; ended tells of each that no longer is.
	busy  map[int64]bool
	ended chan int64
}

// watchHints reads what is marked, as soon as it is due, until the context
// ends. A job would wait for the queue's poll and for the readings of whole
// registries before it, so the marks in the store are looked at here.
func (s *Service) watchHints(ctx context.Context) {
	h := &hints{Service: s, busy: map[int64]bool{}, ended: make(chan int64, hintReaders)}
	defer h.wg.Wait()
	for ctx.Err() == nil {
		wait, err := h.start(ctx)
		if err != nil && ctx.Err() == nil {
			s.Log.ErrorContext(ctx, "cannot look for marked repositories; it will be tried again", "error", err)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.hinted:
		case <-timer.C:
		case registry := <-h.ended:
			delete(h.busy, registry)
		}
		timer.Stop()
	}
}

// start starts to read what is due, and answers how long to wait for more.
func (h *hints) start(ctx context.Context) (time.Duration, error) {
	left, err := h.DB.OpenHinted(ctx)
	if err != nil {
		return hintPoll, err
	}
	for _, l := range left {
		h.do(ctx, l.RegistryID, func() error { return h.readHinted(ctx, l.SyncID) })
	}
	due, next, err := h.DB.DueHints(ctx, dueBatch)
	if err != nil {
		return hintPoll, err
	}
	for _, d := range due {
		h.do(ctx, d.RegistryID, func() error {
			id, err := h.BeginHinted(ctx, d)
			if err != nil || id == "" {
				return err
			}
			return h.readHinted(ctx, id)
		})
	}
	if next.IsZero() {
		return hintPoll, nil
	}
	return min(hintPoll, max(0, next.Sub(h.Now()))), nil
}

// do works on a registry unless that is in hand already or too many are. What
// is left out is still due when one of them ends.
func (h *hints) do(ctx context.Context, registry int64, work func() error) {
	if h.busy[registry] || len(h.busy) >= hintReaders {
		return
	}
	h.busy[registry] = true
	h.wg.Go(func() {
		if err := work(); err != nil && ctx.Err() == nil {
			h.Log.ErrorContext(ctx, "a reading of marked repositories failed and will be tried again", "registry", registry, "error", err)
			_ = sleep(ctx, hintRetry) // it ends early with the server
		}
		h.ended <- registry
	})
}

// readHinted reads slice by slice until the reading has ended. One that is cut
// short goes on when its lease has run out, here or on another server.
func (s *Service) readHinted(ctx context.Context, id string) error {
	for {
		wait, more, err := s.Slice(ctx, id)
		if err != nil || !more {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return nil
		}
	}
}

// BeginHinted begins a reading of a registry's marked repositories and answers
// its id, "" if there is nothing to read now. Slice reads them.
func (s *Service) BeginHinted(ctx context.Context, d store.Due) (string, error) {
	id := uuid.NewString()
	begun, err := s.DB.BeginHinted(ctx, d, id, hintPaths)
	if err != nil {
		return "", fmt.Errorf("begin to read marked repositories: %w", err)
	}
	if !begun {
		return "", nil
	}
	return id, nil
}

// hinted reports whether this reading is one of marked repositories: it has no
// catalogue, so it says nothing of repositories that it did not read.
func (r *reading) hinted() bool { return r.lease.Sync.Cause == portolan.CauseWebhook }

// tooMany reports whether so many images lack that they are not believed gone.
// What readings of marked repositories made gone in the last while counts as
// if it lacked now: events come one by one, also when everything vanishes.
func (r *reading) tooMany(ctx context.Context, lack int) (bool, error) {
	have := r.source.Registry.ImageCount
	if r.hinted() && lack > 0 {
		gone, err := r.DB.GoneByEvents(ctx, r.lease, r.Now().Add(-guardWindow))
		if err != nil {
			return false, err
		}
		lack, have = lack+gone, have+gone
	}
	return lack > guardImages && lack*100 > guardPercent*have, nil
}

// hasten is when the whole registry is to be read because of what was seen in
// marked repositories; zero leaves that as it is.
func (r *reading) hasten() time.Time {
	now := r.Now()
	code := r.lease.Sync.Ledger.ErrorCode
	switch {
	case r.plan.Newly:
		return now.Add(min(guardFirst, r.Interval))
	case r.plan.Absent, code == portolan.BadCredentials, code == portolan.CredentialsExpired:
		if at := r.source.Registry.LastSync.Add(hastenAfter); at.After(now) {
			return at
		}
		return now
	}
	return time.Time{}
}
