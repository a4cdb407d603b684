package store_test

import (
	"fmt"
	"math/rand/v2"
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

// Images with long tags make blocks of fewer, which stay as they are while some
// of them go.
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
		if large, all := f.rows("image_blocks", "length(tags) > 4000"), f.rows("image_blocks", "1 = 1"); large > 0 || all != 20 {
			t.Errorf("%d of %d blocks are larger than they should be", large, all)
		}
		f.change(id, "team/app", -20, func(k *store.Kept, c *store.Change) {
			for _, i := range k.Images {
				if i.Size%3 == 1 {
					c.Drop = append(c.Drop, i.RowID)
				}
			}
		})
		f.pass(31 * day)
		f.purge()
		if all := f.rows("image_blocks", "length(heads) - length(replace(heads, ' ', '')) = 6"); all != 20 {
			t.Errorf("%d blocks have two images", all)
		}
		if got := f.tagged("8-x"); len(got) != 4 {
			t.Errorf("%d images are found", len(got))
		}
	})
}

// Images whose tags come one by one do not make a block without end.
func TestBlocksOfGrowingImages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		ci := f.add(account, "builds", portolan.CICD)
		const images, tags = 12, 30
		for tag := range tags {
			var list []store.Report
			for n := range images {
				list = append(list, store.Report{
					AccountID: account, RegistryID: ci, Path: "app", Tag: fmt.Sprintf("%d-%d-%s", n, tag, strings.Repeat("y", 100)), Digest: digest(n),
					NewUUID: fmt.Sprintf("image-%d", n), TaskID: fmt.Sprintf("task-%d-%d", tag, n),
				})
			}
			f.tell(list...)
		}
		if large := f.rows("image_blocks", "length(tags) > 20000"); large > 0 {
			t.Errorf("%d blocks have grown too large", large)
		}
		if got := f.tagged("-29-Y"); len(got) != images {
			t.Errorf("%d images are found", len(got))
		}
		f.exact(ci, images)
	})
}

// A search finds what looking at each image finds, whatever else is asked for,
// and while images are replaced and gone.
func TestTagSearch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		random := rand.New(rand.NewPCG(1, 2))
		kinds := []portolan.RegistryType{portolan.OCI, portolan.Harbor, portolan.Quay}
		var ids []int64
		for n, kind := range kinds {
			id := f.add(account, fmt.Sprint(n), kind)
			ids = append(ids, id)
			for repository := range 3 {
				images := make([]portolan.Image, 200)
				for k := range images {
					images[k] = f.image(10_000*n+1_000*repository+k, words(random)...)
				}
				f.fill(id, fmt.Sprintf("team-%d/app", repository), images...)
			}
		}
		f.compareSearches(ids)
		for n, id := range ids {
			f.change(id, "team-1/app", -20, func(k *store.Kept, c *store.Change) {
				for at, i := range k.Images {
					switch {
					case at < 20:
						c.Drop = append(c.Drop, i.RowID)
					case at < 60:
						c.Replace = append(c.Replace, i.RowID)
						i.Tags = f.image(n, words(random)...).Tags
						c.Versions = append(c.Versions, i.Image)
					}
				}
			})
		}
		f.compareSearches(ids)
		// What a reading has not published is not found.
		l := f.claim(ids[0])
		f.must(f.Apply(t.Context(), l, []store.Change{f.inserting("team-9/app", f.image(99_000, "ab", "edge"))}, true))
		f.compareSearches(ids)
		f.publish(l, 1)
		f.purge()
		f.compareSearches(ids)
	})
}

// words are up to three tags.
func words(random *rand.Rand) (tags []string) {
	for range random.IntN(4) {
		tags = append(tags, []string{"a", "AB", "abc-1", "edge", "Straße", "镜像", "b.a"}[random.IntN(7)])
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

func (f *fixture) compareSearches(registries []int64) {
	f.Helper()
	all, _, err := f.Images(f.Context(), account, store.Criteria{}, 1, 5_000)
	f.must(err)
	others := []store.Term{
		{},
		{Field: store.FieldType, Values: []string{"harbor"}},
		{Field: store.FieldInstance, Values: []string{fmt.Sprint(registries[0])}},
		{Field: store.FieldRepoNamespace, Values: []string{"M-1"}},        // few images
		{Field: store.FieldRepoNamespace, Values: []string{"M-1", "M-2"}}, // and many
	}
	parts := [][]string{{"ss"}, {"e", "1", "像"}, {"ab"}, {""}, {"A"}, {"镜"}, {"nothing"}, {"nothing", "B"}, {"a\nb"}, {"a\nb", "EDGE"}}
	whole := [][]string{{"AB"}, {""}, {"ab"}, {"a"}, {"Straße", "镜像"}, {"strasse"}, {"a\nb"}}
	if testing.Short() {
		parts, whole = parts[:4], whole[:2]
	}
	for _, other := range others {
		for _, values := range parts {
			f.compareSearch(all, store.FieldTag, values, other, hasPart)
		}
		for _, values := range whole {
			for _, most := range []int{50_000, 10} {
				f.VerifyOnly(most)
				f.compareSearch(all, store.FieldTagIs, values, other, hasTag)
			}
		}
	}
}

func (f *fixture) compareSearch(all []portolan.Image, field store.Field, values []string, other store.Term, has func(*portolan.Image, []string) bool) {
	f.Helper()
	c := store.Criteria{Terms: []store.Term{{Field: field, Values: values}}}
	if other.Field != "" {
		c.Terms = append(c.Terms, other)
	}
	var want []string
	for k := range all {
		if i := &all[k]; has(i, values) && holds(i, other) {
			want = append(want, i.UUID)
		}
	}
	if got := f.pages(c, 700); !slices.Equal(got, want) {
		f.Errorf("%s %q and %v: %d images, want %d", field, values, other, len(got), len(want))
	}
}

// hasTag reports whether one of the values is a tag of the image, "" whether it
// has none.
func hasTag(i *portolan.Image, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return v == "" && len(i.Tags) == 0 || slices.ContainsFunc(i.Tags, func(t portolan.Tag) bool { return t.Name == v })
	})
}

// hasPart reports whether one of the values is in a tag of the image.
func hasPart(i *portolan.Image, values []string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return v == "" || slices.ContainsFunc(i.Tags, func(t portolan.Tag) bool { return strings.Contains(portolan.Fold(t.Name), portolan.Fold(v)) })
	})
}

func holds(i *portolan.Image, other store.Term) bool {
	switch r := i.Repository.Registry; other.Field {
	case store.FieldType:
		return string(r.Type) == other.Values[0]
	case store.FieldInstance:
		return fmt.Sprint(r.ID) == other.Values[0]
	case store.FieldRepoNamespace:
		return slices.ContainsFunc(other.Values, func(v string) bool { return strings.Contains(portolan.Fold(i.Repository.Namespace), portolan.Fold(v)) })
	default:
		return true
	}
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

// undo takes the migrations from a version on back.
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
	_, err := f.Writer().ExecContext(f.Context(), fmt.Sprintf("DELETE FROM schema_version WHERE version >= %d", version))
	return err
}
