package inventory_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// changesOf are the changes of a reading, by path and digest.
func (r *rig) changesOf(f store.ChangeFilter) map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for page := 1; ; page++ {
		list, total, err := r.db.Changes(r.t.Context(), r.account, f, page, 7)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, c := range list {
			all[c.Path+"@"+string(c.Digest)] = fmt.Sprintf("%s %q %q", c.Kind, c.Before, c.After)
		}
		if len(list) == 0 {
			if len(all) != total {
				r.t.Errorf("%d changes are listed, the total is %d", len(all), total)
			}
			return all
		}
	}
}

// differences are what changesOf has to answer after the images were as before
// and are as now.
func differences(before, now map[string]string) map[string]string {
	all := map[string]string{}
	for key, tags := range now {
		was, had := before[key]
		switch {
		case !had:
			all[key] = fmt.Sprintf("added %q %q", []string{}, strings.Fields(tags))
		case was != tags:
			all[key] = fmt.Sprintf("retagged %q %q", strings.Fields(was), strings.Fields(tags))
		}
	}
	for key, was := range before {
		if _, has := now[key]; !has {
			all[key] = fmt.Sprintf("gone %q %q", strings.Fields(was), []string{})
		}
	}
	return all
}

// Whatever happens while a registry is read, the changes of a reading are the
// difference of what is listed before and after it.
func TestRandomChanges(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.cursors = seed%2 == 1
				random := rand.New(rand.NewPCG(seed, 11))
				r.put("p0/app", "t0", 30)
				r.sync(store.SyncRequest{})
				if found := r.changesOf(store.ChangeFilter{}); len(found) > 0 {
					t.Fatalf("the first reading changes %v", found)
				}
				ends := &ender{clock: r.clock, random: rand.New(rand.NewPCG(seed, 13))}
				r.tick = ends.tick
				for step := range 25 {
					r.shuffle(random)
					before := r.images()
					r.randomFaults(random)
					r.at = ends.after(r.at)
					s := r.sync(store.SyncRequest{ConfirmVanished: random.IntN(3) == 0})
					found := r.changesOf(store.ChangeFilter{RegistryID: r.registry, SetID: s.ID})
					if d := cmp.Diff(differences(before, r.images()), found); d != "" {
						t.Errorf("step %d: changes (+) and what differs (-):\n%s", step, d)
					}
				}
			})
		})
	}
}

// ender ends slices at random, once they have begun to read: one that was late
// from the start would have but a moment of real time.
type ender struct {
	clock  *clock
	mu     sync.Mutex
	random *rand.Rand
	begun  bool
}

// tick is called by all readers of a slice.
func (e *ender) tick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.begun && e.random.IntN(40) == 0 {
		e.begun = false
		e.clock.add(sliceTime)
	}
}

// after notes that a slice has begun, before at.
func (e *ender) after(at func(string) error) func(string) error {
	e.begun = false
	return func(what string) error {
		if what == "probe" {
			e.mu.Lock()
			e.begun = true
			e.mu.Unlock()
		}
		return at(what)
	}
}

// A registry whose first readings fail has its first images by the first
// reading that brings some.
func TestNoChangesBeforeTheFirstReading(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("team/app", "v1", 1)
		r.fail["probe"] = failing(portolan.ServerFailure)
		r.sync(store.SyncRequest{})
		delete(r.fail, "probe")
		r.sync(store.SyncRequest{})
		if found := r.changesOf(store.ChangeFilter{}); len(found) > 0 {
			t.Errorf("changes %v", found)
		}
		r.put("team/app", "v1", 2)
		r.put("team/app", "old", 1)
		r.clock.add(time.Minute)
		since := r.clock.Now()
		r.sync(store.SyncRequest{})
		want := map[string]string{
			"team/app@" + string(digestOf(1)): `retagged ["v1"] ["old"]`,
			"team/app@" + string(digestOf(2)): `added [] ["v1"]`,
		}
		if d := cmp.Diff(want, r.changesOf(store.ChangeFilter{Since: since})); d != "" {
			t.Error(d)
		}
		if found := r.changesOf(store.ChangeFilter{Kind: store.ChangeAdded}); len(found) != 1 {
			t.Errorf("added %v", found)
		}
		if found := r.changesOf(store.ChangeFilter{Since: since.Add(time.Minute)}); len(found) > 0 {
			t.Errorf("later %v", found)
		}
		if found := r.changesOf(store.ChangeFilter{RegistryID: r.registry + 1}); len(found) > 0 {
			t.Errorf("elsewhere %v", found)
		}
	})
}
