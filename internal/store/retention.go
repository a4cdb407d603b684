package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"portolan"
)

// ErrPreviewOutdated is returned by Retain when what it would remove is not what
// was previewed.
var ErrPreviewOutdated = errors.New("what would be removed has changed since the preview")

// Removal is an image that retention removes: one that is gone and no longer
// remembered, or one that was not reported for too long.
type Removal struct {
	ImageChange
	// Reported tells that it is listed until then; else it is gone.
	Reported bool
	// Since is when it was last reported, or became gone.
	Since time.Time
}

// Preview is the set of images that retention removes of a registry: gone or
// last reported before Cutoff. Digest stands for exactly that set.
type Preview struct {
	Cutoff           time.Time
	Gone, Unreported int
	Digest           [sha256.Size]byte
}

// Total is the number of images in the set.
func (p *Preview) Total() int { return p.Gone + p.Unreported }

// What retention removes. The history of an image that is back goes without a
// word: its Uuid lives on.
const (
	removableGone = ` FROM images i JOIN registries r ON r.id = i.registry_id JOIN repositories p ON p.id = i.repository_id
		WHERE i.registry_id = $1 AND i.superseded = 0 AND i.gone_at > 0 AND i.gone_at < $2 AND i.gone <= r.published AND ` + newest
	newest = `NOT EXISTS (SELECT 1 FROM images o WHERE o.account_id = i.account_id AND o.uuid = i.uuid AND o.id > i.id)`
)

// PreviewRetention answers a page (from 1) of the images that retention with a
// cutoff removes of a registry, in the order of their coming, and the whole set.
func (db *DB) PreviewRetention(ctx context.Context, r *portolan.Registry, cutoff time.Time, page, size int) (list []Removal, p Preview, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		if p, _, err = tx.removable(ctx, r, cutoff, false); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanRemoval, `SELECT * FROM (
			SELECT i.id, 0 AS reported, i.gone_at AS since, p.path, i.digest, i.uuid, i.tags`+removableGone+`
			UNION ALL SELECT i.id, 1, i.last_seen, p.path, i.digest, i.uuid, i.tags`+unreported+`) x
			ORDER BY x.id LIMIT $3 OFFSET $4`, r.ID, millis(cutoff), size, skipped(page, size))
		return err
	})
	return list, p, err
}

func scanRemoval(row scanner) (m Removal, err error) {
	var id, reported, since int64
	var tags string
	err = row.Scan(&id, &reported, &since, &m.Path, &m.Digest, &m.UUID, &tags)
	m.Reported, m.Since, m.Before = reported != 0, instant(since), splitTags(tags)
	return m, err
}

// removableRows are the rows of a set.
type removableRows struct{ gone, reported []int64 }

// removable looks through a set; it answers the rows if they are wanted.
func (tx *Tx) removable(ctx context.Context, r *portolan.Registry, cutoff time.Time, wanted bool) (p Preview, rows removableRows, err error) {
	p.Cutoff = cutoff
	sum := sha256.New()
	addTo(sum, r.ID, millis(cutoff))
	for _, part := range []struct {
		from  string
		count *int
		rows  *[]int64
	}{{removableGone, &p.Gone, &rows.gone}, {unreported, &p.Unreported, &rows.reported}} {
		err := each(ctx, tx, func(row scanner) error {
			var id int64
			err := row.Scan(&id)
			addTo(sum, id)
			if *part.count++; wanted {
				*part.rows = append(*part.rows, id)
			}
			return err
		}, `SELECT i.id`+part.from+` ORDER BY i.id`, r.ID, millis(cutoff))
		if err != nil {
			return p, rows, err
		}
		addTo(sum, int64(*part.count))
	}
	p.Digest = [sha256.Size]byte(sum.Sum(nil))
	return p, rows, nil
}

func addTo(to hash.Hash, numbers ...int64) {
	for _, n := range numbers {
		_, _ = to.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // the bits count; a hash takes all
	}
}

// retainBatch bounds what is removed in one transaction.
const retainBatch = 100

// Retain removes the set of a cutoff if it is the one that was previewed, in
// small transactions, and answers how many images that were; ErrPreviewOutdated
// if it is another one. What changes while it removes stays, and ends it with
// the same error.
func (db *DB) Retain(ctx context.Context, r *portolan.Registry, cutoff time.Time, previewed func(Preview) bool) (removed int, err error) {
	var rows removableRows
	err = db.View(ctx, func(tx *Tx) error {
		var now Preview
		now, rows, err = tx.removable(ctx, r, cutoff, true)
		if err == nil && !previewed(now) {
			err = ErrPreviewOutdated
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, part := range []struct {
		ids    []int64
		remove func(context.Context, *portolan.Registry, time.Time, []int64) (int, error)
	}{{rows.gone, db.forgetGone}, {rows.reported, db.expireRows}} {
		for ids := range slices.Chunk(part.ids, retainBatch) {
			n, err := part.remove(ctx, r, cutoff, ids)
			removed += n
			if err == nil && n < len(ids) {
				err = ErrPreviewOutdated
			}
			if err != nil {
				return removed, fmt.Errorf("apply the retention of registry %d: %w", r.ID, err)
			}
		}
	}
	return removed, nil
}

// forgetGone deletes rows of images that are gone, unless one has come back.
func (db *DB) forgetGone(ctx context.Context, r *portolan.Registry, cutoff time.Time, ids []int64) (n int, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		if err := tx.lockImages(ctx, r.ID); err != nil {
			return err
		}
		args := []any{millis(cutoff)}
		deleted, err := tx.deleteImages(ctx, `DELETE FROM images WHERE gone > 0 AND gone_at > 0 AND gone_at < $1 AND id `+amongNumbers(tx, &args, ids)+`
			AND NOT EXISTS (SELECT 1 FROM images o WHERE o.account_id = images.account_id AND o.uuid = images.uuid AND o.id > images.id)`, args...)
		n = int(deleted)
		return err
	})
	return n, err
}

// expireRows takes out images that were not reported, unless they were since.
func (db *DB) expireRows(ctx context.Context, r *portolan.Registry, cutoff time.Time, ids []int64) (n int, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		if err := tx.lockImages(ctx, r.ID); err != nil {
			return err
		}
		if _, err := tx.Registry(ctx, r.AccountID, r.ID); err != nil {
			return err
		}
		args := []any{r.ID, millis(cutoff)}
		list, err := collect(ctx, tx, scanExpiring, expiring+` AND i.id `+amongNumbers(tx, &args, ids), args...)
		if n = len(list); err != nil || n == 0 {
			return err
		}
		return tx.expire(ctx, r, list)
	})
	return n, err
}
