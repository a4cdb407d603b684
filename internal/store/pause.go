package store

import (
	"context"
	"errors"
	"time"
)

// SetPaused pauses or resumes a registry and reports whether that is new; while
// it is paused no reading of it is due, and RequestSync makes none.
// ErrNotFound if there is no visible one.
func (tx *Tx) SetPaused(ctx context.Context, account, id int64, paused bool) (changed bool, err error) {
	r, err := tx.Registry(ctx, account, id)
	if err != nil || r.Paused == paused {
		return false, err
	}
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return false, err
	}
	return true, tx.execOne(ctx, `UPDATE registries SET revision = $1, paused = $2, next_sync = 0, modified = $3 WHERE id = $4`,
		revision, flag(paused), millis(tx.Now()), id)
}

// paused reports whether a registry is paused.
func (tx *Tx) paused(ctx context.Context, id int64) (bool, error) {
	var paused int64
	err := tx.one(ctx, `SELECT paused FROM registries WHERE id = $1`, []any{id}, &paused)
	if errors.Is(err, ErrNotFound) {
		return false, nil // what refers to it says so
	}
	return paused != 0, err
}

// SkipReadSince marks the repositories as skipped whose last complete listing
// ended at a time or later, unless images of theirs lack. It answers how many.
func (db *DB) SkipReadSince(ctx context.Context, l *Lease, since time.Time) (skipped int, err error) {
	err = db.leased(ctx, l, func(tx *Tx) error {
		n, err := tx.exec(ctx, `UPDATE sync_repositories SET state = 'skipped' WHERE sync_id = $1 AND state = 'todo' AND vanished = 0
			AND EXISTS (SELECT 1 FROM repositories p WHERE p.registry_id = $2 AND p.path = sync_repositories.path AND p.gone = 0 AND p.read_at >= $3
				AND NOT EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id AND i.registry_id = $2 AND i.lacks > 0))`,
			l.Sync.ID, l.Sync.RegistryID, millis(since))
		skipped = int(n)
		return err
	})
	return skipped, err
}
