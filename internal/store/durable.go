package store

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// durable brings SQLite's log to the disk after a transaction. SQLite itself
// would wait for the disk inside the transaction, with everybody else locked
// out: here those wait together who have committed. What others of its pool
// commit, who keep jobs, is on disk with the next of ours.
type durable struct {
	sync func() error

	committed atomic.Int64
	mu        sync.Mutex
	kept      int64 // commits that are on disk
}

// syncLog answers what brings the log of the store at a path to the disk.
func syncLog(path string) func() error {
	return func() (err error) {
		log, err := os.OpenFile(path+"-wal", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, log.Close()) }()
		return log.Sync()
	}
}

// wait returns when what the caller has committed is on disk.
func (d *durable) wait() error {
	mine := d.committed.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept >= mine {
		return nil
	}
	all := d.committed.Load()
	if err := d.sync(); err != nil {
		return fmt.Errorf("bring the store's log to the disk: %w", err)
	}
	d.kept = all
	return nil
}
