package store

import (
	"context"
	"errors"
)

// Reverted is what a call of Revert took back.
type Reverted struct {
	// Rows is the number of images touched.
	Rows int
	// Versions are those that lost a new version.
	Versions int
	// Count is by how much the repository's number of images changed, told by
	// the last call.
	Count int
}

// Revert takes back what a reading has applied of a repository that it could
// not read to the end, at most limit images of each kind a call. It is called
// until it answers no rows; the last call corrects the counts. before saves
// the lease with what was taken back, in the same transaction.
func (db *DB) Revert(ctx context.Context, l *Lease, path string, counted bool, limit int, before func(Reverted) error) (r Reverted, err error) {
	err = db.leasedImages(ctx, l, func(tx *Tx) error {
		r = Reverted{}
		var id int64
		err := tx.one(ctx, `SELECT id FROM repositories WHERE registry_id = $1 AND path = $2`, []any{l.Sync.RegistryID, path}, &id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := tx.revertImages(ctx, id, l.Sync.Generation, counted, limit, &r); err != nil {
			return err
		}
		if r.Rows == 0 {
			if err := tx.revertCount(ctx, id, l.Sync.Generation, &r); err != nil {
				return err
			}
		}
		if err := before(r); err != nil {
			return err
		}
		return tx.hold(ctx, l)
	})
	return r, err
}

func (tx *Tx) revertImages(ctx context.Context, repository, generation int64, counted bool, limit int, r *Reverted) error {
	born, err := tx.deleteImages(ctx, `DELETE FROM images WHERE id IN (SELECT id FROM images WHERE repository_id = $1 AND born = $2 LIMIT $3)`,
		repository, generation, limit)
	if err != nil {
		return err
	}
	gone, err := tx.changeImages(ctx, `UPDATE images SET gone = 0, gone_at = 0, superseded = 0
		WHERE id IN (SELECT id FROM images WHERE repository_id = $1 AND gone = $2 LIMIT $3)`, repository, generation, limit)
	if err != nil {
		return err
	}
	lacking, err := tx.exec(ctx, forget+`(SELECT id FROM images WHERE repository_id = $2 AND lacks > 0 AND lacked = $3 LIMIT $4)`,
		flag(counted), repository, generation, limit)
	r.Rows, r.Versions = int(born+gone+lacking), int(gone)
	return err
}

func (tx *Tx) revertCount(ctx context.Context, repository, generation int64, r *Reverted) error {
	var before, after int
	if err := tx.one(ctx, `SELECT staged_count FROM repositories WHERE id = $1`, []any{repository}, &before); err != nil {
		return err
	}
	if err := tx.one(ctx, `SELECT count(*) FROM images WHERE repository_id = $1 AND gone = 0`, []any{repository}, &after); err != nil {
		return err
	}
	r.Count = after - before
	if err := tx.countStaged(ctx, generation, repository, r.Count); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `UPDATE repositories SET staged_visibility = visibility WHERE id = $1 AND shown_from = $2`, repository, generation); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `UPDATE repositories SET gone = born WHERE id = $1 AND born = $2 AND gone = 0`, repository, generation)
	return err
}
