package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// durable brings SQLite's log to the disk after a transaction. SQLite itself
// would wait for the disk inside the transaction, with everybody else locked
// out: here those wait together who have committed. What others of its pool
// commit, who keep jobs, is on disk with the next of ours.
type durable struct {
	sync func() error
	// mend brings what is in the log into the database and the disk.
	mend func(context.Context) error

	committed atomic.Int64
	mu        sync.Mutex
	kept      int64 // commits that are on disk
	failed    bool
}

// newDurable is for the store at a URL, which has been opened.
func newDurable(ctx context.Context, write *sql.DB, url string) (*durable, error) {
	path, err := filepath.EvalSymlinks(sqlitePath(url)) // the log is beside the file itself
	if err != nil {
		return nil, fmt.Errorf("find the store's file: %w", err)
	}
	var mode string
	if err := write.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return nil, fmt.Errorf("ask for the journal of %s: %w", path, err)
	}
	if mode != "wal" {
		return nil, fmt.Errorf("%s has no write-ahead log (its journal is %q): put it on a local disk, or use PostgreSQL", path, mode)
	}
	return &durable{
		sync: func() error { return syncFile(path + "-wal") },
		mend: func(ctx context.Context) error { return checkpointAll(ctx, write) },
	}, nil
}

func syncFile(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return file.Sync()
}

func checkpointAll(ctx context.Context, write *sql.DB) error {
	var busy, log, done int
	if err := write.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &done); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("others are reading it")
	}
	return nil
}

// wait returns when what the caller has committed is on disk. After a failure
// the log may lack on the disk what seems to be written: nothing more is
// acknowledged until all of it is in the database.
func (d *durable) wait(ctx context.Context) error {
	mine := d.committed.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept >= mine {
		return nil
	}
	all := d.committed.Load()
	if err := d.bring(ctx); err != nil {
		d.failed = true
		return fmt.Errorf("bring the store's log to the disk: %w", err)
	}
	d.failed, d.kept = false, all
	return nil
}

func (d *durable) bring(ctx context.Context) error {
	if d.failed {
		return d.mend(context.WithoutCancel(ctx))
	}
	return d.sync()
}
