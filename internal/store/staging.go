package store

import (
	"context"
	"slices"
	"time"
)

// States of a staged repository.
const (
	StagedTodo    = "todo"
	StagedDone    = "done"
	StagedSkipped = "skipped"
	StagedFailed  = "failed"
	StagedHeld    = "held"
)

// Why a staged repository is not in the catalogue.
const (
	InCatalogue = 0
	Vanished    = 1 // no longer in the catalogue: its own answer decides
	OutOfScope  = 2 // excluded by the registry's scope
)

// StagedRepository is a repository that a reading has to read.
type StagedRepository struct {
	Path        string
	Group       string
	Expect      int
	Fingerprint string
	Visibility  string
	Vanished    int
	State       string
	Resume      string
	Listed      int
}

const stagedColumns = `path, grouping_key, expect, fingerprint, visibility, vanished, state, resume, listed`

func scanStaged(row scanner) (r StagedRepository, err error) {
	return r, row.Scan(&r.Path, &r.Group, &r.Expect, &r.Fingerprint, &r.Visibility, &r.Vanished, &r.State, &r.Resume, &r.Listed)
}

// StageRepositories adds repositories to a reading and answers how many were
// new to it. The ledger counts those of the catalogue as listed.
func (db *DB) StageRepositories(ctx context.Context, l *Lease, list []StagedRepository) (added int, err error) {
	listed := l.Sync.Ledger.RepositoriesListed
	err = db.leased(ctx, l, func(tx *Tx) error {
		rows := make([][]any, len(list))
		for i, r := range list {
			rows[i] = []any{l.Sync.ID, r.Path, r.Group, r.Expect, r.Fingerprint, r.Visibility, r.Vanished}
		}
		n, err := tx.insertMany(ctx, `INSERT INTO sync_repositories (sync_id, path, grouping_key, expect, fingerprint, visibility, vanished)`, rows,
			`ON CONFLICT (sync_id, path) DO NOTHING`)
		if added = int(n); err != nil || added == 0 || list[0].Vanished != InCatalogue {
			return err
		}
		l.Sync.Ledger.RepositoriesListed = listed + added
		return tx.hold(ctx, l)
	})
	if err == nil { // the table may have been empty when it was looked at
		db.grown(ctx, &l.staged, added, "sync_repositories")
	}
	return added, err
}

// MissingRepositories answers up to limit paths after one, in order, that the
// registry had and the reading's catalogue lacks.
func (db *DB) MissingRepositories(ctx context.Context, l *Lease, after string, limit int) ([]string, error) {
	var list []string
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanValue[string],
			`SELECT p.path FROM repositories p WHERE p.registry_id = $1 AND p.gone = 0 AND p.path > $2
				AND NOT EXISTS (SELECT 1 FROM sync_repositories s WHERE s.sync_id = $3 AND s.path = p.path AND s.vanished = 0)
			ORDER BY p.path LIMIT $4`, l.Sync.RegistryID, after, l.Sync.ID, limit)
		return err
	})
	return list, err
}

// TodoRepositories answers up to limit repositories that are still to be read,
// in order of group and path.
func (db *DB) TodoRepositories(ctx context.Context, l *Lease, limit int) ([]StagedRepository, error) {
	var list []StagedRepository
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanStaged,
			`SELECT `+stagedColumns+` FROM sync_repositories WHERE sync_id = $1 AND state = 'todo' ORDER BY grouping_key, path LIMIT $2`, l.Sync.ID, limit)
		return err
	})
	return list, err
}

// TodoGroup is a group of which repositories are still to be read.
type TodoGroup struct {
	Name string
	// Expect is the number of rows that a list of the whole group holds.
	Expect int
	// Untouched tells that all of it is still to be read, and none of unknown
	// size.
	Untouched bool
}

// TodoGroups answers the groups that have repositories to be read.
func (db *DB) TodoGroups(ctx context.Context, l *Lease) ([]TodoGroup, error) {
	var list []TodoGroup
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, func(row scanner) (g TodoGroup, err error) {
			var untouched int
			err = row.Scan(&g.Name, &g.Expect, &untouched)
			g.Untouched = untouched != 0
			return g, err
		}, `SELECT grouping_key, SUM(expect), MIN(CASE WHEN state = 'todo' AND expect >= 0 AND resume = '' THEN 1 ELSE 0 END)
			FROM sync_repositories WHERE sync_id = $1 AND vanished = 0 AND grouping_key <> ''
			GROUP BY grouping_key HAVING MAX(CASE WHEN state = 'todo' THEN 1 ELSE 0 END) = 1 ORDER BY grouping_key`, l.Sync.ID)
		return err
	})
	return list, err
}

