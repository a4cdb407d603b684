package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"portolan"
)

// ChangeKind is what happened to an image.
type ChangeKind string

// The kinds of changes, as the wire spells them.
const (
	ChangeAdded    ChangeKind = "added"
	ChangeRetagged ChangeKind = "retagged"
	ChangeGone     ChangeKind = "gone"
)

// ImageChange is what a reading or a report changed of an image.
type ImageChange struct {
	Kind   ChangeKind
	Path   string
	Digest portolan.Digest
	UUID   string
	// Before and After are the image's tags, sorted.
	Before, After []string
	// SetID names the changes that became visible together, at the time At; for
	// those of a reading it is the reading's id. It and what follows are told by
	// lists.
	SetID        string
	RegistryID   int64
	RegistryName string
	RegistryType portolan.RegistryType
	Generation   int64
	At           time.Time
}

// ChangeCounts counts changes by kind.
type ChangeCounts struct{ Added, Retagged, Gone int }

// Sum is the number of all.
func (c ChangeCounts) Sum() int { return c.Added + c.Retagged + c.Gone }

// Of is the number of one kind, of all for "".
func (c ChangeCounts) Of(kind ChangeKind) int {
	switch kind {
	case ChangeAdded:
		return c.Added
	case ChangeRetagged:
		return c.Retagged
	case ChangeGone:
		return c.Gone
	}
	return c.Sum()
}

func (c *ChangeCounts) add(kind ChangeKind, n int) {
	switch kind {
	case ChangeAdded:
		c.Added += n
	case ChangeRetagged:
		c.Retagged += n
	case ChangeGone:
		c.Gone += n
	}
}

// ChangeDays is how long changes are kept.
const ChangeDays = 30

// changesWritten bounds what is written in one transaction.
const changesWritten = 250

// CollectChanges writes down what a reading has changed, invisible until Finish
// makes their set, and counts it. It is called when the reading is about to
// publish, again if over ended it before it was done. What the images' rows say
// decides, so that what was taken back leaves nothing, and a reading pays
// nothing while it runs. A registry's first reading changes nothing that was
// known.
func (db *DB) CollectChanges(ctx context.Context, l *Lease, over func() bool) (n ChangeCounts, done bool, err error) {
	if l.First {
		return n, true, nil
	}
	rows, err := db.changedRows(ctx, l)
	if err != nil || len(rows) == 0 {
		return n, true, err
	}
	if n, err = db.countChanges(ctx, l.Sync.ID); err != nil {
		return n, false, err
	}
	for rows = rows[min(n.Sum(), len(rows)):]; len(rows) > 0; {
		part := rows[:min(len(rows), changesWritten)]
		if err := db.leased(ctx, l, func(tx *Tx) error { return tx.writeChanges(ctx, l.Sync, part) }); err != nil {
			return n, false, err
		}
		if rows = rows[len(part):]; len(rows) > 0 && over() {
			return n, false, nil
		}
	}
	n, err = db.countChanges(ctx, l.Sync.ID)
	return n, true, err
}

// changedRow is an image's row that says what changed: the new one of an image
// that was added, the old one of others.
type changedRow struct {
	kind ChangeKind
	id   int64
}

// changedRows answers the rows that say what a reading changed, always in the
// same order.
func (db *DB) changedRows(ctx context.Context, l *Lease) (list []changedRow, err error) {
	// clocks is by how much the clocks of two servers may differ.
	const clocks = 24 * time.Hour
	s := l.Sync
	err = db.View(ctx, func(tx *Tx) error {
		versions := map[int64]bool{} // new rows of images that were there
		err := each(ctx, tx, func(row scanner) error {
			var old, version, retagged int64
			err := row.Scan(&old, &version, &retagged)
			if versions[version] = true; retagged == 1 {
				list = append(list, changedRow{ChangeRetagged, old})
			}
			return err
		}, `SELECT i.id, n.id, CASE WHEN n.tags <> i.tags THEN 1 ELSE 0 END FROM images i
			JOIN images n ON n.account_id = i.account_id AND n.uuid = i.uuid AND n.born = $2 AND n.gone = 0
			WHERE i.registry_id = $1 AND i.superseded = 1 AND i.gone = $2`, s.RegistryID, s.Generation)
		if err != nil {
			return err
		}
		return errors.Join(
			each(ctx, tx, func(row scanner) error {
				id, err := scanValue[int64](row)
				if !versions[id] {
					list = append(list, changedRow{ChangeGone, id})
				}
				return err
			}, `SELECT i.id FROM images i WHERE i.registry_id = $1 AND i.superseded = 0 AND i.gone_at > 0 AND i.gone_at >= $3 AND i.gone = $2`,
				s.RegistryID, s.Generation, millis(s.Started.Add(-clocks))),
			tx.bornIn(ctx, s.RegistryID, s.Generation, func(i *blockImage) {
				if i.gone == 0 && !versions[i.id] {
					list = append(list, changedRow{ChangeAdded, i.id})
				}
			}),
		)
	})
	slices.SortFunc(list, func(a, b changedRow) int { return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.id, b.id)) })
	return list, err
}

