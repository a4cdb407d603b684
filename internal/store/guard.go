package store

import (
	"context"
)

// BelievedAfter is the number of readings that must lack an image before it
// is believed gone although the vanish guard holds it: the first and two more.
const BelievedAfter = 3

// Lacking counts the images that a reading lacks.
type Lacking struct {
	// New are lacking in complete listings and not yet believed gone.
	New int
	// Denied are lacking because their repositories refuse to answer, and not
	// yet believed gone.
	Denied int
	// Believed were lacking often enough.
	Believed int
	// Held are all that lack, of earlier readings too.
	Held int
}

// CountLacking counts what the registry of a reading lacks.
func (db *DB) CountLacking(ctx context.Context, l *Lease) (Lacking, error) {
	var c Lacking
	err := db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT
				COALESCE(SUM(CASE WHEN lacked = $2 AND denied = 0 AND lacks < $3 THEN 1 ELSE 0 END), 0),
				COALESCE(SUM(CASE WHEN lacked = $2 AND denied = 1 AND lacks < $3 THEN 1 ELSE 0 END), 0),
				COALESCE(SUM(CASE WHEN lacked = $2 AND lacks >= $3 THEN 1 ELSE 0 END), 0),
				count(*)
			FROM images WHERE registry_id = $1 AND lacks > 0`,
			[]any{l.Sync.RegistryID, l.Sync.Generation, BelievedAfter}, &c.New, &c.Denied, &c.Believed, &c.Held)
	})
	return c, err
}

// Believe selects the lacking images that are believed gone.
type Believe struct{ New, Denied bool }

// RetireLacking makes up to limit images gone that the reading lacks and that
// are believed gone, and answers how many. Called until it answers 0. before
// saves the lease with the new counts in the same transaction.
func (db *DB) RetireLacking(ctx context.Context, l *Lease, b Believe, limit int, before func(retired int) error) (retired int, err error) {
	err = db.leasedImages(ctx, l, func(tx *Tx) error {
		type lacking struct{ row, repository int64 }
		list, err := collect(ctx, tx, func(row scanner) (x lacking, err error) { return x, row.Scan(&x.row, &x.repository) },
			`SELECT id, repository_id FROM images WHERE registry_id = $1 AND lacks > 0 AND lacked = $2
				AND (lacks >= $3 OR (denied = 0 AND $4 = 1) OR (denied = 1 AND $5 = 1)) ORDER BY repository_id, id LIMIT $6`,
			l.Sync.RegistryID, l.Sync.Generation, BelievedAfter, flag(b.New), flag(b.Denied), limit)
		if err != nil {
			return err
		}
		retired = len(list)
		if err := before(retired); err != nil {
			return err
		}
		if err := tx.hold(ctx, l); err != nil {
			return err
		}
		rows := make([]int64, len(list))
		perRepository := map[int64]int{}
		for i, x := range list {
			rows[i] = x.row
			perRepository[x.repository]--
		}
		if err := tx.retire(ctx, l.Sync.Generation, rows, false); err != nil {
			return err
		}
		for repository, delta := range perRepository {
			if err := tx.countStaged(ctx, l.Sync.Generation, repository, delta); err != nil {
				return err
			}
		}
		return nil
	})
	return retired, err
}

// forget takes back that rows lacked in the latest reading; $1 tells whether
// it counted. One that may have lacked for the first time starts anew.
const forget = `UPDATE images SET lacks = CASE WHEN lacks > 1 AND $1 = 1 THEN lacks - 1 WHEN lacks > 1 THEN lacks ELSE 0 END,
	lacked = lacked - 1, denied = 0 WHERE id IN `

// ForgetLacking takes back what a reading lacked, up to limit rows a call, and
// answers how many: for a reading that turned out not to be trustworthy.
func (db *DB) ForgetLacking(ctx context.Context, l *Lease, counted bool, limit int) (forgotten int, err error) {
	err = db.leasedImages(ctx, l, func(tx *Tx) error {
		n, err := tx.exec(ctx, forget+`(SELECT id FROM images WHERE registry_id = $2 AND lacks > 0 AND lacked = $3 LIMIT $4)`,
			flag(counted), l.Sync.RegistryID, l.Sync.Generation, limit)
		forgotten = int(n)
		return err
	})
	return forgotten, err
}

// RetireRepositories makes up to limit repositories gone that vanished and
// have no images left, and answers how many. They are looked for before the
// write lock is taken, since all that was staged is looked through; whether they
// still have none is looked at again.
func (db *DB) RetireRepositories(ctx context.Context, l *Lease, limit int) (retired int, err error) {
	const empty = `NOT EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id AND i.gone = 0)`
	var ids []int64
	err = db.View(ctx, func(tx *Tx) error {
		var err error
		ids, err = collect(ctx, tx, scanValue[int64],
			`SELECT p.id FROM sync_repositories s JOIN repositories p ON p.registry_id = $1 AND p.path = s.path AND p.gone = 0
			WHERE s.sync_id = $2 AND s.vanished > 0 AND s.state IN ('done', 'held') AND `+empty+` LIMIT $3`, l.Sync.RegistryID, l.Sync.ID, limit)
		return err
	})
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = db.leased(ctx, l, func(tx *Tx) error {
		args := []any{l.Sync.Generation}
		n, err := tx.exec(ctx, `UPDATE repositories AS p SET gone = $1 WHERE p.gone = 0 AND p.id `+amongNumbers(tx, &args, ids)+` AND `+empty, args...)
		retired = int(n)
		return err
	})
	return retired, err
}