// GroupRepositories answers the repositories of a group still to be read.
func (db *DB) GroupRepositories(ctx context.Context, l *Lease, group string) ([]StagedRepository, error) {
	var list []StagedRepository
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanStaged,
			`SELECT `+stagedColumns+` FROM sync_repositories WHERE sync_id = $1 AND grouping_key = $2 AND state = 'todo' ORDER BY path`, l.Sync.ID, group)
		return err
	})
	return list, err
}

// stagedBatch is how many staged repositories are skipped in one transaction.
const stagedBatch = 500

// unchanged selects the staged repositories whose fingerprint is the one of
// their last complete listing, which ended at $3 or later.
const unchanged = `s.sync_id = $1 AND s.state = 'todo' AND s.vanished = 0 AND s.fingerprint <> ''
	AND EXISTS (SELECT 1 FROM repositories p WHERE p.registry_id = $2 AND p.path = s.path AND p.gone = 0
		AND p.fingerprint = s.fingerprint AND p.read_at >= $3
		AND NOT EXISTS (SELECT 1 FROM images i WHERE i.repository_id = p.id AND i.registry_id = $2 AND i.lacks > 0))`

// SkipUnchanged marks the repositories as skipped whose fingerprint is the one
// of their last complete listing, which ended at readAt or later, unless their
// path is among changed. It answers how many.
func (db *DB) SkipUnchanged(ctx context.Context, l *Lease, readAt time.Time, changed []string) (skipped int, err error) {
	args := []any{l.Sync.ID, l.Sync.RegistryID, millis(readAt)}
	read := make(map[string]bool, len(changed))
	for _, path := range changed {
		read[path] = true
	}
	after := ""
	for {
		paths, err := db.unchangedPaths(ctx, append(slices.Clone(args), after, stagedBatch))
		if err != nil {
			return skipped, err
		}
		full := len(paths) == stagedBatch
		if full {
			after = paths[len(paths)-1]
		}
		paths = slices.DeleteFunc(paths, func(path string) bool { return read[path] })
		var n int64
		err = db.leased(ctx, l, func(tx *Tx) error {
			own := slices.Clone(args)
			n, err = tx.exec(ctx, `UPDATE sync_repositories AS s SET state = 'skipped' WHERE `+unchanged+` AND s.path `+amongTexts(tx, &own, paths), own...)
			return err
		})
		skipped += int(n)
		if err != nil || !full {
			return skipped, err
		}
	}
}

// unchangedPaths answers the paths of unchanged repositories after $4, in
// order, $5 at most.
func (db *DB) unchangedPaths(ctx context.Context, args []any) (paths []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		paths, err = collect(ctx, tx, scanValue[string],
			`SELECT s.path FROM sync_repositories s WHERE `+unchanged+` AND s.path > $4 ORDER BY s.path LIMIT $5`, args...)
		return err
	})
	return paths, err
}

// StageRows keeps the rows of a repository whose listing is interrupted, to be
// gone on with after the cursor resume.
func (db *DB) StageRows(ctx context.Context, l *Lease, path, resume string, listed, from int, rows [][]byte) error {
	return db.leased(ctx, l, func(tx *Tx) error {
		values := make([][]any, len(rows))
		for i, content := range rows {
			values[i] = []any{l.Sync.ID, path, from + i, content}
		}
		if _, err := tx.insertMany(ctx, `INSERT INTO sync_rows (sync_id, path, seq, content)`, values, ""); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE sync_repositories SET resume = $1, listed = $2 WHERE sync_id = $3 AND path = $4`, resume, listed, l.Sync.ID, path)
		return err
	})
}

// StagedRows answers the rows kept by StageRows, in their order.
func (db *DB) StagedRows(ctx context.Context, l *Lease, path string) ([][]byte, error) {
	var list [][]byte
	err := db.look(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanValue[[]byte],
			`SELECT content FROM sync_rows WHERE sync_id = $1 AND path = $2 ORDER BY seq`, l.Sync.ID, path)
		return err
	})
	return list, err
}

// FailTodo marks everything still to be read as failed.
func (db *DB) FailTodo(ctx context.Context, l *Lease) error {
	return db.leased(ctx, l, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE sync_repositories SET state = 'failed' WHERE sync_id = $1 AND state = 'todo'`, l.Sync.ID)
		return err
	})
}

// CountStaged counts the repositories of a reading's catalogue by what became
// of them.
func (db *DB) CountStaged(ctx context.Context, l *Lease) (read, skipped, failed int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT COALESCE(SUM(CASE WHEN state = 'done' THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN state = 'skipped' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END), 0)
			FROM sync_repositories WHERE sync_id = $1 AND vanished = 0`, []any{l.Sync.ID}, &read, &skipped, &failed)
	})
	return read, skipped, failed, err
}
