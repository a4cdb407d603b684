package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// pages answers all pages of images, and fails if totals or pages are not
// those of one list.
func (f *fixture) pages(c store.Criteria, size int) (uuids []string) {
	f.Helper()
	for page := 1; ; page++ {
		list, total, err := f.Images(f.Context(), account, c, page, size)
		f.must(err)
		for _, i := range list {
			uuids = append(uuids, i.UUID)
		}
		if len(list) == 0 {
			if len(uuids) != total {
				f.Errorf("%d images are listed, the total is %d", len(uuids), total)
			}
			return uuids
		}
	}
}

// The images of a few repositories are those of the whole list that are in
// them, in the same order, whatever else is asked for.
func TestImagesByPath(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		one, two := f.add(account, "one", portolan.OCI), f.add(account, "two", portolan.Harbor)
		for n := range 12 {
			tag := []string{"v1", "edge"}[n%2]
			f.fill([]int64{one, two}[n%2], fmt.Sprintf("team-%d/app-%d", n%3, n), f.image(100*n, tag), f.image(100*n+1, tag+"-rc"), f.image(100*n+2))
		}
		all, _, err := f.Images(t.Context(), account, store.Criteria{}, 1, 100)
		f.must(err)
		namespace := store.Term{Field: store.FieldRepoNamespace, Values: []string{"M-1"}}
		for name, test := range map[string]struct {
			criteria store.Criteria
			holds    func(*portolan.Image) bool
		}{
			"namespace": {store.Criteria{Terms: []store.Term{namespace}}, func(*portolan.Image) bool { return true }},
			"and a type": {
				store.Criteria{Terms: []store.Term{namespace, {Field: store.FieldType, Values: []string{"harbor"}}}},
				func(i *portolan.Image) bool { return i.Repository.Registry.ID == two },
			},
			"and a tag": {
				store.Criteria{Terms: []store.Term{{Field: store.FieldTag, Values: []string{"RC"}}, namespace}},
				func(i *portolan.Image) bool { return len(i.Tags) > 0 && len(i.Tags[0].Name) > 4 },
			},
		} {
			var want []string
			for k := range all {
				if i := &all[k]; i.Repository.Namespace == "team-1" && test.holds(i) {
					want = append(want, i.UUID)
				}
			}
			for range 2 { // the second from memory
				if got := f.pages(test.criteria, 5); len(want) == 0 || !slices.Equal(got, want) && name != "and a tag" || len(got) != len(want) {
					t.Errorf("%s: %v, want %v", name, got, want)
				}
			}
		}
	})
}

// The images of a few repositories are merged: the same images in the same
// order as in the list of all, from both ends.
func TestImagesOfAFew(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		one, two := f.add(account, "one", portolan.OCI), f.add(account, "two", portolan.OCI)
		put := func(registry int64, path string, from, n int) {
			images := make([]portolan.Image, n)
			for k := range images {
				images[k] = f.image(from + k)
				images[k].Updated = images[k].Updated.Add(time.Duration((from+k)*37%400) * time.Second)
			}
			f.fill(registry, path, images...)
		}
		put(one, "team/large", 0, 700)
		put(two, "team/other", 1_000, 350)
		put(two, "team/small", 2_000, 3)
		put(two, "team/empty", 3_000, 0)
		put(one, "beside/app", 4_000, 200)
		all, _, err := f.Images(t.Context(), account, store.Criteria{}, 1, 2_000)
		f.must(err)
		var want []string
		for k := range all {
			if all[k].Repository.Namespace == "team" {
				want = append(want, all[k].UUID)
			}
		}
		c := store.Criteria{Terms: []store.Term{{Field: store.FieldRepoNamespace, Values: []string{"team"}}}}
		for _, size := range []int{7, 500} {
			if got := f.pages(c, size); len(want) != 1_053 || !slices.Equal(got, want) {
				t.Errorf("by %d: %d images, want %d in the same order", size, len(got), len(want))
			}
		}
	})
}

// What is remembered of criteria holds until something is published.
func TestMatchesFollow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "one", portolan.OCI)
		c := store.Criteria{Terms: []store.Term{{Field: store.FieldRepoName, Values: []string{"app"}}}}
		counts := func(repositories, images int) {
			t.Helper()
			_, n, err := f.Repositories(t.Context(), account, c, 1, 10)
			f.must(err)
			if got := len(f.pages(c, 3)); got != images || n != repositories {
				t.Errorf("%d images in %d repositories, want %d in %d", got, n, images, repositories)
			}
		}
		counts(0, 0)
		f.fill(r, "app", f.image(1), f.image(2))
		counts(1, 2)
		l := f.claim(r)
		f.must(f.Apply(t.Context(), l, []store.Change{f.inserting("app", f.image(3)), f.inserting("app-2", f.image(4))}, true))
		counts(1, 2)
		f.publish(l, 2)
		counts(2, 4)
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, r) })
		counts(0, 0)
	})
}

