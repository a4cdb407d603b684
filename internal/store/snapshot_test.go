package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func names(list []*portolan.Registry) []string {
	var names []string
	for _, r := range list {
		names = append(names, r.Name)
	}
	return names
}

func TestRegistryPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.add(other, "not ours", portolan.OCI)
		var want []string
		for n := range 25 {
			kind := []portolan.RegistryType{portolan.OCI, portolan.Harbor}[n%2]
			f.add(account, fmt.Sprintf("reg-%02d", n), kind)
			want = append(want, fmt.Sprintf("reg-%02d", n))
			if n%3 == 0 {
				f.pass(time.Second) // some share a time
			}
		}
		slices.Reverse(want)
		all, err := f.Registries(t.Context(), account)
		f.must(err)
		var got []string
		for page := 1; page < 10; page++ {
			list, total := all.Page(store.RegistryFilter{}, page, 4)
			if total != 25 {
				t.Errorf("page %d: total %d", page, total)
			}
			got = append(got, names(list)...)
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages are %v", got)
		}
		if list, total := all.Page(store.RegistryFilter{}, math.MaxInt, 1000); len(list) != 0 || total != 25 {
			t.Errorf("far past the end: %d of %d", len(list), total)
		}
		for name, test := range map[string]struct {
			filter store.RegistryFilter
			total  int
		}{
			"type":          {store.RegistryFilter{Types: []string{"harbor"}}, 12},
			"types":         {store.RegistryFilter{Types: []string{"harbor", "oci", "x"}}, 25},
			"unknown type":  {store.RegistryFilter{Types: []string{"Harbor"}}, 0},
			"not types":     {store.RegistryFilter{NotTypes: []string{"harbor"}}, 13},
			"name":          {store.RegistryFilter{NameLike: "REG-1"}, 10},
			"name and type": {store.RegistryFilter{NameLike: "g-1", Types: []string{"oci"}}, 5},
			"no name":       {store.RegistryFilter{NameLike: "reg-%"}, 0},
		} {
			list, total := all.Page(test.filter, 1, 1000)
			if total != test.total || len(list) != total {
				t.Errorf("%s: %d, total %d, want %d", name, len(list), total, test.total)
			}
		}
	})
}

func TestRegistryNames(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, like string
		match      bool
	}{
		{"Straße", "STRASSE", true},
		{"STRASSE", "ß", true},
		{"İstanbul", "i̇stanbul", true},
		{"ISPARTA", "isparta", true},
		{"镜像仓库", "像仓", true},
		{"镜像仓库", "像库", false},
		{"ship 🚢 it", "🚢", true},
		{"ship 🚢 it", "🚣", false},
		{"Cafe\u0301", "CAF\u00c9", true},
		{"100%_\\*", "%_\\*", true},
		{"100", "%", false},
		{"a  b", "a b", false},
		{" lead", " lead", true},
		{"ΣΊΣΥΦΟΣ", "σίσυφος", true},
	}
	for _, test := range tests {
		f := newFixture(t, storetest.URL(t, storetest.SQLite))
		f.add(account, test.name, portolan.OCI)
		all, err := f.Registries(t.Context(), account)
		f.must(err)
		if _, total := all.Page(store.RegistryFilter{NameLike: test.like}, 1, 10); (total == 1) != test.match {
			t.Errorf("%q like %q: %d", test.name, test.like, total)
		}
	}
}

// A change is seen at once by the process that made it and within two seconds
// by every other.
func TestRegistriesRefresh(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		second := storetest.Open(t, url, store.Options{Now: f.now})
		see := func(db *store.DB, want ...string) {
			t.Helper()
			all, err := db.Registries(t.Context(), account)
			f.must(err)
			list, _ := all.Page(store.RegistryFilter{}, 1, 10)
			if got := names(list); !slices.Equal(got, want) {
				t.Errorf("it shows %v, want %v", got, want)
			}
		}
		see(second)
		a := f.add(account, "a", portolan.OCI)
		see(f.DB, "a")
		f.pass(2 * time.Second)
		see(second, "a")
		b := f.add(account, "b", portolan.OCI)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			r, err := tx.Registry(ctx, account, a)
			if err != nil {
				return err
			}
			r.Name = "renamed"
			return tx.SetRegistry(ctx, r, nil)
		})
		see(f.DB, "b", "renamed")
		f.pass(2 * time.Second)
		see(second, "b", "renamed")
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, b) })
		see(f.DB, "renamed")
		f.pass(2 * time.Second)
		see(second, "renamed")
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return tx.RestoreRegistry(ctx, account, b, f.now().Add(-time.Hour))
		})
		see(f.DB, "b", "renamed")
		f.pass(2 * time.Second)
		see(second, "b", "renamed")
		f.fill(a, "app", f.image(1, "v1"))
		f.pass(2 * time.Second)
		all, err := second.Registries(t.Context(), account)
		f.must(err)
		if r := all.Get(a); r == nil || r.ImageCount != 1 || r.SyncStatus != portolan.SyncOK {
			t.Errorf("after a reading: %+v", r)
		}
		if r := all.Get(b + 100); r != nil {
			t.Errorf("no such registry: %+v", r)
		}
	})
}

func TestRegistryRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.OCI)
		if _, err := f.Registry(t.Context(), other, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another account's: %v", err)
		}
		same := entry(account, "a", portolan.OCI)
		err := f.Update(t.Context(), func(tx *store.Tx) error { _, err := tx.AddRegistry(t.Context(), same, nil); return err })
		if !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same again: %v", err)
		}
		if got, err := f.SameRegistry(t.Context(), same); err != nil || got != id {
			t.Errorf("the same is %d, %v", got, err)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, id) })
		twin := f.add(account, "a", portolan.OCI)
		restore := func(id int64, since time.Time) error {
			return f.Update(t.Context(), func(tx *store.Tx) error { return tx.RestoreRegistry(t.Context(), account, id, since) })
		}
		if err := restore(id, f.now().Add(-time.Hour)); !errors.Is(err, store.ErrConflict) {
			t.Errorf("restored beside its twin: %v", err)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, twin) })
		if err := restore(id, f.now().Add(time.Second)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("deleted too long ago: %v", err)
		}
		f.must(restore(id, f.now().Add(-time.Hour)))
		f.update(func(ctx context.Context, tx *store.Tx) error {
			if n, err := tx.CountRegistries(ctx, account); err != nil || n != 2 {
				t.Errorf("%d registries, %v", n, err)
			}
			return tx.SetNextSync(ctx, id, f.now())
		})
		if due, err := f.DueRegistries(t.Context(), 10); err != nil || len(due) != 1 || due[0].RegistryID != id {
			t.Errorf("due: %v %v", due, err)
		}
	})
}
