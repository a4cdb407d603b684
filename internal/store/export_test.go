package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"portolan"
)

// EraSize is that of SQLite's index of digests.
const EraSize = eraSize

// CheckBlocks compares all blocks with the rows of images.
func (db *DB) CheckBlocks(ctx context.Context) error {
	return db.View(ctx, func(tx *Tx) error {
		registries, err := collect(ctx, tx, scanValue[int64], `SELECT registry_id FROM images UNION SELECT registry_id FROM image_blocks`)
		for _, id := range registries {
			err = errors.Join(err, tx.checkBlocks(ctx, id))
		}
		return err
	})
}

// VerifyOnly sets of how many images the rows are looked at for a whole tag.
func (db *DB) VerifyOnly(images int) { db.verified = images }

// RecentOnly sets how many images are looked at for the values of a field.
func (db *DB) RecentOnly(images int) { db.recent = images }

// AmongDigests is what images are selected from by digests, and how.
func (db *DB) AmongDigests(ctx context.Context, digests ...portolan.Digest) (from, condition string, err error) {
	var args []any
	err = db.look(ctx, func(tx *Tx) error {
		from, condition, err = tx.amongDigests(ctx, &args, digests)
		return err
	})
	return db.literal(from, args), db.literal(condition, args), err
}

// Counting is how the images that criteria select are counted.
func (db *DB) Counting(account int64, c *Criteria) string {
	w, args := imageWalk{account: account, criteria: c}, []any{account}
	return db.literal(w.counting(c.where(&args)), args)
}

// ReportedDigest is how the image of a report is found.
func (db *DB) ReportedDigest() string {
	return db.literal(`SELECT id `+fromDigest, []any{1, "sha256:1", 1})
}

// literal is a query in the words of the dialect, with its arguments in it.
func (db *DB) literal(query string, args []any) string {
	for n, arg := range args {
		text := fmt.Sprintf("'%v'", arg)
		if list, ok := arg.([]string); ok {
			text = "ARRAY['" + strings.Join(list, "','") + "']"
		}
		query = strings.ReplaceAll(query, fmt.Sprintf("$%d", n+1), text)
	}
	return db.dialect.text(query)
}

// ChangedRegistries is how what changed of a list is selected.
const ChangedRegistries = changedRegistries

// Reader is a server that knows nothing yet and reads lists in parts.
func Reader(db *DB) *DB {
	return &DB{dialect: db.dialect, now: db.now, read: db.read, reading: db.reading}
}
