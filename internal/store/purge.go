package store

import (
	"context"
	"time"

	"portolan"
)

// A purge step deletes up to limit rows that are past their time, so that no
// step holds the write lock for long. Those of images are not found at once:
// find looks for their ids and registries before the lock is taken; what it
// finds stays past its time.
type purgeStep struct {
	query string
	args  func(now time.Time) []any
	find  string
}

func purgeSteps() []purgeStep {
	day := int64(24 * time.Hour / time.Millisecond)
	plain := func(now time.Time) []any { return []any{millis(now)} }
	ago := func(days int64) func(time.Time) []any {
		return func(now time.Time) []any { return []any{millis(now) - days*day} }
	}
	return []purgeStep{
		{`DELETE FROM nonces WHERE (access_key_id, nonce_hash) IN
			(SELECT access_key_id, nonce_hash FROM nonces WHERE expires < $1 ORDER BY expires LIMIT $2)`, plain, ``},
		{`DELETE FROM sync_rows WHERE (sync_id, path, seq) IN (SELECT w.sync_id, w.path, w.seq FROM syncs s JOIN sync_rows w ON w.sync_id = s.id
			WHERE s.staging = 1 AND s.ended > 0 AND s.ended <= $1 LIMIT $2)`, plain, ``},
		{`DELETE FROM sync_repositories WHERE (sync_id, path) IN (SELECT w.sync_id, w.path FROM syncs s JOIN sync_repositories w ON w.sync_id = s.id
			WHERE s.staging = 1 AND s.ended > 0 AND s.ended <= $1 LIMIT $2)`, plain, ``},
		{`UPDATE syncs SET staging = 0 WHERE id IN (SELECT s.id FROM syncs s WHERE s.staging = 1 AND s.ended > 0 AND s.ended <= $1
			AND NOT EXISTS (SELECT 1 FROM sync_repositories w WHERE w.sync_id = s.id)
			AND NOT EXISTS (SELECT 1 FROM sync_rows w WHERE w.sync_id = s.id) LIMIT $2)`, plain, ``},
		{purgeGone, plain, `SELECT i.id, r.id FROM registries r JOIN images i ON i.registry_id = r.id
			WHERE i.superseded = 1 AND i.gone <= r.published AND CAST($1 AS BIGINT) > 0 LIMIT $2`},
		{purgeGone, plain, `SELECT i.id, r.id FROM registries r CROSS JOIN images i WHERE i.registry_id = r.id
			AND i.superseded = 0 AND i.gone_at > 0 AND i.gone_at < $1 - r.persistence_day * 86400000 AND i.gone <= r.published LIMIT $2`},
		{`DELETE FROM artifacts WHERE (repository_id, digest) IN (SELECT a.repository_id, a.digest FROM registries r
			JOIN repositories p ON p.registry_id = r.id JOIN artifacts a ON a.repository_id = p.id
			WHERE p.gone > 0 AND p.gone <= r.published AND CAST($1 AS BIGINT) > 0 LIMIT $2)`, plain, ``},
		// A repository is remembered as long as one of its images is.
		{`DELETE FROM repositories WHERE gone > 0 AND id IN (SELECT p.id FROM registries r JOIN repositories p ON p.registry_id = r.id
			WHERE p.gone > 0 AND p.gone <= r.published AND CAST($1 AS BIGINT) > 0
			AND NOT EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id) AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.repository_id = p.id)
			LIMIT $2)`, plain, ``},
		// The last 100 readings, or those of 90 days, whichever are more. Those of
		// marked repositories go when another one ends.
		{`DELETE FROM syncs WHERE id IN (SELECT s.id FROM syncs s WHERE s.ended > 0 AND s.ended < $1 AND s.cause <> 'webhook'
			AND s.seq < (SELECT m.seq FROM syncs m WHERE m.registry_id = s.registry_id AND m.cause <> 'webhook' ORDER BY m.seq DESC LIMIT 1 OFFSET 99)
			AND s.staging = 0 LIMIT $2)`, ago(90), ``},
		// A taken mark is remembered until its reading has surely ended.
		{`DELETE FROM hints WHERE due = 0 AND (registry_id, path) IN (SELECT h.registry_id, h.path FROM hints h WHERE h.due = 0 AND h.taken < $1 LIMIT $2)`, ago(1), ``},
		{`DELETE FROM changes WHERE (set_id, uuid) IN (SELECT c.set_id, c.uuid FROM change_sets s JOIN changes c ON c.set_id = s.id
			WHERE s.at < $1 LIMIT $2)`, ago(ChangeDays), ``},
		{`DELETE FROM change_sets WHERE id IN (SELECT s.id FROM change_sets s WHERE s.at < $1
			AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.set_id = s.id) LIMIT $2)`, ago(ChangeDays), ``},
		{`DELETE FROM scan_tasks WHERE id IN (SELECT id FROM scan_tasks WHERE created < $1 ORDER BY created LIMIT $2)`, ago(90), ``},
		{`DELETE FROM event_deliveries WHERE id IN (SELECT d.id FROM event_deliveries d WHERE d.ended > 0 AND d.ended < $1 LIMIT $2)`, ago(EventDays), ``},
		{`DELETE FROM event_webhooks WHERE id IN (SELECT w.id FROM event_webhooks w WHERE w.registry_id > 0 AND CAST($1 AS BIGINT) > 0
			AND NOT EXISTS (SELECT 1 FROM registries r WHERE r.id = w.registry_id)
			AND NOT EXISTS (SELECT 1 FROM event_deliveries d WHERE d.webhook_id = w.id) LIMIT $2)`, plain, ``},
		{`DELETE FROM agent_sessions WHERE id IN (SELECT id FROM agent_sessions WHERE seen < $1 LIMIT $2)`, ago(1), ``},
		// Agents that are revoked or never came, when people have had the time to
		// find out why.
		{`DELETE FROM agents WHERE id IN (SELECT a.id FROM agents a WHERE (a.revoked > 0 AND a.revoked < $1 OR a.enrolled = 0 AND a.token_expires < $1)
			AND NOT EXISTS (SELECT 1 FROM agent_sessions s WHERE s.agent_id = a.id) LIMIT $2)`, ago(30), ``},
		// Deleted registries, from the leaves up.
		{`DELETE FROM reported_tags WHERE (repository_id, tag) IN (SELECT t.repository_id, t.tag FROM registries r
			JOIN repositories p ON p.registry_id = r.id JOIN reported_tags t ON t.repository_id = p.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		// Without blocks there is nothing to be kept up to date when images go.
		{`DELETE FROM image_blocks WHERE (registry_id, block) IN (SELECT b.registry_id, b.block FROM registries r JOIN image_blocks b ON b.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{purgeAny, ago(portolan.UndoDays), `SELECT i.id, r.id FROM registries r JOIN images i ON i.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2`},
		{`DELETE FROM artifacts WHERE (repository_id, digest) IN (SELECT a.repository_id, a.digest FROM registries r
			JOIN repositories p ON p.registry_id = r.id JOIN artifacts a ON a.repository_id = p.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM repositories WHERE id IN (SELECT p.id FROM registries r JOIN repositories p ON p.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1
			AND NOT EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id) AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.repository_id = p.id)
			AND NOT EXISTS (SELECT 1 FROM reported_tags t WHERE t.repository_id = p.id) LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM syncs WHERE id IN (SELECT s.id FROM registries r JOIN syncs s ON s.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 AND s.status NOT IN ('pending', 'running')
			AND s.staging = 0 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM hints WHERE (registry_id, path) IN (SELECT h.registry_id, h.path FROM registries r JOIN hints h ON h.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM changes WHERE (set_id, uuid) IN (SELECT c.set_id, c.uuid FROM registries r JOIN changes c ON c.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM change_sets WHERE id IN (SELECT s.id FROM registries r JOIN change_sets s ON s.registry_id = r.id
			WHERE r.deleted > 0 AND r.deleted < $1 LIMIT $2)`, ago(portolan.UndoDays), ``},
		{`DELETE FROM registries WHERE id IN (SELECT r.id FROM registries r WHERE r.deleted > 0 AND r.deleted < $1
			AND NOT EXISTS (SELECT 1 FROM changes c WHERE c.registry_id = r.id)
			AND NOT EXISTS (SELECT 1 FROM change_sets c WHERE c.registry_id = r.id)
			AND NOT EXISTS (SELECT 1 FROM image_blocks b WHERE b.registry_id = r.id)
			AND NOT EXISTS (SELECT 1 FROM repositories p WHERE p.registry_id = r.id)
			AND NOT EXISTS (SELECT 1 FROM hints h WHERE h.registry_id = r.id)
			AND NOT EXISTS (SELECT 1 FROM syncs s WHERE s.registry_id = r.id) LIMIT $2)`, ago(portolan.UndoDays), ``},
	}
}

// What is gone may come back while a deletion waits for the lock of images; the
// condition on the row itself is then looked at once more.
const (
	purgeAny  = `DELETE FROM images WHERE id %s`
	purgeGone = `DELETE FROM images WHERE gone > 0 AND id %s`
)

// Purge deletes rows that are past their time, at most limit in a transaction,
// and answers how many. It is to be called again while it answers more than 0.
func (db *DB) Purge(ctx context.Context, limit int) (purged int, err error) {
	for _, step := range purgeSteps() {
		n, err := db.purge(ctx, &step, limit)
		purged += n
		if err != nil {
			return purged, err
		}
	}
	return purged, nil
}

func (db *DB) purge(ctx context.Context, step *purgeStep, limit int) (purged int, err error) {
	args := append(step.args(db.now()), limit)
	if step.find != "" {
		return db.purgeImages(ctx, step, args)
	}
	err = db.Update(ctx, func(tx *Tx) error {
		n, err := tx.exec(ctx, step.query, args...)
		purged = int(n)
		return err
	})
	return purged, err
}

// purgeImages deletes the images that a step finds, in a transaction for each
// registry.
func (db *DB) purgeImages(ctx context.Context, step *purgeStep, args []any) (purged int, err error) {
	found := map[int64][]int64{}
	err = db.View(ctx, func(tx *Tx) error {
		return each(ctx, tx, func(row scanner) error {
			var image, registry int64
			err := row.Scan(&image, &registry)
			found[registry] = append(found[registry], image)
			return err
		}, step.find, args...)
	})
	if err != nil {
		return 0, err
	}
	for registry, images := range found {
		var deleted int64
		err := db.Update(ctx, func(tx *Tx) (err error) {
			if err = tx.lockImages(ctx, registry); err != nil {
				return err
			}
			deleted, err = tx.amongRows(ctx, tx.deleteImages, step.query, nil, images)
			return err
		})
		if err != nil {
			return purged, err
		}
		purged += int(deleted)
	}
	return purged, err
}