// writeChanges writes down what rows say.
func (tx *Tx) writeChanges(ctx context.Context, s *portolan.Sync, rows []changedRow) error {
	ids := map[ChangeKind][]int64{}
	for _, r := range rows {
		ids[r.kind] = append(ids[r.kind], r.id)
	}
	for kind, list := range ids {
		tags, newer := `'', i.tags`, ``
		args := []any{s.ID, kind}
		switch kind {
		case ChangeGone:
			tags = `i.tags, ''`
		case ChangeRetagged:
			tags, newer = `i.tags, n.tags`, ` JOIN images n ON n.account_id = i.account_id AND n.uuid = i.uuid AND n.gone = 0 AND n.born = `+marks(&args, []int64{s.Generation})
		}
		_, err := tx.exec(ctx, `INSERT INTO changes (set_id, uuid, registry_id, kind, path, digest, tags_before, tags_after)
			SELECT CAST($1 AS TEXT), i.uuid, i.registry_id, CAST($2 AS TEXT), p.path, i.digest, `+tags+`
			FROM images i JOIN repositories p ON p.id = i.repository_id`+newer+` WHERE i.id `+amongNumbers(tx, &args, list)+`
			ON CONFLICT (set_id, uuid) DO NOTHING`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

func splitTags(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (tx *Tx) putChanges(ctx context.Context, set string, registry int64, list []ImageChange) error {
	rows := make([][]any, len(list))
	for i := range list {
		c := &list[i]
		rows[i] = []any{set, c.UUID, registry, c.Kind, c.Path, c.Digest, strings.Join(c.Before, "\n"), strings.Join(c.After, "\n")}
	}
	_, err := tx.insertMany(ctx, `INSERT INTO changes (set_id, uuid, registry_id, kind, path, digest, tags_before, tags_after)`, rows,
		`ON CONFLICT (set_id, uuid) DO NOTHING`)
	return err
}

func (db *DB) countChanges(ctx context.Context, set string) (n ChangeCounts, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		n = ChangeCounts{}
		return each(ctx, tx, func(row scanner) error {
			var kind ChangeKind
			var count int
			err := row.Scan(&kind, &count)
			n.add(kind, count)
			return err
		}, `SELECT kind, count(*) FROM changes WHERE set_id = $1 GROUP BY kind`, set)
	})
	return n, err
}

// changeSet names changes that become visible together.
type changeSet struct {
	id                            string
	account, registry, generation int64
	counts                        ChangeCounts
}

// publishChanges makes written changes visible and tells who wants to know.
func (tx *Tx) publishChanges(ctx context.Context, s changeSet) error {
	if s.counts.Sum() == 0 {
		return nil
	}
	_, err := tx.exec(ctx, `INSERT INTO change_sets (id, account_id, registry_id, generation, at, added, retagged, gone)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		s.id, s.account, s.registry, s.generation, millis(tx.Now()), s.counts.Added, s.counts.Retagged, s.counts.Gone)
	if err != nil {
		return err
	}
	for _, kind := range []ChangeKind{ChangeAdded, ChangeRetagged, ChangeGone} {
		if s.counts.Of(kind) == 0 {
			continue
		}
		if err := tx.announce(ctx, &event{kind: "image." + string(kind), account: s.account, registry: s.registry, set: s.id}); err != nil {
			return err
		}
	}
	return nil
}

// NoteChanges writes down changes of a registry whose images do not come by
// readings. They become visible with the transaction. An image is in the list
// once.
func (tx *Tx) NoteChanges(ctx context.Context, r *portolan.Registry, list []ImageChange) error {
	if len(list) == 0 {
		return nil
	}
	s := changeSet{id: rand.Text(), account: r.AccountID, registry: r.ID}
	for i := range list {
		s.counts.add(list[i].Kind, 1)
	}
	if err := tx.putChanges(ctx, s.id, r.ID, list); err != nil {
		return err
	}
	return tx.publishChanges(ctx, s)
}

// ChangeFilter selects changes; zero values select all.
type ChangeFilter struct {
	RegistryID int64
	SetID      string
	Kind       ChangeKind
	Since      time.Time
}

// where is the condition on the sets s and registries r. What is about to be
// purged is not shown any more, so that totals are exact.
func (f *ChangeFilter) where(now time.Time, args *[]any) string {
	since := now.Add(-ChangeDays * 24 * time.Hour)
	if f.Since.After(since) {
		since = f.Since
	}
	where := []string{`r.deleted = 0 AND s.at >= ` + marks(args, []int64{millis(since)})}
	for _, c := range []struct {
		given     bool
		condition string
		value     any
	}{
		{f.RegistryID != 0, `s.registry_id = `, f.RegistryID},
		{f.SetID != "", `s.id = `, f.SetID},
	} {
		if c.given {
			where = append(where, c.condition+marks(args, []any{c.value}))
		}
	}
	return strings.Join(where, ` AND `)
}

// Changes answers a page (from 1) of an account's changes, the newest first,
// and the number of all that the filter selects. Both belong to one state.
func (db *DB) Changes(ctx context.Context, account int64, f ChangeFilter, page, size int) (list []ImageChange, total int, err error) {
	args := []any{account}
	from := ` FROM change_sets s JOIN registries r ON r.id = s.registry_id WHERE s.account_id = $1 AND ` + f.where(db.now(), &args)
	err = db.View(ctx, func(tx *Tx) error {
		var n ChangeCounts
		err := tx.one(ctx, `SELECT COALESCE(SUM(s.added), 0), COALESCE(SUM(s.retagged), 0), COALESCE(SUM(s.gone), 0)`+from, args,
			&n.Added, &n.Retagged, &n.Gone)
		if total = n.Of(f.Kind); err != nil || total <= skipped(page, size) {
			return err
		}
		sets, err := tx.changeSets(ctx, from, args, f.Kind, skipped(page, size), size)
		if err != nil {
			return err
		}
		list, err = tx.changesOf(ctx, sets, f.Kind)
		return err
	})
	return list, total, err
}

// pagedSet is what a page has of a set: limit changes after offset.
type pagedSet struct {
	ImageChange   // what is the same for all of them
	offset, limit int
	whole         bool
}

// errEnough ends a query of which no more rows are needed.
var errEnough = errors.New("enough")

// changeSets answers the sets of a page, the newest first: their counts tell
// where it begins.
func (tx *Tx) changeSets(ctx context.Context, from string, args []any, kind ChangeKind, offset, limit int) (list []pagedSet, err error) {
	err = each(ctx, tx, func(row scanner) error {
		var s pagedSet
		var n ChangeCounts
		var at int64
		err := row.Scan(&s.SetID, &s.RegistryID, &s.RegistryName, &s.RegistryType, &s.Generation, &at, &n.Added, &n.Retagged, &n.Gone)
		if err != nil {
			return err
		}
		has := n.Of(kind)
		s.At, s.offset, s.limit = instant(at), min(offset, has), min(has-min(offset, has), limit)
		s.whole = s.limit == has
		offset -= s.offset
		if s.limit > 0 {
			list = append(list, s)
		}
		if limit -= s.limit; limit == 0 {
			return errEnough
		}
		return nil
	}, `SELECT s.id, r.id, r.name, r.type, s.generation, s.at, s.added, s.retagged, s.gone`+from+` ORDER BY s.at DESC, s.id DESC`, args...)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, err
}

// changesOf answers the changes of sets in their order.
func (tx *Tx) changesOf(ctx context.Context, sets []pagedSet, kind ChangeKind) ([]ImageChange, error) {
	const columns = `SELECT set_id, kind, path, digest, uuid, tags_before, tags_after FROM changes WHERE (CAST($1 AS TEXT) = '' OR kind = $1) AND `
	bySet := map[string][]ImageChange{}
	take := func(query string, args ...any) error {
		return each(ctx, tx, func(row scanner) error {
			var c ImageChange
			var before, after string
			err := row.Scan(&c.SetID, &c.Kind, &c.Path, &c.Digest, &c.UUID, &before, &after)
			c.Before, c.After = splitTags(before), splitTags(after)
			bySet[c.SetID] = append(bySet[c.SetID], c)
			return err
		}, columns+query, append([]any{kind}, args...)...)
	}
	var whole []string
	for _, s := range sets {
		if s.whole {
			whole = append(whole, s.SetID)
			continue
		}
		if err := take(`set_id = $2 ORDER BY uuid DESC LIMIT $3 OFFSET $4`, s.SetID, s.limit, s.offset); err != nil {
			return nil, err
		}
	}
	err := inFew(ctx, tx, whole, func(_ context.Context, part []string) error {
		args := []any{kind}
		return take(`set_id `+amongTexts(tx, &args, part)+` ORDER BY uuid DESC`, args[1:]...)
	})
	var list []ImageChange
	for _, s := range sets {
		for _, c := range bySet[s.SetID] {
			c.RegistryID, c.RegistryName, c.RegistryType, c.Generation, c.At = s.RegistryID, s.RegistryName, s.RegistryType, s.Generation, s.At
			list = append(list, c)
		}
	}
	return list, err
}
