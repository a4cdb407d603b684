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

// refresh takes in what changed.
func (db *DB) refresh(ctx context.Context, account int64, snap *snapshot) error {
	changed, generation, err := db.changed(ctx, account, snap.generation, true)
	if errors.Is(err, errMoved) || errors.Is(err, errUnpacked) {
		changed, generation, err = db.changed(ctx, account, snap.generation, false)
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

// manyChanges is from how many changes of an account on its list is read in two
// parts at once.
const manyChanges = 2_000

// partition answers where to part a list that is read for the first time, which
// a start waits for, nil for a short one: a part is from one id to before the
// next. Ids are those of all accounts: one
// whose registries came late, or early, is read in one part and an empty one.
func (db *DB) partition(ctx context.Context, account, since int64) (bounds []int64, err error) {
	if since > 0 {
		return nil, nil
	}
	var generation, first, last int64
	err = db.look(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT registry_generation, coalesce((SELECT min(id) FROM registries), 0), coalesce((SELECT max(id) FROM registries), 0)
			FROM accounts WHERE id = $1`, []any{account}, &generation, &first, &last)
	})
	if err != nil || generation < db.manyChanges {
		return nil, err
	}
	return []int64{0, first + (last-first+1)/2, math.MaxInt64}, nil
}

// changed answers the registries that changed after a generation, and the
// account's generation now; ErrNotFound if there is no such account. Read
// quickly, rows are texts and a long list is parted; it may end in errUnpacked or
// errMoved.
func (db *DB) changed(ctx context.Context, account, since int64, quickly bool) (_ []*listed, _ int64, err error) {
	var bounds []int64
	columns, scan := registryColumns, scanListedColumns
	if quickly {
		columns, scan = packed(registryColumns), scanListed
		if bounds, err = db.partition(ctx, account, since); err != nil {
			return nil, 0, err
		}
	}
	parts := max(1, len(bounds)-1)
	lists, generations := make([][]*listed, parts), make([]int64, parts)
	text := `SELECT ` + columns + changedRegistries
	group, ctx := errgroup.WithContext(ctx)
	for i := range parts {
		text, args := text, []any{account, since}
		if parts > 1 {
			// Rows of one part lie beside each other. PostgreSQL would think that
			// few have such ids, and read all registries for a few changes.
			text, args = text+` AND id >= $3 AND id < $4`, append(args, bounds[i], bounds[i+1])
		}
		group.Go(func() error {
			return db.View(ctx, func(tx *Tx) (err error) {
				if generations[i], err = tx.registryGeneration(ctx, account); err != nil || generations[i] == since {
					return err
				}
				if lists[i], err = collect(ctx, tx, scan, text, args...); err == nil {
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

const changedRegistries = ` FROM registries WHERE account_id = $1 AND revision > $2`
