package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Whoever has committed waits for a sync that began afterwards, and one of them
// is enough for all who committed meanwhile.
func TestDurable(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	d := &durable{sync: func() error {
		began <- struct{}{}
		<-ended
		return nil
	}}
	var wg sync.WaitGroup
	commit := func() {
		if err := d.wait(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Go(commit)
	<-began
	const others = 7
	for range others {
		wg.Go(commit)
	}
	for d.committed.Load() < 1+others {
		runtime.Gosched()
	}
	ended <- struct{}{} // of the first, which began before the others committed
	<-began
	if d.kept != 1 {
		t.Errorf("%d commits are kept after a sync that began with one", d.kept)
	}
	ended <- struct{}{}
	wg.Wait() // a third sync would find nobody to wait for it
	if d.kept != 1+others {
		t.Errorf("%d commits of %d are kept", d.kept, 1+others)
	}
}

// A commit that is not known to be on disk is not acknowledged; the next one is
// when all of the log is in the database.
func TestNotDurable(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	var tried []string
	d := db.durable
	sync, mend := d.sync, d.mend
	broken := errors.New("input/output error")
	d.sync = func() error {
		tried = append(tried, "sync")
		return broken
	}
	d.mend = func(context.Context) error {
		tried = append(tried, "mend")
		return broken
	}
	account := int64(0)
	write := func() error {
		account++
		return db.Update(t.Context(), func(tx *Tx) error { return tx.AddAccount(t.Context(), account, "one") })
	}
	for range 2 {
		if err := write(); !errors.Is(err, broken) || !strings.Contains(err.Error(), "log to the disk") {
			t.Errorf("a commit that did not reach the disk: %v", err)
		}
	}
	d.mend = func(ctx context.Context) error {
		tried = append(tried, "mended")
		return mend(ctx)
	}
	d.sync = func() error {
		tried = append(tried, "synced")
		return sync()
	}
	for range 2 {
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(tried, " "); got != "sync mend mended synced" {
		t.Errorf("tried: %s", got)
	}
	if err := syncFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a log that is not there: %v", err)
	}
}

// The log is beside the file, wherever the path leads.
func TestLinkedStore(t *testing.T) {
	t.Parallel()
	folder, other := t.TempDir(), t.TempDir()
	link := filepath.Join(folder, "portolan.db")
	if err := os.Symlink(filepath.Join(other, "real.db"), link); err != nil {
		t.Skip(err)
	}
	for range 2 { // made, and found again
		db, err := Open(t.Context(), "sqlite:"+link, Options{})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Update(t.Context(), func(tx *Tx) error { return tx.AddAccount(t.Context(), tx.Now().UnixNano(), "one") })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	}
}
