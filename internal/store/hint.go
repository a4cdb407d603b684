package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"portolan"
)

// When a marked repository is read: at once, unless it was read within
// quietHints; then spaceHints later, so that it is read at most once in that
// time however many events come.
const (
	quietHints = 5 * time.Second
	spaceHints = time.Second
	// eventEvery is how often an entry shows another time of its last event.
	eventEvery = time.Second
	// maxHints is how many marks of a registry wait at most. Past that the
	// whole registry is read instead.
	maxHints = 5_000
	// hintSlack is kept between the clocks of servers: a mark that is younger
	// than a reading's start by less is not believed satisfied by it.
	hintSlack = 5 * time.Second
	// keptWebhooks is how many readings of marked repositories are remembered.
	keptWebhooks = 100
)

// Hook answers the account of an entry and the keyed hash of its webhook's
// secret, nil for none. ErrNotFound if there is no such entry, or its account
// is suspended.
func (db *DB) Hook(ctx context.Context, id int64) (account int64, hash []byte, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT r.account_id, r.hook_hash FROM registries r JOIN accounts a ON a.id = r.account_id
			WHERE r.id = $1 AND r.deleted = 0 AND a.suspended = 0`, []any{id}, &account, &hash)
	})
	return account, hash, err
}

// SetHook replaces the keyed hash of a webhook's secret; ErrNotFound if the
// account has no such entry.
func (tx *Tx) SetHook(ctx context.Context, account, id int64, hash []byte) error {
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE registries SET revision = $1, hook_hash = $2, modified = $3 WHERE account_id = $4 AND id = $5 AND deleted = 0`,
		revision, hash, millis(tx.Now()), account, id)
}

// Mark has repositories of a registry read again, because an event told so.
// Where too many wait already, the whole registry is read instead.
func (tx *Tx) Mark(ctx context.Context, r *portolan.Registry, paths []string) error {
	if err := tx.showEvent(ctx, r); err != nil {
		return err
	}
	var waiting int
	if err := tx.one(ctx, `SELECT count(*) FROM hints WHERE registry_id = $1 AND due > 0`, []any{r.ID}, &waiting); err != nil {
		return err
	}
	if waiting >= maxHints {
		return tx.HastenSync(ctx, r.ID, tx.Now())
	}
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	rows := make([][]any, len(paths))
	for i, path := range paths {
		rows[i] = []any{r.ID, path, millis(tx.Now()), millis(tx.Now())}
	}
	_, err := tx.insertMany(ctx, `INSERT INTO hints (registry_id, path, marked, due)`, rows, fmt.Sprintf(
		`ON CONFLICT (registry_id, path) DO UPDATE SET marked = excluded.marked, tries = 0,
			due = CASE WHEN hints.due > 0 AND hints.due <= excluded.marked + %[1]d THEN hints.due
				WHEN hints.taken > excluded.marked - %[2]d THEN excluded.marked + %[1]d ELSE excluded.marked END`,
		spaceHints.Milliseconds(), quietHints.Milliseconds()))
	return err
}

