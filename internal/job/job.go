// Package job runs work that must survive a restart. Jobs live in the store
// and are made in the transaction of the data they belong to. Every runs the
// loops that look for such work.
//
// It knows River and the store's transactions; it must not know what a job
// does.
package job

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"

	"portolan/internal/store"
)

// Defaults of a queue: how long a slice may work, how long after that its job
// is taken from a worker that is believed dead, and how many run at once.
const (
	Timeout     = 25 * time.Second
	RescueAfter = 30 * time.Second
	Workers     = 4
)

const queueSync = "sync"

// Options of a queue. Zero values mean the defaults.
type Options struct {
	// Slice works on a reading for a while. It answers how long to wait before
	// the next slice and whether there is one. An error is logged and the
	// slice is tried again.
	Slice func(ctx context.Context, syncID string) (wait time.Duration, more bool, err error)
	// Deliver tries to deliver a message to a webhook. It answers as Slice does.
	Deliver func(ctx context.Context, id string) (wait time.Duration, more bool, err error)

	Workers     int
	Timeout     time.Duration
	RescueAfter time.Duration
	Poll        time.Duration
	Log         *slog.Logger
}

// Queue makes and runs jobs.
type Queue struct {
	client *river.Client[*sql.Tx]
}

type syncArgs struct {
	SyncID string `json:"sync_id"`
}

func (syncArgs) Kind() string { return "sync" }

type syncWorker struct {
	river.WorkerDefaults[syncArgs]
	slice func(ctx context.Context, syncID string) (time.Duration, bool, error)
	log   *slog.Logger
}

const retryAfter = 5 * time.Second

func (w *syncWorker) Work(ctx context.Context, j *river.Job[syncArgs]) error {
	wait, more, err := w.slice(ctx, j.Args.SyncID)
	switch {
	case err != nil:
		w.log.ErrorContext(ctx, "a slice of a sync failed and will be tried again", "sync", j.Args.SyncID, "error", err)
		return river.JobSnooze(retryAfter)
	case more:
		return river.JobSnooze(wait)
	}
	return nil
}

// Migrate brings the queue's tables up to date. Servers that start at once take
// turns.
func Migrate(ctx context.Context, db *store.DB) error {
	d := driver(db)
	m, err := rivermigrate.New(d, nil)
	if err != nil {
		return err
	}
	if upToDate(ctx, d, m) {
		return nil
	}
	return db.Exclusive(ctx, func(ctx context.Context) error {
		if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
			return fmt.Errorf("bring the job queue up to date: %w", err)
		}
		return nil
	})
}

// upToDate reports whether all migrations are in River's record. River itself
// looks for that in PostgreSQL's catalogue first, for a fifth of a start.
func upToDate(ctx context.Context, d riverdriver.Driver[*sql.Tx], m *rivermigrate.Migrator[*sql.Tx]) bool {
	applied, err := d.GetExecutor().MigrationGetByLine(ctx, &riverdriver.MigrationGetByLineParams{Line: riverdriver.MigrationLineMain})
	return err == nil && len(applied) >= len(m.AllVersions()) // without a record there is an error
}

func driver(db *store.DB) riverdriver.Driver[*sql.Tx] {
	if db.Postgres() {
		return riverdatabasesql.New(db.Writer())
	}
	return riversqlite.New(db.Writer())
}

// New makes a queue. It works on nothing until it is started.
func New(db *store.DB, o Options) (*Queue, error) {
	if o.Workers == 0 {
		o.Workers = Workers
	}
	if o.Timeout == 0 {
		o.Timeout = Timeout
	}
	if o.RescueAfter == 0 {
		o.RescueAfter = max(RescueAfter, o.Timeout+time.Second)
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &syncWorker{slice: o.Slice, log: o.Log})
	river.AddWorker(workers, &deliveryWorker{deliver: o.Deliver, log: o.Log})
	client, err := river.NewClient(driver(db), &river.Config{
		Queues:                      map[string]river.QueueConfig{queueSync: {MaxWorkers: o.Workers}, queueDelivery: {MaxWorkers: deliveryWorkers}},
		Workers:                     workers,
		JobTimeout:                  o.Timeout,
		RescueStuckJobsAfter:        o.RescueAfter,
		FetchPollInterval:           o.Poll,
		FetchCooldown:               min(100*time.Millisecond, o.Poll),
		CompletedJobRetentionPeriod: time.Hour,
		Logger:                      slog.New(slog.DiscardHandler), // what matters is logged by the worker
	})
	if err != nil {
		return nil, fmt.Errorf("make the job queue: %w", err)
	}
	return &Queue{client: client}, nil
}

// AddSync makes the job of a reading, to run now or at a later time, when the
// transaction commits.
func (q *Queue) AddSync(ctx context.Context, tx *store.Tx, syncID string, at time.Time) error {
	const forever = 10_000 // a reading ends by its own rules, not by attempts
	_, err := q.client.InsertTx(ctx, tx.SQL(), syncArgs{SyncID: syncID}, &river.InsertOpts{Queue: queueSync, MaxAttempts: forever, ScheduledAt: at})
	return err
}

// Start begins to work. Stop ends it.
func (q *Queue) Start(ctx context.Context) error {
	return q.client.Start(context.WithoutCancel(ctx))
}

// Stop lets running slices end, until the context is done; then they are
// cancelled and awaited. Their jobs are taken up again by the next start.
func (q *Queue) Stop(ctx context.Context) error {
	if err := q.client.Stop(ctx); err == nil {
		return nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return q.client.StopAndCancel(last)
}
