package store

import (
	"container/heap"
	"context"
	"math"
	"slices"

	"portolan"
)

const (
	// maxMerged bounds the repositories of which the images are merged, and
	// maxAhead how far into their order: far pages start at marks.
	maxMerged = 200
	maxAhead  = 5_000
)

// run is what was read ahead of one repository's images, in their order.
type run struct {
	repository int64
	rows       []place
	last       mark
	ended      bool
}

// runs is a heap: the run with the first image comes first.
type runs struct {
	list      []*run
	backwards bool
}

func (r *runs) Len() int      { return len(r.list) }
func (r *runs) Swap(i, j int) { r.list[i], r.list[j] = r.list[j], r.list[i] }
func (r *runs) Push(x any)    { r.list = append(r.list, x.(*run)) }
func (r *runs) Pop() any {
	last := len(r.list) - 1
	x := r.list[last]
	r.list = r.list[:last]
	return x
}

func (r *runs) Less(i, j int) bool {
	a, b := r.list[i].rows[0], r.list[j].rows[0]
	if r.backwards {
		a, b = b, a
	}
	return a.compare(b.mark) > 0
}

// merge reads a stretch of the images of a few repositories, each of which is
// read no further than needed: in the order of all images they may lie far
// apart.
func (w *imageWalk) merge(ctx context.Context, ids []int64, s stretch) ([]portolan.Image, error) {
	wanted := s.offset + s.limit
	ahead := 2 + 2*wanted/len(ids)
	all := &runs{backwards: s.backwards}
	for _, id := range ids {
		first := mark{updated: math.MaxInt64}
		if s.backwards {
			first.updated = math.MinInt64
		}
		all.list = append(all.list, &run{repository: id, last: first})
	}
	if err := w.readAhead(ctx, all.list, &s, ahead); err != nil {
		return nil, err
	}
	all.list = slices.DeleteFunc(all.list, func(r *run) bool { return len(r.rows) == 0 })
	heap.Init(all)
	var page []int64
	for n := 0; n < wanted && all.Len() > 0; n++ {
		r := all.list[0]
		if n >= s.offset {
			page = append(page, r.rows[0].id)
		}
		r.rows = r.rows[1:]
		if len(r.rows) == 0 && !r.ended {
			if err := w.readAhead(ctx, []*run{r}, &s, 2*ahead); err != nil {
				return nil, err
			}
		}
		if len(r.rows) == 0 {
			heap.Pop(all)
		} else {
			heap.Fix(all, 0)
		}
	}
	return w.tx.imagesByID(ctx, page)
}

// readAhead reads up to so many more images of each run. PostgreSQL does it for
// all in one round trip.
func (w *imageWalk) readAhead(ctx context.Context, list []*run, s *stretch, limit int) error {
	than := "<"
	if s.backwards {
		than = ">"
	}
	read := w.readEach
	if w.tx.db.dialect.lists {
		read = w.readTogether
	}
	err := read(ctx, list, than, s.direction(), limit)
	for _, r := range list {
		r.ended = len(r.rows) < limit
	}
	return err
}

func (w *imageWalk) readEach(ctx context.Context, list []*run, than, direction string, limit int) error {
	query := `SELECT i.id, i.updated, i.uuid` + walkImages + ` WHERE i.repository_id = $1 AND (i.updated, i.uuid) ` + than + ` ($2, $3)
		ORDER BY i.updated ` + direction + `, i.uuid ` + direction + ` LIMIT $4`
	inner := w.tx.unwatched(ctx)
	for _, r := range list {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := each(inner, w.tx, func(row scanner) error {
			var p place
			err := row.Scan(&p.id, &p.updated, &p.uuid)
			r.take(p)
			return err
		}, query, r.repository, r.last.updated, r.last.uuid, limit)
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *imageWalk) readTogether(ctx context.Context, list []*run, than, direction string, limit int) error {
	ids, updated, uuids := make([]int64, len(list)), make([]int64, len(list)), make([]string, len(list))
	for i, r := range list {
		ids[i], updated[i], uuids[i] = r.repository, r.last.updated, r.last.uuid
	}
	return each(ctx, w.tx, func(row scanner) error {
		var n int
		var p place
		if err := row.Scan(&n, &p.id, &p.updated, &p.uuid); err != nil {
			return err
		}
		list[n-1].take(p)
		return nil
	}, `SELECT f.n, x.id, x.updated, x.uuid FROM unnest($1::bigint[], $2::bigint[], $3::text[]) WITH ORDINALITY AS f (repository_id, updated, uuid, n)
		CROSS JOIN LATERAL (SELECT i.id, i.updated, i.uuid FROM images i JOIN registries r ON r.id = i.registry_id
			WHERE i.repository_id = f.repository_id AND `+visibleImage+` AND (i.updated, i.uuid) `+than+` (f.updated, f.uuid)
			ORDER BY i.updated `+direction+`, i.uuid `+direction+` LIMIT $4) x
		ORDER BY f.n, x.updated `+direction+`, x.uuid `+direction, ids, updated, uuids, limit)
}

func (r *run) take(p place) {
	r.rows, r.last = append(r.rows, p), p.mark
}
