package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"portolan"
)

// stretch is a part of a list: limit rows after offset, counted from the end
// if backwards.
type stretch struct {
	offset, limit int
	backwards     bool
}

// nearer is a page of a list of total rows, counted from the nearer end, so
// that the last pages are as quick as the first.
func nearer(offset, limit, total int) stretch {
	s := stretch{offset: offset, limit: min(limit, total-offset)}
	if offset > total/2 {
		s.offset, s.backwards = total-offset-s.limit, true
	}
	return s
}

func (s *stretch) direction() string {
	if s.backwards {
		return "ASC"
	}
	return "DESC"
}

// imageWalk reads a page of images and their number in a transaction.
type imageWalk struct {
	tx         *Tx
	account    int64
	criteria   *Criteria
	registries *Registries
}

func (w *imageWalk) page(ctx context.Context, offset, limit int) (list []portolan.Image, total int, err error) {
	var found matched
	if w.criteria.byPath() {
		paths := w.criteria.part(func(f Field) bool { return !f.ofImage() })
		if found, err = w.tx.matching(ctx, w.account, &paths); err != nil {
			return nil, 0, err
		}
		if found.few && found.images <= maxCollected {
			return w.pageAmong(ctx, `i.repository_id`, found.ids, offset, limit)
		}
	}
	switch {
	case w.criteria.byTag():
		return w.pageByTag(ctx, offset, limit)
	case w.criteria.byPath() && w.criteria.ofRepositories():
		total = found.images
		if s := nearer(offset, limit, total); found.few && s.limit > 0 && len(found.ids) <= maxMerged && s.offset+s.limit <= maxAhead {
			list, err = w.merge(ctx, found.ids, s)
			return list, total, err
		}
	default:
		if total, err = w.count(ctx); err != nil {
			return nil, 0, err
		}
	}
	list, err = w.read(ctx, nearer(offset, limit, total))
	return list, total, err
}

// count counts without looking at images where the counts of registries or
// repositories tell it: those of registries from memory, if they belong to the
// state that the transaction sees.
func (w *imageWalk) count(ctx context.Context) (total int, err error) {
	c := w.criteria
	if c.ofRegistries() {
		images, _, generation := w.registries.countsOf(c)
		if now, err := w.tx.registryGeneration(ctx, w.account); err != nil || now == generation {
			return images, err
		}
	}
	args := []any{w.account}
	where := c.where(&args)
	switch {
	case c.ofRegistries():
		err = w.tx.one(ctx, `SELECT COALESCE(SUM(r.image_count), 0) FROM registries r WHERE r.account_id = $1 AND r.deleted = 0`+where, args, &total)
	case c.ofRepositories():
		err = w.tx.one(ctx, `SELECT COALESCE(SUM(`+publishedCount+`), 0)`+fromRepositories+` WHERE p.account_id = $1 AND `+visibleRepository+where, args, &total)
	default:
		err = w.tx.one(ctx, w.counting(where), args, &total)
	}
	return total, err
}

func (w *imageWalk) counting(where string) string {
	return `SELECT count(*)` + w.from() + ` WHERE i.account_id = $1 AND ` + visibleImage + where
}

// from joins what the criteria look at. Where they name images by a key, the
// plus keeps the planner from looking at all of a registry or repository.
func (w *imageWalk) from() string {
	plus := ""
	if w.criteria.few() {
		plus = "+"
	}
	from := ` FROM images i JOIN registries r ON r.id = ` + plus + `i.registry_id`
	if w.criteria.ofPaths() {
		from += ` JOIN repositories p ON p.id = ` + plus + `i.repository_id`
	}
	return from
}

// read reads a stretch of the order. The rows are found in the index alone,
// and only those of the stretch are read.
func (w *imageWalk) read(ctx context.Context, s stretch) ([]portolan.Image, error) {
	if s.limit <= 0 {
		return nil, nil
	}
	after, offset, err := w.seek(ctx, &s)
	if err != nil {
		return nil, err
	}
	found, args := w.ordered(`i.id`, &s, after)
	n := len(args)
	list, err := collect(ctx, w.tx, scanImage, fmt.Sprintf(`SELECT `+imageFields+` FROM (%s LIMIT $%d OFFSET $%d) x
		JOIN images i ON i.id = x.id JOIN registries r ON r.id = i.registry_id JOIN repositories p ON p.id = i.repository_id`, found, n+1, n+2),
		append(args, s.limit, offset)...)
	newestFirst(list)
	return list, err
}

