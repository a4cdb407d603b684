package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// A list that is read in two parts is of one state, whatever is written
// meanwhile, and of the latest in the end.
func TestListInParts(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		ids := []int64{f.add(account, "0", portolan.OCI), f.add(account, "0", portolan.Harbor)} // one in each part
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		rename := func(ctx context.Context, n int) error { // both at once
			return f.Update(ctx, func(tx *store.Tx) error {
				for _, id := range ids {
					r, err := tx.Registry(ctx, account, id)
					if err != nil {
						return err
					}
					r.Name = fmt.Sprint(n)
					if err := tx.SetRegistry(ctx, r, nil); err != nil {
						return err
					}
				}
				return nil
			})
		}
		writing.Go(func() {
			for n := 1; rename(ctx, n) == nil; n++ {
			}
		})
		number := func(all *store.Registries, id int64) (n int) {
			_, err := fmt.Sscan(all.Get(id).Name, &n)
			f.must(err)
			return n
		}
		rounds := 300
		if testing.Short() {
			rounds = 100
		}
		for range rounds {
			db := store.Reader(f.DB) // knows nothing yet
			all, err := db.Registries(t.Context(), account)
			f.must(err)
			if first, second := number(all, ids[0]), number(all, ids[1]); first != second {
				t.Fatalf("the first has name %d, the second %d", first, second)
			}
		}
		stop()
		writing.Wait()
		f.must(rename(t.Context(), 1_000_000))
		f.pass(2 * time.Second)
		all, err := f.Registries(t.Context(), account)
		f.must(err)
		if number(all, ids[0]) != 1_000_000 || number(all, ids[1]) != 1_000_000 {
			t.Errorf("in the end: %d, %d", number(all, ids[0]), number(all, ids[1]))
		}
	})
}

// A row that is read as one text, and told in full later, holds nothing that
// would make it another.
func TestListOfLateRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		var ids []int64
		for n, text := range []string{"plain", "a\x1fb", "7\x1f7", "\x1f"} {
			f.update(func(ctx context.Context, tx *store.Tx) error {
				id, err := tx.AddRegistry(ctx, &portolan.Registry{
					AccountID: account, Type: portolan.OCI, Name: "r", DomainName: fmt.Sprintf("r%d.example.com", n), UserName: text, RegionID: "r",
					InstanceID: store.NewInstanceID(), Port: 443, TransPerHour: 30, PersistenceDay: 30,
				}, nil)
				ids = append(ids, id)
				return err
			})
			f.sameInList(text, ids)
		}
		if f.Postgres() {
			return // its columns have types
		}
		_, err := f.Writer().ExecContext(t.Context(), `UPDATE registries SET port = 'none' WHERE id = $1`, ids[0])
		f.must(err)
		if all, err := store.Reader(f.DB).Registries(t.Context(), account); err == nil {
			t.Errorf("a row that a hand has spoilt: %+v", all.Get(ids[0]))
		}
	})
}

// What changed is found by the account's changes, not among all registries.
func TestListPlan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			for n := range 2_000 { // of a few PostgreSQL thinks otherwise
				_, err := tx.AddRegistry(ctx, &portolan.Registry{
					AccountID: account, Type: portolan.OCI, DomainName: fmt.Sprintf("r%d.example.com", n), InstanceID: store.NewInstanceID(),
				}, nil)
				if err != nil {
					return err
				}
			}
			return nil
		})
		_, err := f.Writer().ExecContext(t.Context(), "ANALYZE registries")
		f.must(err)
		f.must(f.Update(t.Context(), func(tx *store.Tx) error {
			statement := "SELECT id" + store.ChangedRegistries
			settings := []string{`PREPARE changed (bigint, bigint) AS ` + statement, "SET LOCAL enable_seqscan = off", "SET LOCAL plan_cache_mode = force_generic_plan"}
			explain := "EXPLAIN EXECUTE changed (1, 2)" // as it plans what was run often
			if !f.Postgres() {
				settings, explain = nil, "EXPLAIN QUERY PLAN "+strings.NewReplacer("$1", "1", "$2", "2").Replace(statement)
			}
			for _, s := range settings {
				if _, err := tx.SQL().ExecContext(t.Context(), s); err != nil {
					return err
				}
			}
			if text, err := f.explained(tx, explain); err != nil || !strings.Contains(text, "registries_revision") {
				t.Errorf("%s, %v", text, err)
			}
			return nil
		}))
	})
}
