package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"portolan"
)

// snapshots keeps the visible registries of each account in memory, so that a
// page costs the same at 20 and at 20,000 registries. A snapshot is checked
// against the account's generation at most once a second, at once after a
// change by this process, and refreshed by the rows that changed.
type snapshots struct {
	accounts guarded[int64, *snapshot]
}

const (
	snapshotCheck = time.Second
	// A snapshot unused for longer is read anew: rows may have been purged.
	snapshotStale = time.Hour
)

type snapshot struct {
	mu         sync.Mutex
	generation int64
	checked    time.Time
	expired    bool
	view       *Registries
}

func (s *snapshots) of(account int64) *snapshot {
	return s.accounts.get(account, func() *snapshot { return &snapshot{view: newRegistries()} })
}

func (s *snapshots) expire(account int64) {
	snap := s.of(account)
	snap.mu.Lock()
	defer snap.mu.Unlock()
	snap.expired = true
}

// Registries answers the visible registries of an account.
func (db *DB) Registries(ctx context.Context, account int64) (*Registries, error) {
	snap := db.registries.of(account)
	snap.mu.Lock()
	defer snap.mu.Unlock()
	now := db.now()
	age := now.Sub(snap.checked)
	if !snap.expired && 0 <= age && age < snapshotCheck {
		return snap.view, nil
	}
	if age > snapshotStale {
		snap.generation, snap.view = -1, newRegistries()
	}
	if err := db.refresh(ctx, account, snap); err != nil {
		return nil, err
	}
	snap.checked, snap.expired = now, false
	return snap.view, nil
}

// errMoved is returned when parts of a list are of different states.
var errMoved = errors.New("the registries changed while they were read")

// refresh takes in what changed. A list that is read for the first time, which
// a start waits for, is read in two parts at once.
func (db *DB) refresh(ctx context.Context, account int64, snap *snapshot) error {
	parts := 1
	if snap.generation <= 0 {
		parts = 2
	}
	changed, generation, err := db.changed(ctx, account, snap.generation, parts, true)
	if errors.Is(err, errMoved) || errors.Is(err, errUnpacked) {
		changed, generation, err = db.changed(ctx, account, snap.generation, 1, false)
	}
	if errors.Is(err, ErrNotFound) {
		snap.view = newRegistries()
		return nil
	}
	if err != nil || generation == snap.generation {
		return err
	}
	snap.view.change(changed, generation)
	snap.generation = generation
	return nil
}

// changed answers the registries that changed after a generation, and the
// account's generation now. ErrNotFound if there is no such account.
func (db *DB) changed(ctx context.Context, account, since int64, parts int, pack bool) ([]*portolan.Registry, int64, error) {
	lists, generations := make([][]*portolan.Registry, parts), make([]int64, parts)
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		group.Go(func() error {
			columns, scan := registryColumns, registryScanner()
			if pack {
				columns, scan = packed(columns), unpacking(scan)
			}
			return db.View(ctx, func(tx *Tx) (err error) {
				if generations[i], err = tx.registryGeneration(ctx, account); err != nil || generations[i] == since {
					return err
				}
				lists[i], err = collect(ctx, tx, scan,
					`SELECT `+columns+` FROM registries WHERE account_id = $1 AND revision > $2 AND id % $3 = $4`, account, since, parts, i)
				return err
			})
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	if slices.Min(generations) != slices.Max(generations) {
		return nil, 0, errMoved
	}
	return slices.Concat(lists...), generations[0], nil
}
