package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portolan"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Where listing a repository takes long, few are under way, also when it did not
// before: what the end of a slice cuts short is little.
func TestReadersJoinAndLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		const each = 3 * inventory.Readers // slow ones, quick ones, and slow ones again
		for i := range 3 * each {
			r.fill(fmt.Sprintf("app-%03d", i), i*10+1, 1)
		}
		var mu sync.Mutex
		var begun, under int
		var at [3 * each]int
		r.at = func(what string) error {
			if !strings.HasPrefix(what, "images") {
				return nil
			}
			mu.Lock()
			under++
			at[begun] = under
			took := 2 * time.Second
			if begun/each == 1 {
				took = 10 * time.Millisecond
			}
			begun++
			mu.Unlock()
			<-time.After(took)
			mu.Lock()
			under--
			r.clock.add(took)
			mu.Unlock()
			return nil
		}
		s := r.sync(store.SyncRequest{})
		first, quick, last := slices.Max(at[:each]), slices.Max(at[each:2*each]), slices.Max(at[5*each/2:])
		if s.Status != portolan.SyncOK || first != inventory.FirstReaders || quick != inventory.Readers || last != inventory.FirstReaders {
			t.Errorf("%s: %d, %d and %d at once", s.Status, first, quick, last)
		}
	})
}

// A slice that is over in the middle of a repository is gone on with.
func TestSliceOver(t *testing.T) {
	t.Parallel()
	for _, cursors := range []bool{false, true} {
		t.Run(fmt.Sprintf("cursors %t", cursors), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.cursors = cursors
				r.fill("a", 1, 100)
				r.fill("b", 1000, 30)
				r.broken[digestOf(1003)] = failing(portolan.ServerFailure)
				r.at = func(what string) error {
					if what == "row a" || what == "row b" {
						r.clock.add(sliceTime / 30)
					}
					return nil
				}
				id := r.request(store.SyncRequest{})
				slices := 0
				for more := true; more && slices < maxSlices; slices++ {
					if got := r.images(); len(got) != 0 {
						t.Fatalf("%d images are visible before the end", len(got))
					}
					var err error
					if _, more, err = r.service.Slice(t.Context(), id); err != nil {
						t.Fatal(err)
					}
				}
				s := r.reading(id)
				r.check(s)
				if slices < 3 || s.Status != portolan.SyncPartial || s.Ledger.RowsListed != 130 || s.Ledger.ImagesSeen != 100 || s.Ledger.RepositoriesFailed != 1 {
					t.Errorf("%d slices: %s %+v", slices, s.Status, s.Ledger)
				}
				again := 0
				for tag, n := range r.resolved {
					if tag != "b:v01003" {
						again += n - 1
					}
				}
				if again > slices { // the tag under way when the other reader ended the slice
					t.Errorf("%d tags were resolved again in %d slices", again, slices)
				}
				for d, n := range r.fetched {
					if n != 1 {
						t.Errorf("%s was fetched %d times", d, n)
					}
				}
				r.at = nil
				clear(r.broken)
				r.sync(store.SyncRequest{})
				r.same()
			})
		})
	}
}

// A slice that begins when its time is over saves what it comes to read.
func TestSliceBeginsLate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		id := r.request(store.SyncRequest{})
		looks := 0
		r.tick = func() {
			if looks++; looks <= 3 {
				r.clock.add(sliceTime)
			}
		}
		if _, more, err := r.service.Slice(t.Context(), id); err != nil || !more {
			t.Fatalf("%t %v", more, err)
		}
		if l := r.reading(id).Ledger; l.RepositoriesListed != 1 {
			t.Errorf("%+v", l)
		}
		r.tick = nil
		r.finish(id)
		r.same()
	})
}

// A worker that lost its reading to a twin changes nothing any more.
func TestTwin(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i := range 20 {
			r.fill(fmt.Sprintf("app-%02d", i), i*10+1, 5)
		}
		id := r.request(store.SyncRequest{})
		twins := 0
		r.at = func(what string) error {
			if what != "images app-10" || twins > 0 {
				return nil
			}
			twins++
			if _, more, err := r.service.Slice(t.Context(), id); err != nil || !more {
				t.Errorf("while the lease holds a twin gets nothing: %t %v", more, err)
			}
			r.clock.add(time.Minute) // the worker slept; its lease ran out
			if s := r.finish(id); s.Status != portolan.SyncOK {
				t.Errorf("the twin: %s %+v", s.Status, s.Ledger)
			}
			return nil
		}
		if _, more, err := r.service.Slice(t.Context(), id); err != nil || !more {
			t.Errorf("the worker that lost: %t %v", more, err)
		}
		if _, more, err := r.service.Slice(t.Context(), id); err != nil || more {
			t.Errorf("afterwards: %t %v", more, err)
		}
		s := r.reading(id)
		r.check(s)
		if s.Ledger.RowsListed != 100 || s.Ledger.ImagesAdded != 100 {
			t.Errorf("%+v", s.Ledger)
		}
		r.same()
	})
}

var errKilled = errors.New("killed")

