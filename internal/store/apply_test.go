package store_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Only what was read of a manifest that was verified is handed on to others.
func TestManifests(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		teaches := f.add(account, "oci", portolan.OCI)
		silent := f.add(account, "harbor", portolan.Harbor)
		stranger := f.add(other, "oci", portolan.OCI)
		artifact := func(registry int64, path string, n int, kind portolan.Kind) {
			t.Helper()
			l := f.claim(registry)
			c := f.inserting(path)
			c.Artifacts = []store.Manifest{{Digest: digest(n), Kind: kind, MediaType: "told by " + path, Size: 7}}
			f.must(f.Apply(t.Context(), l, []store.Change{c}, true))
			f.publish(l, 0)
		}
		f.fill(teaches, "images", f.image(1), f.image(2))
		artifact(teaches, "others", 2, portolan.KindOther)
		artifact(teaches, "a", 3, portolan.KindOther)
		artifact(teaches, "b", 3, portolan.KindOther)
		bare := f.image(1)
		bare.ImageID = ""
		f.fill(silent, "images", bare, f.image(4))
		artifact(silent, "others", 1, portolan.KindOther)
		artifact(silent, "others", 5, portolan.KindOther)
		f.fill(stranger, "images", f.image(6))

		asked := []portolan.Digest{digest(1), digest(2), digest(3), digest(4), digest(5), digest(6)}
		known, err := f.Manifests(t.Context(), account, asked)
		f.must(err)
		got := map[portolan.Digest]string{}
		for _, m := range known {
			got[m.Digest] += string(m.Kind) + " " + string(m.ImageID)
		}
		want := map[portolan.Digest]string{
			digest(1): "image " + string(digest(1_000_001)), digest(2): "image " + string(digest(1_000_002)), digest(3): "other ",
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	})
}

// Whether a repository is public is told by the generation that is published.
func TestVisibilityIsPublished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		reads := func(visibility string) *store.Lease {
			t.Helper()
			l := f.claim(r)
			c := f.inserting("app")
			c.Staged.Visibility = visibility
			half := c
			half.State = ""
			for _, part := range []store.Change{half, c} {
				f.must(f.Apply(t.Context(), l, []store.Change{part}, true))
			}
			return l
		}
		shows := func(name, want string) {
			t.Helper()
			list, _, err := f.Repositories(t.Context(), account, store.Criteria{}, 1, 10)
			if err != nil || len(list) != 1 || list[0].Visibility != want {
				t.Errorf("%s: %+v %v, want %s", name, list, err, want)
			}
			images, _, err := f.Images(t.Context(), account, store.Criteria{}, 1, 10)
			if err != nil || len(images) != 1 || images[0].Repository.Visibility != want {
				t.Errorf("%s: %+v %v, want %s", name, images, err, want)
			}
		}
		f.fill(r, "app", f.image(1))
		f.publish(reads("private"), 0)
		shows("published", "private")
		l := reads("public")
		shows("not yet published", "private")
		f.publish(l, 0)
		shows("published again", "public")
		l = reads("private")
		got, err := f.Revert(t.Context(), l, "app", true, 10, func(store.Reverted) error { return nil })
		if err != nil || got.Rows != 0 {
			t.Fatalf("%+v %v", got, err)
		}
		f.publish(l, 0)
		shows("taken back", "public")
	})
}

// An image that gets a new version and then lacks, in one reading that was
// interrupted between, is gone as any other: it is remembered.
func TestRetaggedThenGone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		image := f.image(1, "v1")
		f.fill(r, "app", image, f.image(2, "v2"))
		l := f.claim(r)
		kept := func() *store.Kept {
			t.Helper()
			k, err := f.Keep(t.Context(), l, []string{"app"})
			f.must(err)
			return k["app"]
		}
		rowOf := func(k *store.Kept) int64 {
			return k.Images[slices.IndexFunc(k.Images, func(i store.KeptImage) bool { return i.UUID == image.UUID })].RowID
		}
		retagged := image
		retagged.Tags = []portolan.Tag{{Name: "v9", Pushed: f.now()}}
		part := f.inserting("app")
		part.RepositoryID, part.State = kept().ID, ""
		part.Replace, part.Versions = []int64{rowOf(kept())}, []portolan.Image{retagged}
		f.must(f.Apply(t.Context(), l, []store.Change{part}, true))
		last := f.inserting("app")
		last.RepositoryID, last.Lack = kept().ID, []int64{rowOf(kept())}
		f.must(f.Apply(t.Context(), l, []store.Change{last}, true))
		n, err := f.RetireLacking(t.Context(), l, store.Believe{New: true}, 10, func(int) error { return nil })
		if err != nil || n != 1 {
			t.Fatalf("%d retired, %v", n, err)
		}
		f.publish(l, -1)
		f.purge()
		f.exact(r, 1)
		former := store.Former{RepositoryID: kept().ID, Digest: image.Digest}
		known, err := f.Histories(t.Context(), account, []store.Former{former})
		if err != nil || known[former].UUID != image.UUID {
			t.Errorf("%v is remembered, want %s, %v", known, image.UUID, err)
		}
	})
}
