package inventory_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Whatever happens on the shelf and whatever fails, each repository is as it
// is on the shelf or as it was, and a good reading in the end finds all.
func TestRandomReadings(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.cursors = seed%2 == 1
				random := rand.New(rand.NewPCG(seed, 7))
				for step := range 25 {
					r.shuffle(random)
					r.randomReading(random, fmt.Sprintf("step %d", step))
				}
				clear(r.fail)
				clear(r.hidden)
				clear(r.lost)
				r.at = nil
				r.clock.add(time.Hour)
				if s := r.sync(store.SyncRequest{ConfirmVanished: true}); s.Status != portolan.SyncOK {
					t.Errorf("%s %+v", s.Status, s.Ledger)
				}
				r.same()
			})
		})
	}
}

// shuffle changes what is on the shelf.
func (r *rig) shuffle(random *rand.Rand) {
	for range 1 + random.IntN(30) {
		path := fmt.Sprintf("p%d/app", random.IntN(8))
		switch n := random.IntN(20); {
		case n == 0:
			delete(r.repos, path)
		case n < 6:
			for tag := range r.repos[path] {
				delete(r.repos[path], tag)
				break
			}
		default:
			r.put(path, fmt.Sprintf("t%d", random.IntN(12)), random.IntN(40))
		}
	}
	for i := range 4 {
		r.kinds[digestOf(i)] = portolan.KindOther
	}
}

// randomReading reads with some failures and checks what came of it.
func (r *rig) randomReading(random *rand.Rand, name string) {
	r.t.Helper()
	before := r.images()
	cut, distrusted := r.randomFaults(random)
	s := r.sync(store.SyncRequest{ConfirmVanished: random.IntN(3) == 0})
	kept := s.Ledger.ImagesHeld > 0 || distrusted
	r.compare(name, before, cut, kept)
}

// randomFaults has the next reading fail here and there, cut the catalogue
// short, or lose its identity.
func (r *rig) randomFaults(random *rand.Rand) (cut, distrusted bool) {
	clear(r.fail)
	clear(r.hidden)
	clear(r.lost)
	for i := range 8 {
		path := fmt.Sprintf("p%d/app", i)
		switch random.IntN(12) {
		case 0:
			r.fail[path] = failing(portolan.ServerFailure)
		case 1:
			r.fail[path] = failing(portolan.Forbidden)
		case 2:
			r.hidden[path] = true
		}
	}
	r.cutAfter = random.IntN(4)
	cut = random.IntN(5) == 0
	if cut {
		r.fail[""] = failing(portolan.ServerFailure)
	}
	distrusted = random.IntN(6) == 0
	probes := 0
	r.at = func(what string) error {
		if what != "probe" || !distrusted {
			return nil
		}
		if probes++; probes > 1 {
			return failing(portolan.Forbidden)
		}
		return nil
	}
	r.clock.add(time.Duration(random.IntN(30)) * time.Minute)
	return cut, distrusted
}

func (r *rig) compare(name string, before map[string]string, cut, kept bool) {
	r.t.Helper()
	shelf, now := r.onShelf(), r.images()
	known := map[string]bool{}
	for key := range before {
		path, _, _ := strings.Cut(key, "@")
		known[path] = true
	}
	keys := maps.Clone(shelf)
	maps.Copy(keys, before)
	maps.Copy(keys, now)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		path, _, _ := strings.Cut(key, "@")
		isNow, here := now[key]
		was, had := before[key]
		is, there := shelf[key]
		asBefore := here == had && isNow == was
		asShelf := here == there && isNow == is
		switch {
		case r.hidden[path] && !known[path] && !here: // nobody knows that it exists
		case r.fail[path] != nil && r.repos[path] != nil:
			if !asBefore && (here || !r.hidden[path]) {
				r.t.Errorf("%s: %s failed: was %q, is %q", name, key, was, isNow)
			}
		case cut:
			if !asBefore && !asShelf {
				r.t.Errorf("%s: %s: was %q, on the shelf %q, is %q", name, key, was, is, isNow)
			}
			if !here && had && r.repos[path] == nil {
				r.t.Errorf("%s: %s vanished by a catalogue that broke off", name, key)
			}
		case !asShelf && (!kept || there || !here || !had):
			r.t.Errorf("%s: %s: was %q, on the shelf %q, is %q", name, key, was, is, isNow)
		}
	}
}
