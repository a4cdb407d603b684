package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		again, err := store.Open(t.Context(), url, store.Options{})
		f.must(err)
		accounts, err := again.Accounts(t.Context())
		if err != nil || len(accounts) != 2 {
			t.Errorf("opened again it has %v, %v", accounts, err)
		}
		f.must(again.Close())
		_, err = f.Writer().ExecContext(t.Context(), "INSERT INTO schema_version (version) VALUES (999)")
		f.must(err)
		if _, err := store.Open(t.Context(), url, store.Options{}); err == nil || !strings.Contains(err.Error(), "newer Portolan") {
			t.Errorf("a newer store is opened: %v", err)
		}
	})
}

// Several servers may start at once on an empty database.
func TestMigrateTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				db, err := store.Open(context.WithoutCancel(t.Context()), url, store.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				_ = db.Close()
			})
		}
		wg.Wait()
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "mysql://x", "sqlite:" + filepath.Join(t.TempDir(), "no", "such", "folder.db"), "postgres://127.0.0.1:1/none?connect_timeout=2"} {
		if _, err := store.Open(t.Context(), url, store.Options{}); err == nil {
			t.Errorf("%q is opened", url)
		}
	}
}

// A path may hold what means something in a URL.
func TestSQLitePath(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "a b%41?c=d#e.db")
	f := newFixture(t, url)
	if matches, err := filepath.Glob(filepath.Join(filepath.Dir(strings.TrimPrefix(f.url, "sqlite:")), "a b%41[?]c=d#e.db")); err != nil || len(matches) != 1 {
		t.Errorf("the file is not where it should be: %v %v", matches, err)
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAccount(t.Context(), account, "again") })
		if !errors.Is(err, store.ErrConflict) || strings.Count(err.Error(), store.ErrConflict.Error()) != 1 {
			t.Errorf("the same account again: %v", err)
		}
		f.must(f.UseNonce(t.Context(), "key", []byte{1}, f.now()))
		f.must(f.UseNonce(t.Context(), "key2", []byte{1}, f.now()))
		if err := f.UseNonce(t.Context(), "key", []byte{1}, f.now()); !errors.Is(err, store.ErrConflict) {
			t.Errorf("the same nonce again: %v", err)
		}
	})
}

// A full disk fails the write and nothing else, and with room all goes on.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	f := newFixture(t, storetest.URL(t, storetest.SQLite))
	r := f.add(account, "one", portolan.OCI)
	pragma := func(limit int) {
		_, err := f.Writer().ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", limit))
		f.must(err)
	}
	var pages int
	f.must(f.Writer().QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages))
	pragma(pages + 10)
	l := f.claim(r)
	var images []portolan.Image
	for n := range 300 {
		images = append(images, f.image(n, "v"))
	}
	err := f.Apply(t.Context(), l, []store.Change{f.inserting("app", images...)}, true)
	if !errors.Is(err, store.ErrDiskFull) || !l.Stale() {
		t.Fatalf("full: %v, lease stale %t", err, l.Stale())
	}
	if err := f.Release(t.Context(), l); err == nil {
		t.Errorf("a lease is saved after a write of it failed")
	}
	f.must(f.NoteFailure(t.Context(), l))
	if _, total, err := f.Images(t.Context(), account, store.Criteria{}, 1, 10); err != nil || total != 0 {
		t.Errorf("reading: %d, %v", total, err)
	}
	pragma(math.MaxInt32)
	l, err = f.Claim(t.Context(), l.Sync.ID, "next", 0)
	f.must(err)
	f.must(f.Apply(t.Context(), l, []store.Change{f.inserting("app", images...)}, true))
	f.publish(l, len(images))
	f.exact(r, 300)
}

// Writers of several processes wait for each other.
func TestBusy(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		second := storetest.Open(t, url, store.Options{Now: f.now})
		var wg sync.WaitGroup
		const each = 30
		for w, db := range []*store.DB{f.DB, second, f.DB, second} {
			wg.Go(func() {
				for n := range each {
					err := db.Update(t.Context(), func(tx *store.Tx) error {
						_, err := tx.AddRegistry(t.Context(), entry(account, fmt.Sprintf("%d-%d", w, n), portolan.OCI), nil)
						return err
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		all, err := f.Registries(t.Context(), account)
		f.must(err)
		if _, total := all.Page(store.RegistryFilter{}, 1, 1); total != 4*each {
			t.Errorf("%d registries were added, want %d", total, 4*each)
		}
	})
}

func TestSettings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		if _, err := f.Setting(t.Context(), "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no such setting: %v", err)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.AddSetting(ctx, "x", []byte{0, 1}) })
		if v, err := f.Setting(t.Context(), "x"); err != nil || string(v) != "\x00\x01" {
			t.Errorf("%q %v", v, err)
		}
	})
}
