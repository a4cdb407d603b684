package store

import (
	"context"
	"time"

	"portolan"
)

// Task is what a report made: a note that an image came, and once scanning
// exists that it is to be scanned.
type Task struct {
	ID         string
	RegistryID int64
	UUID       string // of the image
	Created    time.Time
	// Image is the image as it is now, nil if it is in no list any more; Build
	// is the label of its last build.
	Image *portolan.Image
	Build string
}

// Task answers a task of an account; ErrNotFound if there is none, or its
// registry was deleted.
func (db *DB) Task(ctx context.Context, account int64, id string) (Task, error) {
	var t Task
	err := db.View(ctx, func(tx *Tx) error {
		var created int64
		err := tx.one(ctx, `SELECT t.id, t.registry_id, t.uuid, t.created FROM scan_tasks t JOIN registries r ON r.id = t.registry_id
			WHERE t.account_id = $1 AND t.id = $2 AND r.deleted = 0`, []any{account, id}, &t.ID, &t.RegistryID, &t.UUID, &created)
		if err != nil {
			return err
		}
		t.Created = instant(created)
		list, err := collect(ctx, tx, scanImage, `SELECT `+imageFields+fromImages+` WHERE i.account_id = $1 AND `+visibleImage+` AND i.uuid = $2`, account, t.UUID)
		if err != nil || len(list) == 0 {
			return err
		}
		t.Image = &list[0]
		return tx.one(ctx, `SELECT build FROM images WHERE account_id = $1 AND uuid = $2 AND gone = 0`, []any{account, t.UUID}, &t.Build)
	})
	return t, err
}
