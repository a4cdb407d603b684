package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestRequestSync(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		running bool
		decided bool
		first   store.SyncRequest // full of the first reading
		second  store.SyncRequest
		joins   bool
		starts  bool
	}{
		"waiting is joined":                 {second: store.SyncRequest{}, joins: true},
		"waiting is joined by full":         {second: store.SyncRequest{Full: true}, joins: true},
		"waiting is fresh":                  {second: store.SyncRequest{Fresh: true}, joins: true},
		"running is joined":                 {running: true, joins: true},
		"running full is joined":            {running: true, first: store.SyncRequest{Full: true}, second: store.SyncRequest{Full: true}, joins: true},
		"full while a plain one runs":       {running: true, second: store.SyncRequest{Full: true}},
		"fresh while one runs":              {running: true, second: store.SyncRequest{Fresh: true}},
		"confirmation joins a running one":  {running: true, second: store.SyncRequest{ConfirmVanished: true}, joins: true},
		"confirmation joins one before it":  {running: true, decided: true, first: store.SyncRequest{ConfirmVanished: true}, second: store.SyncRequest{ConfirmVanished: true}, joins: true},
		"confirmation comes too late":       {running: true, decided: true, second: store.SyncRequest{ConfirmVanished: true}},
		"plain joins one that has decided":  {running: true, decided: true, joins: true},
		"confirmation joins a waiting one":  {second: store.SyncRequest{ConfirmVanished: true}, joins: true},
		"plain joins a full one that waits": {first: store.SyncRequest{Full: true}, joins: true},
	}
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		n := 0
		for name, test := range tests {
			n++
			r := f.add(account, name, portolan.OCI)
			ask := func(q store.SyncRequest, id string) (string, bool) {
				q.AccountID, q.RegistryID, q.NewID, q.Cause = account, r, fmt.Sprintf("%d%s", n, id), portolan.CauseManual
				var got string
				var start bool
				f.update(func(ctx context.Context, tx *store.Tx) error {
					var err error
					got, start, err = tx.RequestSync(ctx, q)
					return err
				})
				return got, start
			}
			first, start := ask(test.first, "first")
			if !start {
				t.Errorf("%s: the first is not started", name)
			}
			var lease *store.Lease
			if test.running {
				var err error
				lease, err = f.Claim(t.Context(), first, "w", time.Minute)
				f.must(err)
			}
			if test.decided {
				if confirmed, err := f.Decide(t.Context(), lease); err != nil || confirmed != test.first.ConfirmVanished {
					t.Errorf("%s: confirmed %t, %v", name, confirmed, err)
				}
			}
			second, start := ask(test.second, "second")
			if (second == first) != test.joins || start {
				t.Errorf("%s: joined %t, started %t", name, second == first, start)
			}
			s, err := f.Sync(t.Context(), account, r, second)
			f.must(err)
			if s.ConfirmVanished != test.second.ConfirmVanished && !test.first.ConfirmVanished || test.second.Full && !s.Full {
				t.Errorf("%s: %+v", name, s)
			}
			if !test.joins {
				if third, _ := ask(test.second, "third"); third != second {
					t.Errorf("%s: a third is not joined to the second", name)
				}
				if _, err := f.Claim(t.Context(), second, "w2", time.Minute); !errors.Is(err, store.ErrLeaseLost) {
					t.Errorf("%s: the second starts before the first has ended: %v", name, err)
				}
				lease.Sync.Status = portolan.SyncOK
				f.update(func(ctx context.Context, tx *store.Tx) error {
					waiting, err := tx.Finish(ctx, lease, store.Finish{})
					if waiting != second {
						t.Errorf("%s: %q waits", name, waiting)
					}
					return err
				})
				_, err := f.Claim(t.Context(), second, "w2", time.Minute)
				f.must(err)
			}
		}
	})
}

// Requests from everywhere at once make one reading.
func TestRequestSyncTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		var mu sync.Mutex
		ids, starts := map[string]bool{}, 0
		var wg sync.WaitGroup
		for n := range 12 {
			wg.Go(func() {
				var id string
				var start bool
				err := f.Update(t.Context(), func(tx *store.Tx) error {
					var err error
					id, start, err = tx.RequestSync(t.Context(), store.SyncRequest{AccountID: account, RegistryID: r, NewID: fmt.Sprint(n)})
					return err
				})
				mu.Lock()
				defer mu.Unlock()
				if ids[id] = true; err != nil {
					t.Error(err)
				}
				if start {
					starts++
				}
			})
		}
		wg.Wait()
		if len(ids) != 1 || starts != 1 {
			t.Errorf("%d readings were made, %d started", len(ids), starts)
		}
	})
}

func TestLease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		first := f.claim(r)
		id := first.Sync.ID
		if g, err := f.Registry(t.Context(), account, r); err != nil || g.SyncStatus != portolan.Syncing {
			t.Errorf("%v %v", g, err)
		}
		claim := func(owner string, want error) *store.Lease {
			t.Helper()
			l, err := f.Claim(t.Context(), id, owner, time.Minute)
			if !errors.Is(err, want) {
				t.Errorf("claimed by %s: %v, want %v", owner, err, want)
			}
			return l
		}
		claim("second", store.ErrLeaseLost)
		claim("worker", nil)
		f.pass(50 * time.Second)
		first.Plan = []byte(`{"x":1}`)
		f.must(f.Apply(t.Context(), first, nil, true)) // prolongs it
		f.pass(50 * time.Second)
		claim("second", store.ErrLeaseLost)
		f.pass(20 * time.Second)
		second := claim("second", nil)
		if string(second.Plan) != `{"x":1}` {
			t.Errorf("the plan is %s", second.Plan)
		}
		late := []store.Change{f.inserting("app", f.image(1))}
		if err := f.Apply(t.Context(), first, late, true); !errors.Is(err, store.ErrLeaseLost) {
			t.Errorf("a late write: %v", err)
		}
		if err := f.NoteFailure(t.Context(), first); err != nil {
			t.Error(err)
		}
		f.must(f.Apply(t.Context(), second, late, true))
		f.must(f.NoteFailure(t.Context(), second))
		third := claim("third", nil)
		if third.Failures != 1 {
			t.Errorf("%d failures", third.Failures)
		}
		f.must(f.Release(t.Context(), third))
		fourth := claim("fourth", nil)
		f.publish(fourth, 1)
		claim("fifth", store.ErrNotFound)
		f.exact(r, 1)
	})
}

func TestSyncs(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		if _, err := f.Sync(t.Context(), account, r, ""); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("none: %v", err)
		}
		var ids []string
		for range 5 {
			l := f.claim(r)
			ids = append(ids, l.Sync.ID)
			l.Sync.Ledger.AddIssue(portolan.Issue{Repository: "a", Step: "b", Code: portolan.Partial, Message: "c"})
			f.publish(l, 0)
		}
		if s, err := f.Sync(t.Context(), account, r, ""); err != nil || s.ID != ids[4] || len(s.Ledger.Issues) != 1 {
			t.Errorf("the latest is %+v, %v", s, err)
		}
		if _, err := f.Sync(t.Context(), other, r, ids[0]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another account's: %v", err)
		}
		list, total, err := f.Syncs(t.Context(), account, r, 2, 2)
		if err != nil || total != 5 || len(list) != 2 || list[0].ID != ids[2] {
			t.Errorf("page: %v %d %v", list, total, err)
		}
	})
}
