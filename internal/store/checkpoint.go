package store

import (
	"context"
	"sync/atomic"
)

// checkpointEvery is after how many rows of readings SQLite's log is moved into
// its database. By itself it does so at the end of a transaction, which then
// takes many times as long. Writers who write less leave that to SQLite, for
// whom the log may grow to autocheckpoint pages.
const (
	checkpointEvery = 1_000
	autocheckpoint  = 8_000
)

// blockRows is how many rows a block counts for, by the pages that it takes.
const blockRows = 4

// checkpoints counts the rows since the last checkpoint.
type checkpoints struct{ rows atomic.Int64 }

// checkpoint moves the log after a transaction that wrote rows, while nobody is
// locked out. What it leaves is for the next one.
func (db *DB) checkpoint(ctx context.Context, rows int) {
	if db.Postgres() || db.checkpoints.rows.Add(int64(rows)) < checkpointEvery {
		return
	}
	db.checkpoints.rows.Store(0)
	_, _ = db.read.ExecContext(ctx, `PRAGMA wal_checkpoint(PASSIVE)`)
}
