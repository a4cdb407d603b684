package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// A repository that cannot be read to its end keeps its last state.
func TestFailedRepository(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*rig){
		"list":      func(r *rig) { r.fail["bad"] = failing(portolan.ServerFailure) },
		"row":       func(r *rig) { r.broken[digestOf(13)] = failing(portolan.ServerFailure) },
		"announced": func(r *rig) { r.announced = 1 },
	}
	for name, breaks := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.fill("bad", 10, 3)
				r.sync(store.SyncRequest{})
				r.fill("bad", 13, 1)
				r.drop("bad", 10, 1)
				r.fill("good", 20, 2)
				breaks(r)
				s := r.sync(store.SyncRequest{})
				want := map[string]string{}
				for i := 10; i < 13; i++ {
					want[fmt.Sprintf("bad@%s", digestOf(i))] = fmt.Sprintf("v%05d", i)
				}
				got := r.images()
				for key := range want {
					if got[key] != want[key] {
						t.Errorf("%s is %q", key, got[key])
					}
				}
				wantStatus, wantFailed := portolan.SyncPartial, 1
				if name == "announced" { // no list adds up
					wantStatus, wantFailed = portolan.SyncFailed, 2
				}
				if s.Status != wantStatus || s.Ledger.RepositoriesFailed != wantFailed || len(s.Ledger.Issues) != wantFailed || s.Ledger.Truncated != (name == "announced") {
					t.Errorf("%s %+v", s.Status, s.Ledger)
				}
				clear(r.fail)
				clear(r.broken)
				r.announced = 0
				r.sync(store.SyncRequest{})
				r.same()
			})
		})
	}
}

// A catalogue that breaks off says nothing of what it lacks.
func TestCatalogueBreaksOff(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i := range 4 {
			r.fill(fmt.Sprintf("app-%d", i), i*10+1, 2)
		}
		r.sync(store.SyncRequest{})
		r.put("app-0", "new", 100)
		delete(r.repos, "app-3")
		r.fail[""], r.cutAfter = failing(portolan.ServerFailure), 2
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.Partial || s.Ledger.RepositoriesRead != 2 || r.count() != 9 {
			t.Errorf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.cutAfter = 0
		r.fail[""] = failing(portolan.CannotEnumerate)
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.CannotEnumerate || r.count() != 9 {
			t.Errorf("at once: %s %+v", s.Status, s.Ledger)
		}
		if d := r.dueIn(); d != 10*time.Minute {
			t.Errorf("after a failure the next reading is in %s", d)
		}
		r.sync(store.SyncRequest{})
		if d := r.dueIn(); d != 20*time.Minute {
			t.Errorf("after two failures the next reading is in %s", d)
		}
		delete(r.fail, "")
		r.sync(store.SyncRequest{})
		r.same()
	})
}

// A registry that is down is not asked for every repository.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i := range 200 {
			r.fill(fmt.Sprintf("app-%03d", i), i*10+1, 1)
			r.fail[fmt.Sprintf("app-%03d", i)] = failing(portolan.ConnectFailure)
		}
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.ConnectFailure || s.Ledger.RepositoriesFailed != 200 || len(r.listed) > inventory.Readers+20 {
			t.Errorf("%s %s: %d failed, %d asked", s.Status, s.Ledger.ErrorCode, s.Ledger.RepositoriesFailed, len(r.listed))
		}
	})
}

