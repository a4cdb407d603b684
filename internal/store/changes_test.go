package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// A reading that comes twice to a repository, as one that was cut short does,
// changes what differs in the end.
func TestChangesOfTwoLooks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		l := f.claim(r)
		f.must(f.Apply(f.Context(), l, []store.Change{f.inserting("app", f.image(1, "a"), f.image(2, "b"), f.image(3, "c"), f.image(4, "d"))}, true))
		f.finish(l, 4)
		l = f.claim(r)
		look := func(change func(now map[portolan.Digest]store.KeptImage, c *store.Change)) {
			kept, err := f.Keep(f.Context(), l, []string{"app"})
			f.must(err)
			now := map[portolan.Digest]store.KeptImage{}
			for _, i := range kept["app"].Images {
				now[i.Digest] = i
			}
			c := f.inserting("app")
			c.RepositoryID = kept["app"].ID
			change(now, &c)
			f.must(f.Apply(f.Context(), l, []store.Change{c}, true))
		}
		retag := func(c *store.Change, i store.KeptImage, tag string) {
			v := i.Image
			v.Tags = []portolan.Tag{{Name: tag, Pushed: f.now()}}
			c.Replace, c.Versions = append(c.Replace, i.RowID), append(c.Versions, v)
		}
		look(func(now map[portolan.Digest]store.KeptImage, c *store.Change) {
			retag(c, now[digest(1)], "x") // and then gone
			retag(c, now[digest(2)], "x") // and then as it was
			retag(c, now[digest(3)], "y") // and then once more
			c.Insert = []portolan.Image{f.image(5, "e"), f.image(6, "f")}
		})
		look(func(now map[portolan.Digest]store.KeptImage, c *store.Change) {
			retag(c, now[digest(2)], "b")
			retag(c, now[digest(3)], "z")
			retag(c, now[digest(6)], "g")
			c.Drop = []int64{now[digest(1)].RowID, now[digest(5)].RowID}
		})
		f.finish(l, 0)
		list, total, err := f.Changes(f.Context(), account, store.ChangeFilter{}, 1, 10)
		f.must(err)
		got := map[portolan.Digest]string{}
		for _, c := range list {
			got[c.Digest] = fmt.Sprintf("%s %v %v", c.Kind, c.Before, c.After)
		}
		want := map[portolan.Digest]string{digest(1): "gone [a] []", digest(3): "retagged [c] [z]", digest(6): "added [] [g]"}
		if d := cmp.Diff(want, got); d != "" || total != len(want) {
			t.Errorf("%d changes (-want +got):\n%s", total, d)
		}
		f.exact(r, 4)
	})
}

// Pages walk through sets of all sizes.
func TestChangePages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.CICD)
		entry, err := f.Registry(t.Context(), account, r)
		f.must(err)
		n := 0
		for _, size := range []int{1, 7, 2, 1, 1, 13, 1} {
			var changes []store.ImageChange
			for range size {
				kind := store.ChangeAdded
				if n++; n%3 == 0 {
					kind = store.ChangeGone
				}
				changes = append(changes, store.ImageChange{Kind: kind, Path: "app", Digest: digest(n), UUID: fmt.Sprintf("%03d", n)})
			}
			f.update(func(ctx context.Context, tx *store.Tx) error { return tx.NoteChanges(ctx, entry, changes) })
			f.pass(1_000_000)
		}
		for kind, want := range map[store.ChangeKind]int{"": 26, store.ChangeAdded: 18, store.ChangeGone: 8, store.ChangeRetagged: 0} {
			for size := 1; size < 30; size += 3 {
				last, seen := "999", 0
				for page := 1; page < 40; page++ {
					list, total, err := f.Changes(t.Context(), account, store.ChangeFilter{Kind: kind}, page, size)
					f.must(err)
					if total != want {
						t.Fatalf("%s: total %d, want %d", kind, total, want)
					}
					for _, c := range list {
						if c.UUID >= last || kind != "" && c.Kind != kind {
							t.Fatalf("%s, pages of %d: %s %s after %s", kind, size, c.Kind, c.UUID, last)
						}
						last = c.UUID
						seen++
					}
				}
				if seen != want {
					t.Errorf("%s, pages of %d: %d seen, want %d", kind, size, seen, want)
				}
			}
		}
		if _, total, err := f.Changes(t.Context(), other, store.ChangeFilter{}, 1, 1); err != nil || total != 0 {
			t.Errorf("another account has %d changes, %v", total, err)
		}
	})
}

// finish publishes a reading with what it changed.
func (f *fixture) finish(l *store.Lease, delta int) {
	f.Helper()
	changes, done, err := f.CollectChanges(f.Context(), l, func() bool { return false })
	f.must(err)
	if !done {
		f.Fatal("not done")
	}
	l.Sync.Status = portolan.SyncOK
	f.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Finish(ctx, l, store.Finish{CountDelta: delta, CredentialVersion: 1, Changes: changes})
		return err
	})
}

// Many changes are written down in several goes, each a little further.
func TestChangesInGoes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		f.finish(f.claim(r), 0)
		l := f.claim(r)
		const n = 600
		var images []portolan.Image
		for i := range n {
			images = append(images, f.image(i, "a"))
		}
		f.must(f.Apply(f.Context(), l, []store.Change{f.inserting("app", images...)}, true))
		goes := 1
		for ; ; goes++ {
			got, done, err := f.CollectChanges(f.Context(), l, func() bool { return true })
			f.must(err)
			if done {
				if got != (store.ChangeCounts{Added: n}) {
					t.Errorf("%+v", got)
				}
				break
			}
			if goes > 10 {
				t.Fatal("it does not end")
			}
		}
		if goes != 3 {
			t.Errorf("%d goes", goes)
		}
		f.finish(l, n)
		if _, total, err := f.Changes(f.Context(), account, store.ChangeFilter{}, 1, 1); err != nil || total != n {
			t.Errorf("%d changes, %v", total, err)
		}
	})
}
