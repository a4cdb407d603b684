package store

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"golang.org/x/sync/errgroup"

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
			return w.pageOf(ctx, found.ids, offset, limit)
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

const (
	// maxCollected is how many images that have a tag are sorted in memory.
	maxCollected = 1_000
	// splitFrom is the number of images from which on tags are looked at in two
	// halves at once.
	splitFrom  = 100_000
	fetchBatch = 200
)

// tagged is an image that has a tag.
type tagged struct{ id, registry int64 }

// tagParts are visibleImage in parts, so that each is a range of an index and
// nothing is left to be compared but the tags: a third of the time.
func tagParts() []string {
	const visible = `r.deleted = 0 AND i.born <= r.published AND `
	return []string{
		visible + `i.gone = 0 AND length(i.tags_folded) <= 500`,
		visible + `i.gone > r.published AND length(i.tags_folded) <= 500`,
		visible + `(i.gone = 0 OR i.gone > r.published) AND length(i.tags_folded) > 500`,
	}
}

// pageByTag looks at the tags of all images once: it collects the few that
// have one, or counts the many, which then lie close in the order.
func (w *imageWalk) pageByTag(ctx context.Context, offset, limit int) (list []portolan.Image, total int, err error) {
	found, err := w.taggedInAll(ctx)
	if err != nil {
		return nil, 0, err
	}
	if found.many {
		list, err = w.read(ctx, nearer(offset, limit, found.total))
		return list, found.total, err
	}
	list, err = w.tx.imagesByID(ctx, found.list)
	start := min(offset, len(list))
	return list[start:min(start+limit, len(list))], found.total, err
}

// taggedImages are the images that have a tag: how many, and which unless they
// are many.
type taggedImages struct {
	total int
	list  []tagged
	many  bool
}

// taggedInAll looks at the tags of all registries. Where they have many images
// it does so in two halves at once, one for all who ask, so that nobody who
// waits for a connection holds one that another one waits for. Both halves
// belong to the state that the transaction sees.
func (w *imageWalk) taggedInAll(ctx context.Context) (taggedImages, error) {
	second := w.registries.half(w.tx.db.splitFrom)
	if second == 0 || !w.tx.db.splitting.TryLock() {
		return w.taggedIn(ctx, 0, math.MaxInt64)
	}
	defer w.tx.db.splitting.Unlock()
	generation, err := w.tx.registryGeneration(ctx, w.account)
	if err != nil {
		return taggedImages{}, err
	}
	var halves [2]taggedImages
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		halves[0], err = w.taggedIn(inner, 0, second)
		return err
	})
	moved := false
	group.Go(func() error {
		return w.tx.db.View(inner, func(tx *Tx) error {
			now, err := tx.registryGeneration(inner, w.account)
			if moved = now != generation; err != nil || moved {
				return err
			}
			other := *w
			other.tx = tx
			halves[1], err = other.taggedIn(inner, second, math.MaxInt64)
			return err
		})
	})
	if err = group.Wait(); err == nil && moved {
		halves[1], err = w.taggedIn(ctx, second, math.MaxInt64)
	}
	found := taggedImages{
		total: halves[0].total + halves[1].total, list: slices.Concat(halves[0].list, halves[1].list), many: halves[0].many || halves[1].many,
	}
	found.many = found.many || len(found.list) > maxCollected
	return found, err
}

// taggedIn looks at the tags of the registries with ids from one on, up to
// another.
func (w *imageWalk) taggedIn(ctx context.Context, first, end int64) (all taggedImages, err error) {
	for _, part := range tagParts() {
		found, err := w.collectTagged(ctx, part, first, end)
		if err != nil {
			return all, err
		}
		all.total += len(found)
		all.list = append(all.list, found...)
		if len(found) <= maxCollected {
			continue
		}
		all.many = true
		last := found[len(found)-1].registry
		rest, err := w.countTagged(ctx, part, last, end)
		if err != nil {
			return all, err
		}
		all.total += rest - (len(found) - slices.IndexFunc(found, func(t tagged) bool { return t.registry == last }))
	}
	return all, nil
}

// taggedFrom reads a part of the index of tags, registry by registry, which is
// its order; the plus keeps the registries in the order of their ids.
func (w *imageWalk) taggedFrom(part string, first, end int64) (from string, args []any) {
	args = []any{w.account}
	where := w.criteria.where(&args)
	join := ""
	if w.criteria.ofPaths() {
		join = ` JOIN repositories p ON p.id = i.repository_id`
	}
	args = append(args, first, end)
	return fmt.Sprintf(` FROM registries r CROSS JOIN images i%s WHERE +r.account_id = $1 AND r.id >= $%d AND r.id < $%d AND i.registry_id = r.id AND %s%s`,
		join, len(args)-1, len(args), part, where), args
}

// collectTagged answers, by registry, the images of a part that the criteria
// select, at most one more than are collected.
func (w *imageWalk) collectTagged(ctx context.Context, part string, first, end int64) ([]tagged, error) {
	from, args := w.taggedFrom(part, first, end)
	return collect(ctx, w.tx, func(row scanner) (t tagged, err error) {
		return t, row.Scan(&t.id, &t.registry)
	}, fmt.Sprintf(`SELECT i.id, r.id%s ORDER BY r.id LIMIT %d`, from, maxCollected+1), args...)
}

// countTagged counts those of the registries from one on.
func (w *imageWalk) countTagged(ctx context.Context, part string, first, end int64) (n int, err error) {
	from, args := w.taggedFrom(part, first, end)
	err = w.tx.one(ctx, `SELECT count(*)`+from, args, &n)
	return n, err
}

// imagesByID answers images, the last updated first.
func (tx *Tx) imagesByID(ctx context.Context, found []tagged) ([]portolan.Image, error) {
	var list []portolan.Image
	for part := range slices.Chunk(found, fetchBatch) {
		var args []any
		ids := make([]int64, len(part))
		for i, f := range part {
			ids[i] = f.id
		}
		images, err := collect(ctx, tx, scanImage, `SELECT `+imageFields+fromImages+` WHERE i.id `+amongNumbers(tx, &args, ids), args...)
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
