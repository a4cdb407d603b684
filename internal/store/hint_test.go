package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// mark marks repositories of a registry.
func (f *fixture) mark(registry int64, paths ...string) {
	f.Helper()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		r, err := tx.Registry(ctx, f.owner(registry), registry)
		if err != nil {
			return err
		}
		return tx.Mark(ctx, r, paths)
	})
}

// hinted begins and ends a reading of what is marked, which finds nothing.
func (f *fixture) hinted(registry int64) bool {
	f.Helper()
	id := uuid.NewString()
	begun, err := f.BeginHinted(f.Context(), store.Due{AccountID: f.owner(registry), RegistryID: registry}, id, 100)
	f.must(err)
	if !begun {
		return false
	}
	l, err := f.Claim(f.Context(), id, "worker", time.Minute)
	f.must(err)
	f.publish(l, 0)
	return true
}

func TestHook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.Quay)
		if _, hash, err := f.Hook(t.Context(), id); err != nil || hash != nil {
			t.Errorf("before: %x, %v", hash, err)
		}
		set := func(owner int64) error {
			return f.Update(t.Context(), func(tx *store.Tx) error { return tx.SetHook(t.Context(), owner, id, []byte("hash")) })
		}
		if err := set(other); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another account: %v", err)
		}
		f.must(set(account))
		if owner, hash, err := f.Hook(t.Context(), id); err != nil || owner != account || string(hash) != "hash" {
			t.Errorf("after: %d %x, %v", owner, hash, err)
		}
		gone := func(name string) {
			t.Helper()
			if _, _, err := f.Hook(t.Context(), id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.SuspendAccount(ctx, account, true) })
		gone("suspended")
		f.update(func(ctx context.Context, tx *store.Tx) error {
			return errors.Join(tx.SuspendAccount(ctx, account, false), tx.DeleteRegistry(ctx, account, id))
		})
		gone("deleted")
	})
}

// The time of the last event is shown, and written at most once a second.
func TestLastEvent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		shown := func() time.Time {
			t.Helper()
			list, err := f.Registries(t.Context(), account)
			f.must(err)
			for g := range list.All {
				return g.LastEvent
			}
			return time.Time{}
		}
		if !shown().IsZero() {
			t.Errorf("before: %s", shown())
		}
		start := f.now()
		for range 6 {
			f.mark(r, "app")
			f.pass(300 * time.Millisecond)
		}
		if want := start.Add(1200 * time.Millisecond); !shown().Equal(want) {
			t.Errorf("%s, want %s", shown(), want)
		}
		g, err := f.Registry(t.Context(), account, r)
		if f.must(err); !g.Modified.Equal(start) {
			t.Errorf("an event changes when the entry was changed: %s", g.Modified)
		}
	})
}

// Too many marks are a reading of the whole.
func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.URL(t, storetest.SQLite))
	r := f.add(account, "a", portolan.OCI)
	for n := range 6 {
		paths := make([]string, 1000)
		for i := range paths {
			paths[i] = fmt.Sprintf("app%d", n*1000+i)
		}
		f.mark(r, append(paths, paths...)...)
	}
	if n := f.rows("hints", "due > 0"); n != 5_000 {
		t.Errorf("%d marks", n)
	}
	if due, err := f.DueRegistries(t.Context(), 1); err != nil || len(due) != 1 {
		t.Errorf("the whole is due: %v, %v", due, err)
	}
}

// The history of readings is not flooded, and marks do not stay for ever.
func TestHintsPurge(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r, gone := f.add(account, "a", portolan.OCI), f.add(account, "gone", portolan.OCI)
		f.fill(r, "app", f.image(1, "v1"))
		for range 105 {
			f.pass(5 * time.Second)
			f.mark(r, "app")
			if !f.hinted(r) {
				t.Fatal("nothing is due")
			}
			f.purge()
		}
		list, total, err := f.Syncs(t.Context(), account, r, 1, 1000)
		if f.must(err); total > 102 || list[len(list)-1].Cause != portolan.CauseManual {
			t.Errorf("%d readings are remembered", total)
		}
		whole := slices.DeleteFunc(list, func(s *portolan.Sync) bool { return s.Cause == portolan.CauseWebhook })
		if len(whole) != 1 {
			t.Errorf("%d of the whole", len(whole))
		}
		f.pass(25 * time.Hour)
		f.mark(gone, "app")
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, gone) })
		f.purge()
		if n := f.rows("hints", "1 = 1"); n != 1 {
			t.Errorf("%d marks", n)
		}
		f.pass(8 * day)
		f.purge()
		if n := f.rows("hints", "1 = 1") + f.rows("registries", fmt.Sprint("id = ", gone)); n != 0 {
			t.Errorf("%d rows of a deleted registry", n)
		}
		f.exact(r, 1)
	})
}

// Of servers on one database, one reads.
func TestBeginHintedOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		f.mark(r, "app")
		begun := make(chan bool, 8)
		for range cap(begun) {
			go func() {
				ok, err := f.BeginHinted(f.Context(), store.Due{AccountID: account, RegistryID: r}, uuid.NewString(), 10)
				begun <- ok && err == nil
			}()
		}
		n := 0
		for range cap(begun) {
			if <-begun {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d begin", n)
		}
	})
}
