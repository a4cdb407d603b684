package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const day = 24 * time.Hour

// purge purges all there is, in small steps, and answers how much.
func (f *fixture) purge() int {
	f.Helper()
	sum := 0
	for range 1000 {
		n, err := f.Purge(f.Context(), 10)
		f.must(err)
		if sum += n; n == 0 {
			return sum
		}
	}
	f.Fatal("the purge does not end")
	return 0
}

// rows counts a table's rows.
func (f *fixture) rows(table, where string) int {
	f.Helper()
	var n int
	f.must(f.Writer().QueryRowContext(f.Context(), "SELECT count(*) FROM "+table+" WHERE "+where).Scan(&n))
	return n
}

// change publishes a change of a repository that exists.
func (f *fixture) change(registry int64, path string, delta int, fn func(*store.Kept, *store.Change)) {
	f.Helper()
	l := f.claim(registry)
	kept, err := f.Keep(f.Context(), l, []string{path})
	f.must(err)
	c := f.inserting(path)
	c.RepositoryID = kept[path].ID
	fn(kept[path], &c)
	f.must(f.Apply(f.Context(), l, []store.Change{c}, true))
	f.publish(l, delta)
}

func TestPurgeImages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		f.fill(r, "app", f.image(1, "v1"), f.image(2, "v2"), f.image(3, "v3"))
		f.change(r, "app", 0, func(k *store.Kept, c *store.Change) { // a new version of one
			c.Replace, c.Versions = []int64{k.Images[0].RowID}, []portolan.Image{k.Images[0].Image}
		})
		f.change(r, "app", -1, func(k *store.Kept, c *store.Change) { // one is gone
			c.Drop = []int64{k.Images[1].RowID}
		})
		f.exact(r, 2)
		if n := f.rows("images", "1 = 1"); n != 4 {
			t.Fatalf("%d rows", n)
		}
		f.purge()
		if n := f.rows("images", "1 = 1"); n != 3 {
			t.Errorf("without the version that is no more there are %d rows", n)
		}
		f.pass(30 * day)
		f.purge()
		if n := f.rows("images", "gone > 0"); n != 1 {
			t.Errorf("a gone image is remembered for 30 days, but there are %d", n)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error {
			g, err := tx.Registry(ctx, account, r)
			if err != nil {
				return err
			}
			g.PersistenceDay = 31
			return tx.SetRegistry(ctx, g, nil)
		})
		f.pass(time.Hour)
		f.purge()
		if n := f.rows("images", "gone > 0"); n != 1 {
			t.Errorf("and for 31 when that is asked for, but there are %d", n)
		}
		f.pass(day)
		f.purge()
		if n := f.rows("images", "gone > 0"); n != 0 {
			t.Errorf("after that it is forgotten, but there are %d", n)
		}
		f.exact(r, 2)
	})
}

// What a running reading has replaced is still shown, and stays.
func TestPurgeKeepsThePublished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		f.fill(r, "app", f.image(1, "v1"), f.image(2, "v2"))
		l := f.claim(r)
		kept, err := f.Keep(t.Context(), l, []string{"app"})
		f.must(err)
		c := f.inserting("app")
		c.Replace, c.Versions = []int64{kept["app"].Images[0].RowID}, []portolan.Image{kept["app"].Images[0].Image}
		c.Drop = []int64{kept["app"].Images[1].RowID}
		f.must(f.Apply(t.Context(), l, []store.Change{c}, true))
		f.pass(50 * day)
		f.purge()
		f.exact(r, 2)
	})
}

func TestPurgeRepositories(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		f.fill(r, "app", f.image(1))
		l := f.claim(r)
		_, err := f.StageRepositories(t.Context(), l, []store.StagedRepository{{Path: "app", Vanished: store.OutOfScope}})
		f.must(err)
		kept, err := f.Keep(t.Context(), l, []string{"app"})
		f.must(err)
		f.must(f.Apply(t.Context(), l, []store.Change{{
			Staged: store.StagedRepository{Path: "app", Vanished: store.OutOfScope}, State: store.StagedDone, RepositoryID: kept["app"].ID, Drop: []int64{kept["app"].Images[0].RowID},
			Artifacts: []store.Manifest{{Digest: digest(9), Kind: portolan.KindOther, MediaType: "x"}},
		}}, true))
		if n, err := f.RetireRepositories(t.Context(), l, 10); err != nil || n != 1 {
			t.Fatalf("%d retired, %v", n, err)
		}
		f.publish(l, -1)
		f.purge()
		if n := f.rows("repositories", "1 = 1"); n != 1 {
			t.Errorf("a repository is remembered as long as its images, but there are %d", n)
		}
		f.pass(31 * day)
		f.purge()
		for _, table := range []string{"repositories", "images", "artifacts", "sync_repositories"} {
			if n := f.rows(table, "1 = 1"); n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	})
}

func TestPurgeDeletedRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		gone, stays := f.add(account, "gone", portolan.OCI), f.add(account, "stays", portolan.OCI)
		for _, r := range []int64{gone, stays} {
			for n := range 3 {
				f.fill(r, fmt.Sprintf("app%d", n), f.image(1), f.image(2), f.image(3))
			}
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, gone) })
		if _, total, err := f.Images(t.Context(), account, store.Criteria{}, 1, 10); err != nil || total != 9 {
			t.Errorf("%d images are listed, %v", total, err)
		}
		f.pass(7*day - time.Minute)
		f.purge()
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.RestoreRegistry(ctx, account, gone, f.now().Add(-7*day))
		})
		f.exact(gone, 9)
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, gone) })
		f.pass(7*day + time.Minute)
		f.purge()
		for _, table := range []string{"images", "repositories", "syncs"} {
			if n := f.rows(table, fmt.Sprintf("registry_id = %d", gone)); n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
		if n := f.rows("registries", "1 = 1"); n != 1 {
			t.Errorf("%d registries", n)
		}
		f.exact(stays, 9)
		next := f.add(account, "next", portolan.OCI)
		if next <= stays {
			t.Errorf("the id %d is used again", next)
		}
	})
}

// A registry goes after all that is found by it, however much that is.
func TestPurgeDeletedLeavesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const many = 35
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		reports, changes := make([]store.Report, many), make([]store.ImageChange, many)
		for n := range many {
			reports[n] = store.Report{
				AccountID: account, RegistryID: r, Path: "app", Tag: fmt.Sprint("v", n), Digest: digest(1), TaskID: fmt.Sprint("task", n), NewUUID: "u",
			}
			changes[n] = store.ImageChange{Kind: store.ChangeAdded, Path: "app", Digest: digest(n), UUID: fmt.Sprint("u", n)}
		}
		_, err := f.Report(t.Context(), reports)
		f.must(err)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			g, err := tx.Registry(ctx, account, r)
			if err != nil {
				return err
			}
			return tx.NoteChanges(ctx, g, changes)
		})
		if n := f.rows("reported_tags", "1 = 1"); n != many {
			t.Fatalf("%d tags", n)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, r) })
		f.pass(7*day + time.Minute)
		f.purge()
		for _, table := range []string{"registries", "repositories", "images", "reported_tags", "change_sets", "changes"} {
			if n := f.rows(table, "1 = 1"); n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	})
}

func TestPurgeSyncs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		read := func(n int) {
			for range n {
				l := f.claim(r)
				_, err := f.StageRepositories(t.Context(), l, []store.StagedRepository{{Path: "a"}})
				f.must(err)
				f.must(f.StageRows(t.Context(), l, "a", "x", 1, 0, [][]byte{[]byte("{}")}))
				f.publish(l, 0)
			}
		}
		kept := func() int {
			_, total, err := f.Syncs(t.Context(), account, r, 1, 1)
			f.must(err)
			return total
		}
		read(60)
		f.purge()
		if n := f.rows("sync_repositories", "1 = 1") + f.rows("sync_rows", "1 = 1"); n != 0 || kept() != 60 {
			t.Errorf("%d staged rows, %d readings", n, kept())
		}
		f.pass(91 * day)
		f.purge()
		if kept() != 60 {
			t.Errorf("the last 100 are kept, but there are %d", kept())
		}
		read(60)
		f.purge()
		if kept() != 100 {
			t.Errorf("120 were made, 60 of them long ago, and there are %d", kept())
		}
		read(60)
		f.purge()
		if kept() != 120 {
			t.Errorf("those of 90 days are kept, but there are %d", kept())
		}
		if _, err := f.Sync(t.Context(), account, r, ""); errors.Is(err, store.ErrNotFound) {
			t.Error("the latest is gone")
		}
	})
}

// A row that comes back while a deletion waits for it stays.
func TestPurgeSparesWhatReturns(t *testing.T) {
	t.Parallel()
	for table, gone := range map[string]string{"repositories": "gone = 1", "images": "gone = 1, superseded = 1"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, storetest.URL(t, storetest.Postgres)) // SQLite has one writer
			r := f.add(account, "a", portolan.OCI)
			if table == "images" {
				f.fill(r, "app", f.image(1))
			} else {
				f.fill(r, "app")
			}
			_, err := f.Writer().ExecContext(t.Context(), "UPDATE "+table+" SET "+gone)
			f.must(err)
			returns, err := f.Writer().BeginTx(t.Context(), nil)
			f.must(err)
			var pid int
			f.must(returns.QueryRowContext(t.Context(), "UPDATE "+table+" SET gone = 0 RETURNING pg_backend_pid()").Scan(&pid))
			purged := make(chan error, 1)
			go func() {
				_, err := f.Purge(t.Context(), 10)
				purged <- err
			}()
			for waits := 0; waits == 0; {
				if len(purged) > 0 {
					t.Fatalf("the purge does not wait: %v", <-purged)
				}
				f.must(f.Writer().QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE $1 = ANY(pg_blocking_pids(pid))", pid).Scan(&waits))
			}
			f.must(returns.Commit())
			f.must(<-purged)
			if n := f.rows(table, "1 = 1"); n != 1 {
				t.Errorf("%s has %d rows", table, n)
			}
		})
	}
}
