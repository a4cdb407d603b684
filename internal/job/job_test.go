package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/job"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const patience = time.Minute // how long a test waits for what should happen at once

// slices records the slices that a queue runs, and does with them as told.
type slices struct {
	mu   sync.Mutex
	n    map[string]int
	do   func(ctx context.Context, id string, n int) (time.Duration, bool, error)
	done chan string // ids as their readings end
}

func (s *slices) slice(ctx context.Context, id string) (time.Duration, bool, error) {
	s.mu.Lock()
	s.n[id]++
	n := s.n[id]
	s.mu.Unlock()
	wait, more, err := s.do(ctx, id, n)
	if err == nil && !more {
		s.done <- id
	}
	return wait, more, err
}

func (s *slices) count(id string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n[id]
}

func newQueue(t *testing.T, db *store.DB, s *slices, o job.Options) *job.Queue {
	t.Helper()
	o.Slice, o.Log, o.Poll = s.slice, slog.New(slog.DiscardHandler), 20*time.Millisecond
	q, err := job.New(db, o)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func open(t *testing.T, url string) *store.DB {
	t.Helper()
	db := storetest.Open(t, url, store.Options{})
	if err := job.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return db
}

func start(t *testing.T, q *job.Queue) {
	t.Helper()
	if err := q.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, q) })
}

func stop(t *testing.T, q *job.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := q.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func add(t *testing.T, db *store.DB, q *job.Queue, id string, at time.Time) {
	t.Helper()
	if err := db.Update(t.Context(), func(tx *store.Tx) error { return q.AddSync(t.Context(), tx, id, at) }); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, s *slices, want string) {
	t.Helper()
	select {
	case id := <-s.done:
		if id != want {
			t.Errorf("%s ended, want %s", id, want)
		}
	case <-time.After(patience):
		t.Fatalf("%s did not end", want)
	}
}

// River is asked to migrate, for which servers take turns, when its record lacks
// something, and no more.
func TestMigrate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url) // migrates
		err := db.Exclusive(t.Context(), func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			return job.Migrate(ctx, db)
		})
		if err != nil {
			t.Errorf("all is there: %v", err)
		}
		if _, err := db.Writer().ExecContext(t.Context(), `DELETE FROM river_migration`); err != nil {
			t.Fatal(err)
		}
		if err := job.Migrate(t.Context(), db); err == nil || !strings.Contains(err.Error(), "bring the job queue up to date") {
			t.Errorf("nothing seems to be there, and all is: %v", err)
		}
	})
}

// A job runs slice after slice, also after one that failed, and only if its
// transaction is committed.
func TestSlices(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		s := &slices{n: map[string]int{}, done: make(chan string, 10)}
		s.do = func(_ context.Context, _ string, n int) (time.Duration, bool, error) { return 0, n < 4, nil }
		q := newQueue(t, db, s, job.Options{})
		start(t, q)
		rolledBack := errors.New("rolled back")
		err := db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(q.AddSync(t.Context(), tx, "never", time.Time{}), rolledBack)
		})
		if !errors.Is(err, rolledBack) {
			t.Fatal(err)
		}
		add(t, db, q, "a", time.Time{})
		await(t, s, "a")
		if n := s.count("a"); n != 4 || s.count("never") != 0 {
			t.Errorf("a ran %d times, never %d times", n, s.count("never"))
		}
	})
}

// A slice that fails for a reason of Portolan's own is tried again.
func TestFailedSlice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		s := &slices{n: map[string]int{}, done: make(chan string, 10)}
		s.do = func(_ context.Context, _ string, n int) (time.Duration, bool, error) {
			if n == 1 {
				return 0, false, errors.New("out of luck")
			}
			return 0, false, nil
		}
		q := newQueue(t, db, s, job.Options{})
		start(t, q)
		add(t, db, q, "a", time.Time{})
		await(t, s, "a")
	})
}

// A stop ends running slices, and the next start goes on with them.
func TestStop(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		running := make(chan struct{}, 1)
		s := &slices{n: map[string]int{}, done: make(chan string, 10)}
		s.do = func(ctx context.Context, _ string, n int) (time.Duration, bool, error) {
			if n > 1 {
				return 0, false, nil
			}
			running <- struct{}{}
			<-ctx.Done()
			return 0, true, nil
		}
		q := newQueue(t, db, s, job.Options{})
		if err := q.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		add(t, db, q, "a", time.Time{})
		<-running
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := q.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		start(t, newQueue(t, db, s, job.Options{}))
		await(t, s, "a")
	})
}

// The job of a worker that died is taken up by another.
func TestRescue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		db := open(t, url)
		s := &slices{n: map[string]int{}, done: make(chan string, 10)}
		s.do = func(context.Context, string, int) (time.Duration, bool, error) { return 0, false, nil }
		q := newQueue(t, db, s, job.Options{Timeout: time.Second, RescueAfter: time.Second})
		add(t, db, q, "a", time.Time{})
		// What a worker leaves that died a while ago.
		long := "'2020-01-01 00:00:00'"
		res, err := db.Writer().ExecContext(t.Context(), fmt.Sprintf("UPDATE river_job SET state = 'running', attempt = 1, attempted_at = %s", long))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%d jobs, %v", n, err)
		}
		start(t, q)
		await(t, s, "a")
	})
}
