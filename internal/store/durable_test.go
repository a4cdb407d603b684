package store

import (
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever has committed waits for a sync that began afterwards; one of them is
// enough for all who wait.
func TestDurable(t *testing.T) {
	t.Parallel()
	var written, began, kept, syncs atomic.Int64
	d := &durable{sync: func() error {
		syncs.Add(1)
		began.Store(written.Load())
		kept.Store(began.Load())
		return nil
	}}
	var wg sync.WaitGroup
	const writers, writes = 8, 200
	for range writers {
		wg.Go(func() {
			for range writes {
				mine := written.Add(1)
				if err := d.wait(); err != nil || kept.Load() < mine {
					t.Errorf("commit %d returned with %d on disk, %v", mine, kept.Load(), err)
				}
			}
		})
	}
	wg.Wait()
	if n := syncs.Load(); n > writers*writes {
		t.Errorf("%d syncs of %d commits", n, writers*writes)
	}
}

// A commit that is not known to be on disk is not acknowledged.
func TestNotDurable(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	sync, broken := db.durable.sync, errors.New("input/output error")
	write := func() error {
		return db.Update(t.Context(), func(tx *Tx) error { return tx.AddAccount(t.Context(), tx.Now().UnixNano(), "one") })
	}
	db.durable.sync = func() error { return broken }
	if err := write(); !errors.Is(err, broken) || !strings.Contains(err.Error(), "log to the disk") {
		t.Errorf("a commit that did not reach the disk: %v", err)
	}
	db.durable.sync = sync
	if err := write(); err != nil || db.durable.kept != db.durable.committed.Load() {
		t.Errorf("%d of %d commits are kept, %v", db.durable.kept, db.durable.committed.Load(), err)
	}
	if err := syncLog(t.TempDir())(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
}
