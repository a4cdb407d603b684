package store

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
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
func (db *DB) changed(ctx context.Context, account, since int64, parts int, pack bool) ([]*listed, int64, error) {
	lists, generations := make([][]*listed, parts), make([]int64, parts)
	bounds, err := db.partition(ctx, parts)
	if err != nil {
		return nil, 0, err
	}
	columns, scan := registryColumns, scanListedColumns
	if pack {
		columns, scan = packed(registryColumns), scanListed
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		group.Go(func() error {
			return db.View(ctx, func(tx *Tx) (err error) {
				if generations[i], err = tx.registryGeneration(ctx, account); err != nil || generations[i] == since {
					return err
				}
				lists[i], err = collect(ctx, tx, scan,
					`SELECT `+columns+` FROM registries WHERE account_id = $1 AND revision > $2 AND id >= $3 AND id < $4`,
					account, since, bounds[i], bounds[i+1])
				if err == nil {
					slices.SortFunc(lists[i], older)
				}
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

// partition answers the bounds of parts of all registries' ids: each part is
// from one to before the next. Read in order, rows lie beside each other.
func (db *DB) partition(ctx context.Context, parts int) ([]int64, error) {
	bounds := make([]int64, parts+1)
	bounds[parts] = math.MaxInt64
	if parts == 1 {
		return bounds, nil
	}
	var first, last int64
	err := db.look(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT coalesce((SELECT min(id) FROM registries), 0), coalesce((SELECT max(id) FROM registries), 0)`, nil, &first, &last)
	})
	for i := 1; i < parts; i++ {
		bounds[i] = first + (last-first+1)*int64(i)/int64(parts)
	}
	return bounds, err
}
