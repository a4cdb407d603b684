package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
)

// Recount counts a registry's visible images row by row, for checks: it must
// equal ImageCount. That blocks say what rows say is checked too.
func (db *DB) Recount(ctx context.Context, registry int64) (images, inRepositories, kept int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		if err := tx.checkBlocks(ctx, registry); err != nil {
			return err
		}
		if err := tx.one(ctx, `SELECT count(*)`+fromImages+` WHERE i.registry_id = $1 AND `+visibleImage, []any{registry}, &images); err != nil {
			return err
		}
		if err := tx.one(ctx, `SELECT COALESCE(SUM(`+publishedCount+`), 0)`+fromRepositories+` WHERE p.registry_id = $1 AND `+visibleRepository,
			[]any{registry}, &inRepositories); err != nil {
			return err
		}
		return tx.one(ctx, `SELECT image_count FROM registries WHERE id = $1`, []any{registry}, &kept)
	})
	return images, inRepositories, kept, err
}

// checkBlocks compares the blocks of a registry with the rows of its images, and
// answers an error for one that does not say what they say.
func (tx *Tx) checkBlocks(ctx context.Context, registry int64) error {
	want := map[int64][]blockImage{}
	err := each(ctx, tx, func(row scanner) error {
		var block int64
		var i blockImage
		err := row.Scan(new(int64), &block, &i.id, &i.repository, &i.born, &i.gone, &i.tags)
		want[block] = append(want[block], i)
		return err
	}, `SELECT `+writtenColumns+` FROM images WHERE registry_id = $1 ORDER BY id`, registry)
	if err != nil {
		return err
	}
	err = each(ctx, tx, func(row scanner) error {
		var block, newest, retired int64
		var tags, heads string
		if err := row.Scan(&block, &newest, &retired, &tags, &heads); err != nil {
			return err
		}
		images, err := blockOf(tags, heads)
		if err != nil {
			return err
		}
		has, says := []any{registry, block, newest, retired, tags, heads}, blockRow(registry, block, images)
		slices.SortFunc(images, func(a, b blockImage) int { return cmp.Compare(a.id, b.id) })
		if !slices.Equal(has, says) || !slices.Equal(images, want[block]) {
			return fmt.Errorf("block %d of registry %d is %v, and its images are %v", block, registry, has, want[block])
		}
		delete(want, block)
		return nil
	}, `SELECT block, newest, retired, tags, heads FROM image_blocks WHERE registry_id = $1`, registry)
	if err == nil && len(want) > 0 {
		err = fmt.Errorf("registry %d has no blocks %v", registry, slices.Sorted(maps.Keys(want)))
	}
	return err
}
