package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// tagged are the images of the account that have a text in their tags.
func (f *fixture) tagged(text string) []string {
	f.Helper()
	return f.pages(store.Criteria{Terms: []store.Term{{Field: store.FieldTag, Values: []string{text}}}}, 300)
}

// The images that are left of many go to few blocks, however scattered they
// were, and are found there.
func TestSparseBlocks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.OCI)
		images := make([]portolan.Image, 2_000)
		for n := range images {
			images[n] = f.image(n, fmt.Sprintf("v%d", n))
		}
		f.fill(id, "team/app", images...)
		before := f.rows("image_blocks", "1 = 1")
		f.change(id, "team/app", -1_900, func(k *store.Kept, c *store.Change) {
			for n, i := range k.Images {
				if n%20 != 7 {
					c.Drop = append(c.Drop, i.RowID)
				}
			}
		})
		f.must(f.CheckBlocks(t.Context()))
		if got := f.tagged("v"); len(got) != 100 {
			t.Errorf("%d images are found", len(got))
		}
		f.pass(31 * day)
		f.purge()
		if after := f.rows("image_blocks", "1 = 1"); before != 10 || after > 2 {
			t.Errorf("2000 images have %d blocks, 100 of them %d", before, after)
		}
		if got := f.tagged("v"); len(got) != 100 {
			t.Errorf("%d images are found when the others are purged", len(got))
		}
		f.exact(id, 100)
	})
}

// Images with long tags make blocks of fewer.
func TestBlocksOfLongTags(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.OCI)
		var images []portolan.Image
		for n := range 60 {
			images = append(images, f.image(n, fmt.Sprintf("%d-%s", n, strings.Repeat("x", 1_000))))
		}
		f.fill(id, "team/app", images...)
		if longest := f.rows("image_blocks", "length(tags) > 5000"); longest > 0 {
			t.Errorf("%d blocks are larger than they should be", longest)
		}
		if got := f.tagged("7-x"); len(got) != 6 {
			t.Errorf("%d images are found", len(got))
		}
	})
}

// What is written to one registry at the same time is in its blocks.
func TestBlocksWrittenAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		second := storetest.Open(t, url, store.Options{Now: f.now})
		ci := f.add(account, "builds", portolan.CICD)
		report := func(db *store.DB, path string, n int) error {
			q := store.Report{
				AccountID: account, RegistryID: ci, Path: path, Tag: fmt.Sprintf("b%d", n), Digest: digest(n),
				NewUUID: fmt.Sprintf("%s-%d", path, n), TaskID: fmt.Sprintf("%s-task-%d", path, n),
			}
			receipts, err := db.Report(t.Context(), []store.Report{q})
			if err == nil {
				err = receipts[0].Err
			}
			return err
		}
		for n := range 50 {
			f.must(report(f.DB, "old", n))
		}
		f.pass(31 * day)
		var all sync.WaitGroup
		for w, db := range []*store.DB{f.DB, second} {
			all.Go(func() {
				for n := range 60 {
					if err := report(db, fmt.Sprintf("new%d", w), n); err != nil {
						t.Error(err)
					}
				}
			})
			all.Go(func() {
				for range 20 {
					if _, err := db.ExpireReported(t.Context(), 3); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		f.exact(ci, 120)
		if got := f.tagged("B"); len(got) != 120 {
			t.Errorf("%d images are found", len(got))
		}
	})
}

// A purge writes to blocks of a registry that is being read.
func TestPurgeWhileReading(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.OCI)
		var images []portolan.Image
		for n := range 300 {
			images = append(images, f.image(n, "old"))
		}
		f.fill(id, "app", images...)
		f.change(id, "app", -200, func(k *store.Kept, c *store.Change) {
			for _, i := range k.Images[:200] {
				c.Drop = append(c.Drop, i.RowID)
			}
		})
		f.pass(31 * day)
		second := storetest.Open(t, url, store.Options{Now: f.now})
		l := f.claim(id)
		var all sync.WaitGroup
		all.Go(func() {
			for range 30 {
				if _, err := second.Purge(t.Context(), 10); err != nil {
					t.Error(err)
				}
			}
		})
		for n := range 30 {
			f.must(f.Apply(t.Context(), l, []store.Change{f.inserting(fmt.Sprintf("new/%d", n), f.image(1_000+n, "new"))}, true))
		}
		all.Wait()
		f.publish(l, 30)
		f.exact(id, 130)
		if found := [2]int{len(f.tagged("old")), len(f.tagged("new"))}; found != [2]int{100, 30} {
			t.Errorf("%v images are found", found)
		}
	})
}

// A store of before there were blocks gets those of its images.
func TestBlocksOfAnOlderStore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id, ci := f.add(account, "a", portolan.OCI), f.add(account, "builds", portolan.CICD)
		var images []portolan.Image
		for n := range 450 {
			tags := []string{fmt.Sprintf("V%d", n), "both"}
			images = append(images, f.image(n, tags[:n%3]...)) // some have none
		}
		f.fill(id, "team/app", images...)
		f.change(id, "team/app", -1, func(k *store.Kept, c *store.Change) { c.Drop = []int64{k.Images[1].RowID} })
		f.told(store.Report{AccountID: account, RegistryID: ci, Path: "job", Tag: "v9", NewUUID: "job-9", TaskID: "t"})
		want := [2][]string{f.tagged("v"), f.tagged("both")}
		if err := f.undo(9); err != nil {
			t.Fatal(err)
		}
		defer func(first *store.DB) { f.DB = first }(f.DB)
		f.DB = storetest.Open(t, url, store.Options{Now: f.now})
		if got := [2][]string{f.tagged("v"), f.tagged("both")}; !slices.Equal(got[0], want[0]) || !slices.Equal(got[1], want[1]) || len(want[0]) != 300 {
			t.Errorf("%d and %d images are found, want %d and %d", len(got[0]), len(got[1]), len(want[0]), len(want[1]))
		}
		f.fill(id, "team/more", f.image(9_000, "V9000"))
	})
}

// undo takes the last migration back.
func (f *fixture) undo(version int) error {
	statements := map[int]string{9: `ALTER TABLE images DROP COLUMN block;
		DROP TABLE image_blocks;
		CREATE INDEX images_tags ON images (registry_id, gone);
		CREATE INDEX images_many_tags ON images (registry_id)`}[version]
	for s := range strings.SplitSeq(statements, ";") {
		if _, err := f.Writer().ExecContext(f.Context(), s); err != nil {
			return err
		}
	}
	_, err := f.Writer().ExecContext(f.Context(), fmt.Sprintf("DELETE FROM schema_version WHERE version = %d", version))
	return err
}