// showEvent notes when the last event came.
func (tx *Tx) showEvent(ctx context.Context, r *portolan.Registry) error {
	if now := tx.Now(); now.Sub(r.LastEvent) < eventEvery && now.After(r.LastEvent) {
		return nil
	}
	revision, err := tx.nextRevision(ctx, r.AccountID)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE registries SET revision = $1, last_event = $2 WHERE id = $3`, revision, millis(tx.Now()), r.ID)
	return err
}

// DueHints answers up to limit registries with marks that are due and nothing
// in the way of reading them, the longest waiting first, and when the next
// mark is due, zero for none.
func (db *DB) DueHints(ctx context.Context, limit int) (due []Due, next time.Time, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		now := millis(tx.Now())
		due, err = collect(ctx, tx, func(row scanner) (d Due, err error) {
			var first int64
			return d, row.Scan(&d.RegistryID, &d.AccountID, &first)
		}, `SELECT h.registry_id, r.account_id, MIN(h.due) FROM hints h JOIN registries r ON r.id = h.registry_id
			WHERE h.due > 0 AND h.due <= $1 AND r.deleted = 0 AND r.paused = 0
				AND NOT EXISTS (SELECT 1 FROM syncs s WHERE s.registry_id = h.registry_id AND s.status IN ('pending', 'running'))
			GROUP BY h.registry_id, r.account_id ORDER BY MIN(h.due) LIMIT $2`, now, limit)
		if err != nil {
			return err
		}
		var ms int64
		err := tx.one(ctx, `SELECT COALESCE(MIN(due), 0) FROM hints WHERE due > $1 AND due > 0`, []any{now}, &ms)
		next = instant(ms)
		return err
	})
	return due, next, err
}

// BeginHinted begins a reading of up to limit repositories whose marks are
// due, and takes the marks. It runs from the start: no other reading is
// joined, and none joins it. False if nothing is due or another reading is
// open, whose end is waited for.
func (db *DB) BeginHinted(ctx context.Context, d Due, id string, limit int) (begun bool, err error) {
	err = db.Update(ctx, func(tx *Tx) error {
		begun = false
		r, err := tx.Registry(ctx, d.AccountID, d.RegistryID)
		if errors.Is(err, ErrNotFound) || err == nil && r.Paused {
			return nil
		}
		if err != nil {
			return err
		}
		var open int
		if err := tx.one(ctx, `SELECT count(*) FROM syncs WHERE registry_id = $1 AND status IN ('pending', 'running')`, []any{r.ID}, &open); err != nil || open > 0 {
			return err
		}
		paths, err := collect(ctx, tx, scanValue[string],
			`SELECT path FROM hints WHERE registry_id = $1 AND due > 0 AND due <= $2 ORDER BY due, path LIMIT $3`, r.ID, millis(tx.Now()), limit)
		if err != nil || len(paths) == 0 {
			return err
		}
		if paths, err = tx.dropForeign(ctx, r, paths); err != nil || len(paths) == 0 {
			return err
		}
		begun = true
		return tx.beginHinted(ctx, r, id, paths)
	})
	return begun, err
}

// dropForeign drops the marks of repositories that the registry does not read,
// since its scope was changed, and answers the others.
func (tx *Tx) dropForeign(ctx context.Context, r *portolan.Registry, paths []string) ([]string, error) {
	args := []any{r.ID}
	var kept, foreign []string
	for _, path := range paths {
		if r.Extra.Reads(path) {
			kept = append(kept, path)
		} else {
			foreign = append(foreign, path)
		}
	}
	if len(foreign) == 0 {
		return kept, nil
	}
	_, err := tx.exec(ctx, `DELETE FROM hints WHERE registry_id = $1 AND path `+amongTexts(tx, &args, foreign), args...)
	return kept, err
}

func (tx *Tx) beginHinted(ctx context.Context, r *portolan.Registry, id string, paths []string) error {
	now := millis(tx.Now())
	ledger, err := json.Marshal(portolan.Ledger{RepositoriesListed: len(paths)})
	if err != nil {
		return err
	}
	if _, err := tx.exec(ctx, `INSERT INTO syncs (id, seq, account_id, registry_id, cause, status, created, started, staging, ledger, generation)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM syncs WHERE registry_id = $2), $3, $2, $4, 'running', $5, $5, 1, $6,
			(SELECT published + 1 FROM registries WHERE id = $2))`,
		id, r.ID, r.AccountID, portolan.CauseWebhook, now, string(ledger)); err != nil {
		return err
	}
	// What only a catalogue tells stays as it is.
	args := []any{r.ID, id}
	if _, err := tx.exec(ctx, `INSERT INTO sync_repositories (sync_id, path, grouping_key, expect, fingerprint, visibility)
		SELECT CAST($2 AS TEXT), h.path, '', -1, '', COALESCE((SELECT p.staged_visibility FROM repositories p WHERE p.registry_id = $1 AND p.path = h.path), '')
		FROM hints h WHERE h.registry_id = $1 AND h.path `+amongTexts(tx, &args, paths), args...); err != nil {
		return err
	}
	// Nor does the next reading of the whole registry skip them.
	args = []any{r.ID}
	if _, err := tx.exec(ctx, `UPDATE repositories SET fingerprint = '' WHERE registry_id = $1 AND path `+amongTexts(tx, &args, paths), args...); err != nil {
		return err
	}
	args = []any{now, r.ID}
	_, err = tx.exec(ctx, `UPDATE hints SET due = 0, taken = $1 WHERE registry_id = $2 AND path `+amongTexts(tx, &args, paths), args...)
	return err
}

// Hinted is a reading of marked repositories of a registry.
type Hinted struct {
	SyncID     string
	RegistryID int64
}

// OpenHinted answers the readings of marked repositories that run and that no
// worker holds: those of a server that ended.
func (db *DB) OpenHinted(ctx context.Context) (list []Hinted, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		list, err = collect(ctx, tx, func(row scanner) (h Hinted, err error) { return h, row.Scan(&h.SyncID, &h.RegistryID) },
			`SELECT id, registry_id FROM syncs WHERE status IN ('pending', 'running') AND cause = 'webhook' AND lease_until < $1`, millis(tx.Now()))
		return err
	})
	return list, err
}

// publishHinted publishes what a reading of marked repositories found. What
// the entry shows of its readings speaks of the whole registry and stays.
func (tx *Tx) publishHinted(ctx context.Context, s *portolan.Sync, f *Finish, revision int64) error {
	if _, err := tx.exec(ctx, `UPDATE registries SET revision = $1, published = $2, image_count = image_count + $3, guard = $4,
			repository_count = (SELECT count(*) FROM repositories p WHERE p.registry_id = registries.id AND p.born <= $2 AND (p.gone = 0 OR p.gone > $2))
		WHERE id = $5`, revision, s.Generation, f.CountDelta, f.Guard, s.RegistryID); err != nil {
		return err
	}
	if !f.NextSync.IsZero() {
		if err := tx.HastenSync(ctx, s.RegistryID, f.NextSync); err != nil {
			return err
		}
	}
	if err := tx.markAgain(ctx, s); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `DELETE FROM syncs WHERE registry_id = $1 AND cause = 'webhook' AND ended > 0 AND staging = 0 AND seq <
		(SELECT m.seq FROM syncs m WHERE m.registry_id = $1 AND m.cause = 'webhook' ORDER BY m.seq DESC LIMIT 1 OFFSET $2)`, s.RegistryID, keptWebhooks-1)
	return err
}

// markAgain has repositories that could not be read tried again, after 10
// seconds, a minute and ten minutes. Then the next reading of the whole
// registry has to do.
func (tx *Tx) markAgain(ctx context.Context, s *portolan.Sync) error {
	_, err := tx.exec(ctx, `INSERT INTO hints (registry_id, path, marked, due, taken, tries)
		SELECT CAST($1 AS BIGINT), w.path, CAST($2 AS BIGINT), CAST($2 AS BIGINT) + 10000, CAST($2 AS BIGINT), 1
			FROM sync_repositories w WHERE w.sync_id = $3 AND w.state = 'failed' ORDER BY w.path
		ON CONFLICT (registry_id, path) DO UPDATE SET tries = hints.tries + 1,
			due = CASE WHEN hints.due > 0 THEN hints.due WHEN hints.tries = 0 THEN excluded.due WHEN hints.tries = 1 THEN excluded.taken + 60000
				WHEN hints.tries = 2 THEN excluded.taken + 600000 ELSE 0 END`,
		s.RegistryID, millis(tx.Now()), s.ID)
	return err
}

// dropSatisfied drops the marks of before a reading of the whole registry
// whose repositories it has read.
func (tx *Tx) dropSatisfied(ctx context.Context, s *portolan.Sync) error {
	_, err := tx.exec(ctx, `DELETE FROM hints WHERE registry_id = $1 AND due > 0 AND marked < $2
		AND EXISTS (SELECT 1 FROM repositories p WHERE p.registry_id = $1 AND p.path = hints.path AND p.read_at >= $3)`,
		s.RegistryID, millis(s.Started.Add(-hintSlack)), millis(s.Started))
	return err
}

// GoneByEvents counts the images that readings of marked repositories made
// gone since a time: the vanish guard looks at those of a while together.
func (db *DB) GoneByEvents(ctx context.Context, l *Lease, since time.Time) (gone int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT count(*) FROM images WHERE registry_id = $1 AND gone_at > 0 AND gone_at >= $2 AND superseded = 0
			AND gone IN (SELECT s.generation FROM syncs s WHERE s.registry_id = $1 AND s.cause = 'webhook' AND s.ended >= $2)`,
			[]any{l.Sync.RegistryID, millis(since)}, &gone)
	})
	return gone, err
}