// A credential that is refused is tried once more after five seconds.
func TestBadCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		r.fill("app", 1, 2)
		refused := failing(portolan.BadCredentials)
		refusals := 2
		r.at = func(what string) error {
			if refusals > 0 && what == "probe" {
				refusals--
				return refused
			}
			return nil
		}
		read := func(status portolan.SyncStatus, code portolan.ErrorClass) {
			t.Helper()
			start := time.Now()
			s := r.sync(store.SyncRequest{})
			if took := time.Since(start); s.Status != status || s.Ledger.ErrorCode != code || took.Truncate(time.Second) != 5*time.Second {
				t.Errorf("%s %q after %s", s.Status, s.Ledger.ErrorCode, took)
			}
		}
		read(portolan.SyncFailed, portolan.BadCredentials)
		refusals = 1
		read(portolan.SyncOK, "")
		refusals = 2
		read(portolan.SyncFailed, portolan.CredentialsExpired)
		if r.count() != 2 {
			t.Errorf("%d are counted", r.count())
		}
		if err := r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetRegistry(t.Context(), r.entry(), []byte("new")) }); err != nil {
			t.Fatal(err)
		}
		refusals = 2
		read(portolan.SyncFailed, portolan.BadCredentials)
	})
}

// A registry that asks to wait is waited for.
func TestThrottled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i := range 20 {
			r.fill(fmt.Sprintf("app-%d", i), i*10+1, 5)
		}
		waits := map[string]bool{"probe": true, "catalogue app-7": true, "images app-3": true, "row app-5": true}
		r.at = func(what string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if waits[what] {
				delete(waits, what)
				return fmt.Errorf("get: %w", &connector.ThrottledError{Wait: time.Minute})
			}
			return nil
		}
		start := r.clock.Now()
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncOK || s.Ledger.Throttled < 3*time.Minute || s.Ledger.Throttled > r.clock.Now().Sub(start) || s.Ledger.RowsListed != 100 {
			t.Errorf("%s %+v", s.Status, s.Ledger)
		}
		r.same()
	})
}

// Portolan's own errors end a slice; in the end they end the reading.
func TestOwnFailure(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 2)
		own := errors.New("out of luck")
		r.fail["app"] = own
		id := r.request(store.SyncRequest{})
		n := 0
		for more := true; more; {
			var err error
			if _, more, err = r.service.Slice(t.Context(), id); err != nil {
				if !errors.Is(err, own) {
					t.Fatal(err)
				}
				n++
				more = true
			}
			if n > 100 {
				t.Fatal("the reading does not end")
			}
		}
		s := r.reading(id)
		r.check(s)
		if s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.ServerFailure || n < 5 {
			t.Errorf("%d failures: %s %+v", n, s.Status, s.Ledger)
		}
	})
}

// A change of the registry makes the running reading worthless, a deletion
// ends it.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*rig){
		"modified": func(r *rig) { r.change(func(g *portolan.Registry) { g.DomainName = "other.example" }) },
		"deleted": func(r *rig) {
			if err := r.db.Update(r.t.Context(), func(tx *store.Tx) error { return tx.DeleteRegistry(r.t.Context(), r.account, r.registry) }); err != nil {
				r.t.Fatal(err)
			}
		},
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				for i := range 10 {
					r.fill(fmt.Sprintf("app-%d", i), i*10+1, 5)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r.at = func(what string) error {
					if what == "images app-6" {
						cancel()
					}
					return ctx.Err()
				}
				id := r.request(store.SyncRequest{})
				if _, more, err := r.service.Slice(ctx, id); err != nil || !more {
					t.Fatalf("interrupted: %t %v", more, err)
				}
				r.at = nil
				change(r)
				next, err := r.service.Sync(t.Context(), store.SyncRequest{AccountID: r.account, RegistryID: r.registry, Fresh: true})
				if (err == nil) != (name == "modified") || err == nil && next == id {
					t.Errorf("the next reading is %q, %v", next, err)
				}
				jobs := len(r.jobs)
				if _, more, err := r.service.Slice(t.Context(), id); err != nil || more {
					t.Fatalf("after the change: %t %v", more, err)
				}
				s := r.reading(id)
				r.checkLedger(s)
				if s.Status == portolan.SyncOK {
					t.Errorf("%s %+v", s.Status, s.Ledger)
				}
				if name == "modified" {
					if len(r.jobs) != jobs+1 || r.jobs[jobs] != next {
						t.Errorf("the reading that waited is not started: %v", r.jobs)
					}
					r.finish(next)
					r.same()
				}
			})
		})
	}
}