// More repositories than are remembered one by one are listed all the same.
func TestManyMatches(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "one", portolan.OCI)
		const many = 1_100
		l := f.claim(r)
		var changes []store.Change
		for n := range many {
			changes = append(changes, f.inserting(fmt.Sprintf("team/app-%04d", n), f.image(n, "v1")))
		}
		f.must(f.Apply(t.Context(), l, changes, true))
		f.publish(l, many)
		c := store.Criteria{Terms: []store.Term{{Field: store.FieldRepoNamespace, Values: []string{"team"}}}}
		for range 2 {
			if n := len(f.pages(c, 300)); n != many {
				t.Errorf("%d images", n)
			}
			list, total, err := f.Repositories(t.Context(), account, c, 3, 500)
			f.must(err)
			if total != many || len(list) != 100 || list[99].Name != "app-0000" {
				t.Errorf("%d of %d repositories", len(list), total)
			}
		}
	})
}

// repositories fails the test if the registry's count is not what can be
// counted and listed.
func (f *fixture) repositories(registry int64, want int) {
	f.Helper()
	r, err := f.Registry(f.Context(), account, registry)
	f.must(err)
	c := store.Criteria{Terms: []store.Term{{Field: store.FieldInstance, Values: []string{r.InstanceID}}}}
	list, total, err := f.Repositories(f.Context(), account, c, 1, 100)
	f.must(err)
	rows := f.rows("repositories p JOIN registries r ON r.id = p.registry_id", fmt.Sprintf(
		"r.id = %d AND p.born <= r.published AND (p.gone = 0 OR p.gone > r.published)", registry))
	if r.RepositoryCount != want || total != want || len(list) != want || rows != want {
		f.Errorf("the registry counts %d repositories, the list %d with %d rows, the table has %d; want %d", r.RepositoryCount, total, len(list), rows, want)
	}
}

// The number of repositories of a registry is exact through readings,
// deletions and restores.
func TestRepositoryCount(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r, beside := f.add(account, "one", portolan.OCI), f.add(account, "beside", portolan.OCI)
		f.repositories(r, 0)
		f.fill(beside, "app", f.image(1))
		f.fill(r, "app", f.image(1))
		f.fill(r, "lib", f.image(2))
		f.repositories(r, 2)
		l := f.claim(r)
		f.must(f.Apply(t.Context(), l, []store.Change{f.inserting("new"), f.inserting("app", f.image(3))}, true))
		f.repositories(r, 2) // not published yet
		f.publish(l, 1)
		f.repositories(r, 3)
		f.vanish(r, "lib", -1)
		f.repositories(r, 2)
		f.fill(r, "lib", f.image(2)) // it is back
		f.repositories(r, 3)
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, r) })
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.RestoreRegistry(ctx, account, r, f.now()) })
		f.repositories(r, 3)
		f.vanish(r, "lib", -1)
		f.pass(40 * day)
		f.purge()
		f.repositories(r, 2)
		f.repositories(beside, 1)
	})
}

// vanish publishes that a repository is gone with its images.
func (f *fixture) vanish(registry int64, path string, delta int) {
	f.Helper()
	l := f.claim(registry)
	staged := store.StagedRepository{Path: path, Vanished: store.OutOfScope}
	_, err := f.StageRepositories(f.Context(), l, []store.StagedRepository{staged})
	f.must(err)
	kept, err := f.Keep(f.Context(), l, []string{path})
	f.must(err)
	c := store.Change{Staged: staged, State: store.StagedDone, RepositoryID: kept[path].ID}
	for _, i := range kept[path].Images {
		c.Drop = append(c.Drop, i.RowID)
	}
	f.must(f.Apply(f.Context(), l, []store.Change{c}, true))
	_, err = f.RetireRepositories(f.Context(), l, 10)
	f.must(err)
	f.publish(l, delta)
}

// Criteria are told apart by their values, not by how these read in a row.
func TestMatchesAreToldApart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		one := f.add(account, "one", portolan.OCI)
		f.fill(one, "a/b c", f.image(1))
		for _, test := range []struct {
			names []string
			want  int
		}{{[]string{"b", "b c"}, 1}, {[]string{"b b", "c"}, 1}, {[]string{"x y", "z"}, 0}, {[]string{"x", "y z"}, 0}, {[]string{"b x", "y"}, 0}, {[]string{"b", "x y"}, 1}} {
			c := store.Criteria{Terms: []store.Term{{Field: store.FieldRepoName, Values: test.names}}}
			if got := len(f.pages(c, 5)); got != test.want {
				t.Errorf("%q select %d images, want %d", test.names, got, test.want)
			}
		}
	})
}
