package store

import (
	"context"
	"fmt"
	"slices"

	"portolan"
)

// matched are the visible repositories that criteria select.
type matched struct {
	repositories, images int
	// few tells that ids are all of them, the newest first.
	few bool
	ids []int64
}

const (
	// maxMatched bounds the repositories of which ids are kept.
	maxMatched = 1_000
	// maxMatches bounds the criteria of which it is remembered what they select:
	// the pages of a list look at the names of all repositories once.
	maxMatches = 256
)

// matching finds the repositories that criteria select which are
// ofRepositories.
func (tx *Tx) matching(ctx context.Context, account int64, c *Criteria) (found matched, err error) {
	generation, err := tx.registryGeneration(ctx, account)
	if err != nil {
		return found, err
	}
	args := []any{account}
	where := c.where(&args)
	key := keyOf(where, args)
	if found, ok := tx.db.matches.get(key, generation); ok {
		return found, nil
	}
	from := fromRepositories + ` WHERE p.account_id = $1 AND ` + visibleRepository + where
	err = each(ctx, tx, func(row scanner) error {
		var id int64
		var images int
		err := row.Scan(&id, &images)
		found.ids = append(found.ids, id)
		found.images += images
		return err
	}, fmt.Sprintf(`SELECT p.id, `+publishedCount+from+` ORDER BY p.id DESC LIMIT %d`, maxMatched+1), args...)
	if err != nil {
		return found, err
	}
	found.repositories, found.few = len(found.ids), len(found.ids) <= maxMatched
	if !found.few {
		found.ids = nil
		err = tx.one(ctx, `SELECT count(*), COALESCE(SUM(`+publishedCount+`), 0)`+from, args, &found.repositories, &found.images)
	}
	if err == nil {
		tx.db.matches.put(key, generation, found, func(matched) bool { return false })
	}
	return found, err
}

// place is an image's place in the order of images.
type place struct {
	id int64
	mark
}

// pageAmong answers a page of the images of which a column is among some ids
// and for which the criteria of images hold.
func (w *imageWalk) pageAmong(ctx context.Context, column string, ids []int64, offset, limit int) (list []portolan.Image, total int, err error) {
	var all []place
	c := w.criteria.part(Field.ofImage)
	for part := range slices.Chunk(ids, fetchBatch) {
		var args []any
		in := amongNumbers(w.tx, &args, part)
		found, err := collect(ctx, w.tx, func(row scanner) (p place, err error) {
			return p, row.Scan(&p.id, &p.updated, &p.uuid)
		}, `SELECT i.id, i.updated, i.uuid FROM images i JOIN registries r ON r.id = i.registry_id
			WHERE `+column+` `+in+` AND `+visibleImage+c.where(&args), args...)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b place) int { return b.compare(a.mark) })
	start := min(offset, len(all))
	var page []int64
	for _, p := range all[start:min(start+limit, len(all))] {
		page = append(page, p.id)
	}
	list, err = w.tx.imagesByID(ctx, page)
	return list, len(all), err
}