// ordered is the query of columns of the images in their order, from a mark on.
func (w *imageWalk) ordered(columns string, s *stretch, from *mark) (query string, args []any) {
	args = []any{w.account}
	where := w.criteria.where(&args)
	if from != nil {
		than := "<="
		if s.backwards {
			than = ">="
		}
		args = append(args, from.updated, from.uuid)
		where += fmt.Sprintf(` AND (i.updated, i.uuid) %s (CAST($%d AS BIGINT), CAST($%d AS TEXT))`, than, len(args)-1, len(args))
	}
	rows, order := w.from()+` WHERE `+visibleImage+` AND `, "i.updated"
	switch {
	case w.criteria.few():
		order = "+i.updated" // found by their key and sorted, not met in the order's index
	case !w.criteria.ofPaths() && !w.criteria.oneRegistry():
		rows = walkImages + ` WHERE `
	}
	return fmt.Sprintf(`SELECT %s%si.account_id = $1%s ORDER BY %s %s, i.uuid %[5]s`, columns, rows, where, order, s.direction()), args
}

func newestFirst(list []portolan.Image) {
	slices.SortFunc(list, func(a, b portolan.Image) int {
		return cmp.Or(b.Updated.Compare(a.Updated), cmp.Compare(b.UUID, a.UUID))
	})
}

const fetchBatch = 200

// imagesByID answers images, the last updated first.
func (tx *Tx) imagesByID(ctx context.Context, found []int64) ([]portolan.Image, error) {
	var list []portolan.Image
	for part := range slices.Chunk(found, fetchBatch) {
		var args []any
		images, err := collect(ctx, tx, scanImage, `SELECT `+imageFields+fromImages+` WHERE i.id `+amongNumbers(tx, &args, part), args...)
		if err != nil {
			return nil, err
		}
		list = append(list, images...)
	}
	newestFirst(list)
	return list, nil
}

// A mark is a place in the order of images.
type mark struct {
	updated int64
	uuid    string
}

// compare orders marks, the newest last.
func (m mark) compare(o mark) int {
	return cmp.Or(cmp.Compare(m.updated, o.updated), cmp.Compare(m.uuid, o.uuid))
}

const (
	// stride is the number of images between two marks.
	stride = 1_000
	// maxTrails bounds the orders for which the marks are kept that were passed
	// on the way to pages far from either end: the next such page starts at the
	// mark before it.
	maxTrails = 64
)

// seek finds the last mark before a stretch, and the offset from there.
func (w *imageWalk) seek(ctx context.Context, s *stretch) (*mark, int, error) {
	wanted := s.offset / stride
	if wanted < 2 {
		return nil, s.offset, nil
	}
	generation, err := w.tx.registryGeneration(ctx, w.account)
	if err != nil {
		return nil, 0, err
	}
	query, args := w.ordered("", s, nil)
	key := keyOf(query, args)
	known, _ := w.tx.db.trails.get(key, generation)
	passed := slices.Clip(known)
	for len(passed) < wanted {
		next, err := w.nextMark(ctx, s, passed)
		if err != nil {
			return nil, 0, err
		}
		passed = append(passed, next)
	}
	w.tx.db.trails.put(key, generation, passed, func(known []mark) bool { return len(known) >= len(passed) })
	return &passed[wanted-1], s.offset - wanted*stride, nil
}

func (w *imageWalk) nextMark(ctx context.Context, s *stretch, passed []mark) (m mark, err error) {
	var last *mark
	if len(passed) > 0 {
		last = &passed[len(passed)-1]
	}
	query, args := w.ordered(`i.updated, i.uuid`, s, last)
	return m, w.tx.one(ctx, fmt.Sprintf(`%s LIMIT 1 OFFSET %d`, query, stride), args, &m.updated, &m.uuid)
}
