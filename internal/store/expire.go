package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"portolan"
)

// unreported are the images of registry $1 that are listed and were not
// reported since $2: all that expires is selected by it. Images of registries
// that are read have no last_seen.
const unreported = ` FROM images i JOIN repositories p ON p.id = i.repository_id
	WHERE i.registry_id = $1 AND i.last_seen > 0 AND i.last_seen < $2 AND i.gone = 0`

const expiring = `SELECT i.id, i.repository_id, p.path, i.digest, i.uuid, i.tags` + unreported

// expiringImage is an image that is about to expire.
type expiringImage struct {
	row, repository int64
	ImageChange
}

func scanExpiring(row scanner) (e expiringImage, err error) {
	var tags string
	err = row.Scan(&e.row, &e.repository, &e.Path, &e.Digest, &e.UUID, &tags)
	e.Kind, e.Before = ChangeGone, splitTags(tags)
	return e, err
}

// expireRegistries is of how many registries images are taken out in one call.
const expireRegistries = 20

// ExpireReported takes images out of the lists and counts that were not
// reported for their registry's PersistenceDay days, at most limit in a
// transaction, and answers how many. Their history is kept as that of gone
// images is. It is to be called again while it answers more than 0.
func (db *DB) ExpireReported(ctx context.Context, limit int) (expired int, err error) {
	var owners []Due
	err = db.View(ctx, func(tx *Tx) error {
		owners, err = collect(ctx, tx, func(row scanner) (d Due, err error) { return d, row.Scan(&d.AccountID, &d.RegistryID) },
			`SELECT r.account_id, r.id FROM registries r WHERE r.type = 'CI/CD' AND r.deleted = 0 AND EXISTS (SELECT 1 FROM images i
				WHERE i.registry_id = r.id AND i.last_seen > 0 AND i.gone = 0 AND i.last_seen < $1 - r.persistence_day * 86400000) LIMIT $2`,
			millis(tx.Now()), expireRegistries)
		return err
	})
	for _, o := range owners {
		n, err := db.expireOf(ctx, o, limit)
		if expired += n; err != nil {
			return expired, fmt.Errorf("expire images of registry %d: %w", o.RegistryID, err)
		}
	}
	return expired, err
}

// expireOf takes out images of one registry; none of one that was deleted.
func (db *DB) expireOf(ctx context.Context, o Due, limit int) (expired int, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		expired = 0
		if err := tx.lockImages(ctx, o.RegistryID); err != nil {
			return err
		}
		r, err := tx.Registry(ctx, o.AccountID, o.RegistryID)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		cutoff := tx.Now().Add(-time.Duration(r.PersistenceDay) * 24 * time.Hour)
		list, err := collect(ctx, tx, scanExpiring, expiring+` ORDER BY i.last_seen, i.id LIMIT $3`, r.ID, millis(cutoff), limit)
		list = few(list)
		if expired = len(list); err != nil || expired == 0 {
			return err
		}
		return tx.expire(ctx, r, list)
	})
	return expired, err
}

// expiringTags bounds the tags that one transaction deletes.
const expiringTags = 1_000

// few are the first images of a list, as many as have few enough tags, at least
// one.
func few(list []expiringImage) []expiringImage {
	tags := 0
	for i := range list {
		if tags += len(list[i].Before); tags > expiringTags && i > 0 {
			return list[:i]
		}
	}
	return list
}

// expire takes images of a locked registry out, and repositories that have none
// left.
func (tx *Tx) expire(ctx context.Context, r *portolan.Registry, list []expiringImage) error {
	rows, changes := make([]int64, len(list)), make([]ImageChange, len(list))
	perRepository := map[int64]int{}
	for i, e := range list {
		rows[i], changes[i] = e.row, e.ImageChange
		perRepository[e.repository]--
	}
	if _, err := tx.amongRows(ctx, tx.changeImages, `UPDATE images SET gone = $1, gone_at = $2 WHERE id %s`,
		[]any{reportedGeneration, millis(tx.Now())}, rows); err != nil {
		return err
	}
	if err := tx.inRows(ctx, `DELETE FROM reported_tags WHERE image_id %s`, nil, rows); err != nil {
		return err
	}
	if err := tx.NoteChanges(ctx, r, changes); err != nil {
		return err
	}
	gone, err := tx.shrink(ctx, perRepository)
	if err != nil {
		return err
	}
	revision, err := tx.nextRevision(ctx, r.AccountID)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE registries SET revision = $1, image_count = image_count - $2, repository_count = repository_count - $3 WHERE id = $4`,
		revision, len(list), gone, r.ID)
	return err
}

// shrink changes the counts of repositories and answers how many of them are
// gone, for they have no images left.
func (tx *Tx) shrink(ctx context.Context, deltas map[int64]int) (gone int64, err error) {
	for repository, delta := range deltas {
		if err := tx.countStaged(ctx, reportedGeneration, repository, delta); err != nil {
			return 0, err
		}
	}
	args := []any{reportedGeneration}
	return tx.exec(ctx, `UPDATE repositories SET gone = $1 WHERE staged_count = 0 AND gone = 0 AND id `+
		amongNumbers(tx, &args, slices.Sorted(maps.Keys(deltas))), args...)
}
