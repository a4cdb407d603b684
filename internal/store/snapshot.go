package store

import (
	"context"
	"errors"
	"sync"
	"time"
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

func (db *DB) refresh(ctx context.Context, account int64, snap *snapshot) error {
	return db.View(ctx, func(tx *Tx) error {
		var generation int64
		err := tx.one(ctx, `SELECT registry_generation FROM accounts WHERE id = $1`, []any{account}, &generation)
		if errors.Is(err, ErrNotFound) {
			snap.view = newRegistries()
			return nil
		}
		if err != nil || generation == snap.generation {
			return err
		}
		changed, err := collect(ctx, tx, scanRegistry,
			`SELECT `+registryColumns+` FROM registries WHERE account_id = $1 AND revision > $2`, account, snap.generation)
		if err != nil {
			return err
		}
		snap.view.change(changed, generation)
		snap.generation = generation
		return nil
	})
}
