package inventory_test

import (
	"fmt"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestVanishGuardThresholds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		have, lose int
		held       bool
	}{
		{100, 20, false},
		{100, 21, true},
		{21, 20, false},
		{21, 21, true},
		{200, 40, false}, // exactly 20 %
		{200, 41, true},
		{105, 21, false}, // exactly 20 %
		{104, 21, true},
	}
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for _, test := range tests {
			delete(r.repos, "app")
			r.sync(store.SyncRequest{ConfirmVanished: true})
			r.fill("app", 1, test.have)
			r.sync(store.SyncRequest{})
			r.drop("app", 1, test.lose)
			s := r.sync(store.SyncRequest{})
			name := fmt.Sprintf("%d of %d", test.lose, test.have)
			if held := s.Ledger.ImagesHeld == test.lose; held != test.held {
				t.Errorf("%s: held %d", name, s.Ledger.ImagesHeld)
			}
			if test.held {
				if s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.VanishGuard || r.count() != test.have || len(r.images()) != test.have {
					t.Errorf("%s: %s %s, %d counted", name, s.Status, s.Ledger.ErrorCode, r.count())
				}
			} else if s.Status != portolan.SyncOK || r.count() != test.have-test.lose || s.Ledger.ImagesGone != test.lose {
				t.Errorf("%s: %s %s, %d counted, %d gone", name, s.Status, s.Ledger.ErrorCode, r.count(), s.Ledger.ImagesGone)
			}
		}
	})
}

// heldRig has 60 images of which 30 are held.
func heldRig(t *testing.T, url string) *rig {
	t.Helper()
	r := newRig(t, url)
	r.fill("app", 1, 60)
	r.sync(store.SyncRequest{})
	r.clock.add(time.Hour)
	r.drop("app", 1, 30)
	if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesHeld != 30 || r.count() != 60 {
		t.Fatalf("held: %+v", s.Ledger)
	}
	return r
}

func TestVanishGuardConfirmedByReadings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		if d := r.dueIn(); d != 10*time.Minute {
			t.Errorf("the next reading is in %s", d)
		}
		expect := func(name string, count int) {
			t.Helper()
			if s := r.sync(store.SyncRequest{}); r.count() != count {
				t.Errorf("%s: %d are counted, want %d: %+v", name, r.count(), count, s.Ledger)
			}
		}
		r.clock.add(9 * time.Minute)
		expect("a reading too soon does not count", 60)
		r.clock.add(2 * time.Minute)
		expect("the first later reading", 60)
		if d := r.dueIn(); d != time.Hour {
			t.Errorf("the reading after that is in %s", d)
		}
		r.clock.add(5 * time.Minute)
		expect("too soon after the first", 60)
		r.fail["probe"] = failing(portolan.ConnectFailure)
		r.clock.add(3 * time.Minute)
		expect("a reading that failed", 60)
		delete(r.fail, "probe")
		r.clock.add(time.Minute)
		expect("too soon, also after one that failed", 60)
		r.clock.add(5 * time.Minute)
		expect("the second", 30)
		r.same()
		if g := r.entry(); g.SyncStatus != portolan.SyncOK {
			t.Errorf("%s %s", g.SyncStatus, g.SyncError)
		}
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("with all confirmed the next reading is in %s", d)
		}
	})
}

func TestVanishGuardReleases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		r.clock.add(11 * time.Minute)
		r.sync(store.SyncRequest{})
		r.fill("app", 1, 30) // they are back
		r.clock.add(11 * time.Minute)
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || s.Ledger.ImagesHeld != 0 || s.Ledger.ImagesAdded != 0 {
			t.Errorf("released: %s %+v", s.Status, s.Ledger)
		}
		r.same()
		r.drop("app", 1, 30)
		for range 2 {
			r.clock.add(11 * time.Minute)
			if r.sync(store.SyncRequest{}); r.count() != 60 {
				t.Errorf("after the release counting starts anew, yet %d are counted", r.count())
			}
		}
	})
}

func TestVanishGuardConfirmedByPerson(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		if s := r.sync(store.SyncRequest{ConfirmVanished: true}); s.Status != portolan.SyncOK || s.Ledger.ImagesGone != 30 || r.count() != 30 {
			t.Errorf("%s %+v", s.Status, s.Ledger)
		}
		r.same()
	})
}

