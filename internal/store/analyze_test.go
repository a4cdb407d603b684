package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// What is staged is found by its path, and not by looking through all that is
// staged, also where PostgreSQL last saw the table empty.
func TestStagedIsFoundByPath(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.URL(t, storetest.Postgres))
	r := f.add(account, "a", portolan.OCI)
	_, err := f.Writer().ExecContext(t.Context(), "ANALYZE sync_repositories")
	f.must(err)
	l := f.claim(r)
	for part := range 10 {
		list := make([]store.StagedRepository, 1_000)
		for i := range list {
			list[i].Path = fmt.Sprintf("team/app-%05d", part*len(list)+i)
		}
		if added, err := f.StageRepositories(t.Context(), l, list); err != nil || added != len(list) {
			t.Fatalf("%d are new, %v", added, err)
		}
	}
	paths := make([]string, 16)
	for i := range paths {
		paths[i] = fmt.Sprintf("'team/app-%05d'", i*100)
	}
	text := f.plan(fmt.Sprintf(`UPDATE sync_repositories SET state = 'done' WHERE sync_id = '%s' AND path IN (%s)`, l.Sync.ID, strings.Join(paths, ",")))
	if !strings.Contains(text, "Index Cond: ((sync_id = ") || strings.Contains(text, "Filter:") {
		t.Error(text)
	}
}

// plan is how the database runs a statement. PostgreSQL is kept from selecting
// from small tables by reading them from end to end.
func (f *fixture) plan(statement string) string {
	f.Helper()
	var text string
	f.update(func(ctx context.Context, tx *store.Tx) (err error) {
		explain := "EXPLAIN QUERY PLAN "
		if f.Postgres() {
			explain = "EXPLAIN "
			if strings.HasPrefix(statement, "SELECT") {
				if _, err := tx.SQL().ExecContext(ctx, "SET LOCAL enable_seqscan = off"); err != nil {
					return err
				}
			}
		}
		text, err = f.explained(tx, explain+statement)
		return err
	})
	return text
}

// explained are the lines that a statement of EXPLAIN answers.
func (f *fixture) explained(tx *store.Tx, statement string) (string, error) {
	var line string
	into := []any{&line}
	if !f.Postgres() {
		into = []any{new(int), new(int), new(int), &line}
	}
	rows, err := tx.SQL().QueryContext(f.Context(), statement)
	if err != nil {
		return "", err
	}
	var lines []string
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return "", errors.Join(err, rows.Close())
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), errors.Join(rows.Err(), rows.Close())
}
