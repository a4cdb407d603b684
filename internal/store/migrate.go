package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate runs the migrations that the store lacks, each in a transaction of
// its own. The files are append-only: one that has been released is never
// edited. With keep, a store that lacks some is refused.
func (db *DB) migrate(ctx context.Context, keep bool) error {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	err = db.look(ctx, func(tx *Tx) error { return tx.checkSchema(ctx, len(files)) })
	if err == nil || keep || !errors.Is(err, ErrEmpty) && !errors.Is(err, errOlder) {
		return err
	}
	for i, file := range files {
		if err := db.Update(ctx, func(tx *Tx) error { return tx.step(ctx, file, i+1, len(files)) }); err != nil {
			return fmt.Errorf("bring the store up to date (%s): %w", file, err)
		}
	}
	return nil
}

// schemaVersion is that of the store; one that is newer than this program knows
// is refused.
func (tx *Tx) schemaVersion(ctx context.Context, newest int) (int, error) {
	var have int
	if err := tx.one(ctx, `SELECT COALESCE(MAX(version), 0) FROM schema_version`, nil, &have); err != nil {
		return 0, err
	}
	if have > newest {
		return 0, fmt.Errorf("the store was written by a newer Portolan (schema %d, this one knows %d): run that version, or restore a backup", have, newest)
	}
	return have, nil
}

// errOlder is what keeps a store from being used before it is brought up to date.
var errOlder = errors.New("the store is that of an older Portolan")

// checkSchema refuses a store that is not up to date: ErrEmpty and errOlder for
// what a migration can do something about.
func (tx *Tx) checkSchema(ctx context.Context, newest int) error {
	have, err := tx.schemaVersion(ctx, newest)
	if tx.db.dialect.missing(err) {
		return ErrEmpty
	}
	if err == nil && have < newest {
		return fmt.Errorf("%w (schema %d, this one has %d): start this version's server first, it brings the store up to date", errOlder, have, newest)
	}
	return err
}

// step applies one migration unless it has been applied.
func (tx *Tx) step(ctx context.Context, file string, version, newest int) error {
	if lock := tx.db.dialect.lock; lock != "" {
		if _, err := tx.exec(ctx, lock); err != nil {
			return err
		}
	}
	if _, err := tx.exec(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)`); err != nil {
		return err
	}
	have, err := tx.schemaVersion(ctx, newest)
	if err != nil || have >= version {
		return err
	}
	text, err := migrations.ReadFile(file)
	if err != nil {
		return err
	}
	for statement := range strings.SplitSeq(string(text), ";\n") {
		if empty(tx.db.dialect.text(statement)) { // one of the other database
			continue
		}
		if _, err := tx.exec(ctx, statement); err != nil {
			return err
		}
	}
	_, err = tx.exec(ctx, `INSERT INTO schema_version (version) VALUES ($1)`, version)
	return err
}

// empty reports whether a statement has nothing but comments.
func empty(statement string) bool {
	for line := range strings.Lines(statement) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			return false
		}
	}
	return true
}
