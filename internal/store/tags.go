package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"portolan"
)

const (
	// maxCollected is how many images that have a tag are sorted in memory.
	maxCollected = 1_000
	// maxVerified is of how many images the rows are looked at for a tag that is
	// meant exactly.
	maxVerified = 50_000
)

// sought are folded texts of which an image must have one in its tags, or as one
// of them.
type sought struct {
	values []string
	whole  bool
}

func (t *sought) in(tags string) bool {
	return slices.ContainsFunc(t.values, func(v string) bool {
		if !t.whole {
			return strings.Contains(tags, v)
		}
		for one := range strings.SplitSeq(tags, "\n") {
			if one == v {
				return true
			}
		}
		return false
	})
}

// tagSearch looks for images by tags, in all blocks: a million images take a
// tenth of a second.
type tagSearch struct {
	*imageWalk
	sought []sought
	// repositories are the ids of those that are looked at, in order; nil for all.
	repositories []int64
}

// pageByTag answers the page from the few images that have a tag; that of many
// from the order of all, in which they then lie close.
func (w *imageWalk) pageByTag(ctx context.Context, offset, limit int) (list []portolan.Image, total int, err error) {
	s := &tagSearch{imageWalk: w}
	for _, t := range w.criteria.Terms {
		if t.Field.ofImage() {
			s.sought = append(s.sought, sought{foldedAll(t.Values), t.Field == FieldTagIs})
		}
	}
	exact, most := w.criteria.has(FieldTagIs), maxCollected
	if exact {
		most = w.tx.db.verified
	}
	if w.criteria.ofPaths() {
		if s.repositories, err = s.inPaths(ctx); err != nil {
			return nil, 0, err
		}
	}
	found, err := s.collect(ctx, most)
	switch {
	case errors.Is(err, errEnough):
		count := s.count
		if exact {
			count = w.count
		}
		if total, err = count(ctx); err != nil {
			return nil, 0, err
		}
		list, err = w.read(ctx, nearer(offset, limit, total))
		return list, total, err
	case err != nil:
		return nil, 0, err
	case exact: // blocks have tags folded, so the rows decide
		return w.pageAmong(ctx, `i.id`, found, offset, limit)
	}
	list, err = w.tx.imagesByID(ctx, found)
	start := min(offset, len(list))
	return list[start:min(start+limit, len(list))], len(found), err
}

// foldedAll are values as tags are compared with them, but those that no tag
// holds.
func foldedAll(values []string) (folded []string) {
	for _, v := range values {
		if v = portolan.Fold(v); storable(v) {
			folded = append(folded, v)
		}
	}
	return folded
}

// anyInBlock is the condition that one of some values is in a block. Then it
// may be in the tags of an image.
func anyInBlock(values []string, args *[]any) string {
	if len(values) == 0 {
		return nothing
	}
	conditions := make([]string, len(values))
	for n, v := range values {
		*args = append(*args, v)
		conditions[n] = fmt.Sprintf(`@INSTR(b.tags, CAST($%d AS TEXT)) > 0`, len(*args))
	}
	return strings.Join(conditions, ` OR `)
}

// inPaths answers the repositories that the criteria select.
func (s *tagSearch) inPaths(ctx context.Context) ([]int64, error) {
	paths, args := s.criteria.part(func(f Field) bool { return !f.ofImage() }), []any{s.account}
	where := paths.where(&args)
	ids, err := collect(ctx, s.tx, scanValue[int64], `SELECT p.id`+fromRepositories+` WHERE p.account_id = $1`+where, args...)
	slices.Sort(ids)
	return append([]int64{}, ids...), err
}

// collect answers the ids of the images; errEnough if there are more than so
// many. Nor does it look at more blocks, since an image is found in nearly each,
// and PostgreSQL sends all that it was asked for.
func (s *tagSearch) collect(ctx context.Context, most int) (ids []int64, err error) {
	limit, blocks := ``, 0
	if s.repositories == nil {
		limit = fmt.Sprintf(` LIMIT %d`, most+1)
	}
	err = s.each(ctx, `b.heads`, limit, func(b *searched) error {
		found, err := s.visible(b)
		ids = append(ids, found...)
		if blocks++; err == nil && max(len(ids), blocks) > most {
			err = errEnough
		}
		return err
	})
	return ids, err
}

// count counts the images that have texts in their tags. Where all of a block
// are visible, it does without their heads.
func (s *tagSearch) count(ctx context.Context) (n int, err error) {
	heads := `CASE WHEN b.newest <= r.published AND b.retired = 0 THEN '' ELSE b.heads END`
	if s.repositories != nil {
		heads = `b.heads`
	}
	err = s.each(ctx, heads, ``, func(b *searched) error {
		if b.heads == "" {
			n += s.countIn(b.tags)
			return nil
		}
		found, err := s.visible(b)
		n += len(found)
		return err
	})
	return n, err
}

// searched is a block in which something may be found.
type searched struct {
	published   int64
	tags, heads string
}

// each hands on the blocks, up to a limit.
func (s *tagSearch) each(ctx context.Context, heads, limit string, fn func(*searched) error) error {
	registries, args := s.criteria.part(Field.ofRegistry), []any{s.account}
	where := []string{`r.account_id = $1 AND r.deleted = 0 AND r.image_count > 0 AND b.registry_id = r.id` + registries.where(&args)}
	for _, t := range s.sought {
		where = append(where, `(`+anyInBlock(t.values, &args)+`)`)
	}
	return each(ctx, s.tx, func(row scanner) error {
		var b searched
		if err := row.Scan(&b.published, &b.tags, &b.heads); err != nil {
			return err
		}
		return fn(&b)
	}, `SELECT r.published, b.tags, `+heads+` FROM registries r CROSS JOIN image_blocks b WHERE `+strings.Join(where, ` AND `)+limit, args...)
}

// visible answers the images of a block that are visible and have the tags.
func (s *tagSearch) visible(b *searched) (ids []int64, err error) {
	heads := b.heads
	for tags := range strings.SplitSeq(b.tags, betweenImages) {
		var head string
		head, heads, _ = strings.Cut(heads, "\n")
		if !s.wanted(tags) {
			continue
		}
		i, err := headOf(head)
		if err != nil {
			return nil, err
		}
		if i.visible(b.published) && s.inRepository(i.repository) {
			ids = append(ids, i.id)
		}
	}
	return ids, nil
}

// countIn counts the images of a block that have them.
func (s *tagSearch) countIn(tags string) (n int) {
	if len(s.sought) == 1 && len(s.sought[0].values) == 1 {
		return countOne(tags, s.sought[0].values[0])
	}
	for one := range strings.SplitSeq(tags, betweenImages) {
		if s.wanted(one) {
			n++
		}
	}
	return n
}

// countOne is countIn for one text: it looks at no image without it.
func countOne(tags, text string) (n int) {
	for {
		at := strings.Index(tags, text)
		if at < 0 {
			return n
		}
		n++
		end := strings.Index(tags[at:], betweenImages)
		if end < 0 {
			return n
		}
		tags = tags[at+end+len(betweenImages):]
	}
}

func (s *tagSearch) wanted(tags string) bool {
	return !slices.ContainsFunc(s.sought, func(t sought) bool { return !t.in(tags) })
}

func (s *tagSearch) inRepository(id int64) bool {
	if s.repositories == nil {
		return true
	}
	_, found := slices.BinarySearch(s.repositories, id)
	return found
}