func TestVanishGuardConfirmedWhileRunning(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		id := r.request(store.SyncRequest{})
		r.at = func(what string) error {
			if what == "images app" {
				if joined := r.request(store.SyncRequest{ConfirmVanished: true}); joined != id {
					t.Errorf("the running reading is not joined")
				}
			}
			return nil
		}
		if s := r.finish(id); s.Status != portolan.SyncOK || r.count() != 30 {
			t.Errorf("confirmed while running: %s %+v", s.Status, s.Ledger)
		}
	})
}

// A repository is gone only by its own answer.
func TestVanishedRepository(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer error
		empty  bool
		status portolan.SyncStatus
		count  int
	}{
		"404":      {status: portolan.SyncOK, count: 30},
		"empty":    {empty: true, status: portolan.SyncOK, count: 30},
		"403":      {answer: failing(portolan.Forbidden), status: portolan.SyncPartial, count: 33},
		"401":      {answer: failing(portolan.BadCredentials), status: portolan.SyncPartial, count: 33},
		"500":      {answer: failing(portolan.ServerFailure), status: portolan.SyncPartial, count: 33},
		"listed":   {status: portolan.SyncPartial, count: 33}, // so the catalogue is not complete
		"no route": {answer: failing(portolan.ConnectFailure), status: portolan.SyncPartial, count: 33},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.fill("stays", 1, 30)
				r.fill("goes", 100, 3)
				r.sync(store.SyncRequest{})
				r.clock.add(time.Hour)
				r.hidden["goes"] = true
				switch {
				case test.empty:
					r.drop("goes", 100, 3)
				case test.answer != nil:
					r.fail["goes"] = test.answer
				case name == "404":
					delete(r.repos, "goes")
				}
				s := r.sync(store.SyncRequest{})
				if s.Status != test.status || r.count() != test.count {
					t.Errorf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
				}
				repositories, total, err := r.db.Repositories(t.Context(), r.account, store.Criteria{}, 1, 10)
				if err != nil || total != len(repositories) || (total == 2) != (test.count == 33) {
					t.Errorf("repositories: %+v %v", repositories, err)
				}
				if name == "403" || name == "401" {
					if s.Ledger.ErrorCode != portolan.VanishGuard || s.Ledger.ImagesHeld != 3 {
						t.Errorf("refused: %+v", s.Ledger)
					}
					for range 2 {
						r.clock.add(11 * time.Minute)
						r.sync(store.SyncRequest{})
					}
					if r.count() != 30 {
						t.Errorf("two later readings agree, yet %d are counted", r.count())
					}
				}
			})
		})
	}
}

// A repository that is listed and not known when asked is empty only if
// nothing was known of it.
func TestListedButUnknown(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("known", 1, 3)
		r.fill("new", 10, 3)
		r.lost["new"] = true
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || r.count() != 3 || s.Ledger.RepositoriesRead != 2 {
			t.Errorf("unknown: %s %+v", s.Status, s.Ledger)
		}
		r.lost["known"] = true
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncPartial || r.count() != 3 || s.Ledger.RepositoriesFailed != 1 {
			t.Errorf("known: %s %+v", s.Status, s.Ledger)
		}
	})
}

func TestScopeNarrowed(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("in/app", 1, 30)
		r.fill("out/app", 100, 300)
		r.sync(store.SyncRequest{})
		r.change(func(g *portolan.Registry) { g.Extra.Namespaces = []string{"in"} })
		r.hidden["out/app"] = true
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || r.count() != 30 || s.Ledger.ImagesGone != 300 || r.listed["out/app"] != 1 {
			t.Errorf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
	})
}

// What a reading lacks is nothing unless it can prove itself at the end.
func TestIdentityAtTheEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("a", 1, 100)
		r.sync(store.SyncRequest{})
		r.drop("a", 1, 1)
		r.fill("b", 200, 1)
		n := 0
		r.at = func(what string) error {
			if what != "probe" {
				return nil
			}
			if n++; n > 1 {
				return connector.Errorf(portolan.Forbidden, "not you any more")
			}
			return nil
		}
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.Forbidden || s.Ledger.ImagesGone != 0 || r.count() != 101 {
			t.Errorf("%s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.at = nil
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || r.count() != 100 {
			t.Errorf("then: %s, %d counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.same()
	})
}