// A worker may die at any moment: what it wrote stays true, and the next goes
// on. It dies in two ways: told to stop, or without another word to the store.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, hard := range []bool{false, true} {
		for _, cursors := range []bool{false, true} {
			t.Run(fmt.Sprintf("hard %t cursors %t", hard, cursors), func(t *testing.T) {
				t.Parallel()
				storetest.Each(t, func(t *testing.T, url string) {
					r := newRig(t, url)
					r.cursors = cursors
					random := rand.New(rand.NewPCG(1, 2))
					for i := range 15 {
						r.fill(fmt.Sprintf("app-%02d", i), i*1000+1, 1+random.IntN(60))
					}
					r.fill("huge", 20_000, 900)
					r.put("huge", "again", 20_000)
					for round := range 3 {
						s := r.killed(random, hard)
						if s.Status != portolan.SyncOK || s.Ledger.TagsRead != r.tags() || s.Ledger.RepositoriesListed != 16 {
							t.Errorf("round %d: %s, %d tags, %+v", round, s.Status, r.tags(), s.Ledger)
						}
						r.same()
						r.clock.add(time.Hour)
						r.fill("huge", 20_050+round, 1+random.IntN(900))
						r.drop(fmt.Sprintf("app-%02d", round), round*1000+1, 4)
						r.put("app-09", "moving", 9001+round)
					}
				})
			})
		}
	}
}

func (r *rig) tags() int {
	n := 0
	for _, tags := range r.repos {
		n += len(tags)
	}
	return n
}

// killed runs a reading whose workers die now and then.
func (r *rig) killed(random *rand.Rand, hard bool) *portolan.Sync {
	r.t.Helper()
	id := r.request(store.SyncRequest{})
	for n := 0; ; n++ {
		ctx, cancel := context.WithCancel(r.t.Context())
		db, err := store.Open(r.t.Context(), r.url, store.Options{Now: r.clock.Now})
		if err != nil {
			r.t.Fatal(err)
		}
		left := 30 + random.IntN(1500)
		r.at = func(string) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if left--; left > 0 {
				return nil
			}
			if hard {
				_ = db.Close()
				return errKilled
			}
			cancel()
			return ctx.Err()
		}
		wait, more, err := r.serve(db).Slice(ctx, id)
		cancel()
		_ = db.Close()
		r.at = nil
		if err != nil && !hard {
			r.t.Fatal(err)
		}
		if err == nil && !more {
			s := r.reading(id)
			r.check(s)
			return s
		}
		r.count() // nothing is visible half
		r.clock.add(wait + time.Minute)
		if n > 200 {
			r.t.Fatal("the reading does not end")
		}
	}
}

// A huge repository is applied in parts.
func TestHugeRepository(t *testing.T) {
	t.Parallel()
	n := 20_000
	if testing.Short() {
		n = 6_000 // still more than a transaction takes
	}
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.cursors = true
		r.fill("huge", 1, n)
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncOK || s.Ledger.ImagesAdded != n || r.count() != n {
			t.Fatalf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.clock.add(time.Hour)
		r.drop("huge", 1, 1000)
		for i := 1001; i <= 2000; i++ {
			r.put("huge", fmt.Sprintf("again-%d", i), i)
		}
		s = r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncOK || s.Ledger.ImagesGone != 1000 || s.Ledger.ImagesUpdated != 1000 || r.count() != n-1000 {
			t.Errorf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.same()
	})
}

// A repository of which a part was applied before its worker died, and that
// then fails, keeps its last state.
func TestHalfAppliedThenFailed(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*rig){
		"repository fails": func(r *rig) { r.fail["huge"] = failing(portolan.ServerFailure) },
		"reading ends":     func(r *rig) { r.change(func(g *portolan.Registry) { g.DomainName = "other.example" }) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.fill("huge", 1, 2_000)
				r.sync(store.SyncRequest{})
				before := r.images()
				r.clock.add(time.Hour)
				for i := 1; i <= 1_000; i++ {
					r.put("huge", fmt.Sprintf("again-%d", i), i)
				}
				r.drop("huge", 1_500, 100)
				r.fill("huge", 3_000, 1_000)
				id := r.request(store.SyncRequest{})
				r.dieAfterParts(id, 3)
				r.clock.add(time.Minute)
				end(r)
				s := r.finish(id)
				if s.Status == portolan.SyncOK || len(r.images()) != len(before) {
					t.Errorf("%s, %d images are visible, %d were: %+v", s.Status, len(r.images()), len(before), s.Ledger)
				}
				for key, tags := range r.images() {
					if before[key] != tags {
						t.Fatalf("%s was %q and is %q", key, before[key], tags)
					}
				}
				if l := s.Ledger; l.ImagesAdded != 0 || l.ImagesUpdated != 0 {
					t.Errorf("%+v", l)
				}
				clear(r.fail)
				r.sync(store.SyncRequest{ConfirmVanished: true})
				r.same()
			})
		})
	}
}

// dieAfterParts runs a slice on a store that is closed once some parts of a
// repository are applied. The store asks its clock in every transaction.
func (r *rig) dieAfterParts(id string, parts int) {
	r.t.Helper()
	var db *store.DB
	db, err := store.Open(r.t.Context(), r.url, store.Options{Now: func() time.Time {
		if s, err := r.db.Sync(r.t.Context(), r.account, r.registry, id); err == nil && s.Ledger.ImagesUpdated >= parts*100 {
			_ = db.Close()
		}
		return r.clock.Now()
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	_, _, err = r.serve(db).Slice(r.t.Context(), id)
	_ = db.Close()
	if l := r.reading(id).Ledger; err == nil || l.ImagesUpdated == 0 || l.RepositoriesRead > 0 {
		r.t.Fatalf("the worker did not die in the midst of the parts: %v %+v", err, l)
	}
}
