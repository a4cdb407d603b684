package store_test

import (
	"context"
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
	var plan []string
	f.update(func(ctx context.Context, tx *store.Tx) error {
		rows, err := tx.SQL().QueryContext(ctx, fmt.Sprintf(`EXPLAIN UPDATE sync_repositories SET state = 'done' WHERE sync_id = '%s' AND path IN (%s)`,
			l.Sync.ID, strings.Join(paths, ",")))
		if err != nil {
			return err
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				return err
			}
			plan = append(plan, line)
		}
		return rows.Close()
	})
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index Cond: ((sync_id = ") || strings.Contains(text, "Filter:") {
		t.Error(text)
	}
}
