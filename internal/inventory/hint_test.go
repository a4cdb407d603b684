package inventory_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// event tells of changes in repositories.
func (r *rig) event(paths ...string) {
	r.t.Helper()
	if err := r.service.Mark(r.t.Context(), r.entry(), paths); err != nil {
		r.t.Fatal(err)
	}
}

// beginHinted begins a reading of what is marked, "" if nothing is due.
func (r *rig) beginHinted() string {
	r.t.Helper()
	due, _, err := r.db.DueHints(r.t.Context(), 10)
	if err != nil {
		r.t.Fatal(err)
	}
	if len(due) == 0 {
		return ""
	}
	id, err := r.service.BeginHinted(r.t.Context(), due[0])
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// hinted reads what is marked.
func (r *rig) hinted() *portolan.Sync {
	r.t.Helper()
	id := r.beginHinted()
	if id == "" {
		r.t.Fatal("nothing is due")
	}
	return r.finish(id)
}

// hintIn is the time until the next mark is due, to the tenth of a second.
func (r *rig) hintIn() time.Duration {
	r.t.Helper()
	due, next, err := r.db.DueHints(r.t.Context(), 10)
	switch {
	case err != nil:
		r.t.Fatal(err)
	case len(due) > 0:
		return 0
	case next.IsZero():
		return -1
	}
	return next.Sub(r.clock.Now())
}

func (r *rig) status() string {
	g := r.entry()
	return fmt.Sprint(g.SyncStatus, g.SyncError, g.SyncMessage, g.LastSync)
}

func TestHintedReading(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("team/app", 1, 3)
		r.fill("team/other", 10, 2)
		whole := r.sync(store.SyncRequest{})
		before := r.status()
		r.clock.add(time.Hour)
		r.put("team/app", "new", 100)
		r.drop("team/app", 2, 1)
		r.put("team/other", "unseen", 101) // nobody tells of it
		r.put("fresh", "v1", 102)
		r.event("team/app", "fresh")
		s := r.hinted()
		l := s.Ledger
		if s.Cause != portolan.CauseWebhook || s.Status != portolan.SyncOK || l.RepositoriesListed != 2 || l.RepositoriesRead != 2 || l.ImagesAdded != 2 || l.ImagesGone != 1 {
			t.Errorf("%s %s: %+v", s.Cause, s.Status, l)
		}
		want := r.onShelf()
		delete(want, "team/other@"+string(digestOf(101)))
		if got := r.images(); len(got) != len(want) {
			t.Errorf("%v, want %v", got, want)
		}
		if r.listed["team/other"] != 1 || r.probes < 3 {
			t.Errorf("%v listed, %d proofs of identity", r.listed, r.probes)
		}
		if got := r.status(); got != before {
			t.Errorf("the entry shows %s, want %s", got, before)
		}
		if latest, err := r.db.Sync(t.Context(), r.account, r.registry, ""); err != nil || latest.ID != whole.ID {
			t.Errorf("the latest reading of the whole is %v, %v", latest, err)
		}
		if list, n, err := r.db.Syncs(t.Context(), r.account, r.registry, 1, 10); err != nil || n != 2 || list[0].ID != s.ID {
			t.Errorf("the history has %d, %v", n, err)
		}
		if !r.entry().LastEvent.Equal(r.clock.Now()) {
			t.Errorf("last event %s", r.entry().LastEvent)
		}
		r.sync(store.SyncRequest{})
		r.same()
	})
}

// What a source proves unchanged is believed of repositories that no event
// told of.
func TestHintedIsReadAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.source = &bulkShelf{shelf: r.shelf, groups: map[string]int{}, changes: func(time.Time) ([]string, bool, error) { return nil, true, nil }}
		r.put("team/app", "v1", 1)
		r.put("team/other", "v1", 1)
		r.sync(store.SyncRequest{})
		r.event("team/app")
		r.hinted()
		if s := r.sync(store.SyncRequest{}); s.Ledger.RepositoriesSkipped != 1 || s.Ledger.RepositoriesRead != 1 {
			t.Errorf("%+v", s.Ledger)
		}
		r.clock.add(time.Minute)
		r.event("team/app")
		r.fail["team/app"] = failing(portolan.ServerFailure)
		r.hinted()
		clear(r.fail)
		if s := r.sync(store.SyncRequest{}); s.Ledger.RepositoriesSkipped != 1 || s.Ledger.RepositoriesRead != 1 {
			t.Errorf("after one that failed: %+v", s.Ledger)
		}
	})
}

func TestHintPace(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.sync(store.SyncRequest{})
		wait := func(name string, want time.Duration) {
			t.Helper()
			if got := r.hintIn(); got != want {
				t.Errorf("%s: %s, want %s", name, got, want)
			}
		}
		wait("no event", -1)
		r.event("app")
		wait("the first after silence", 0)
		r.event("app")
		wait("the second before the reading", 0)
		r.hinted()
		wait("after the reading", -1)
		r.clock.add(time.Millisecond)
		r.event("app")
		wait("one soon after it", time.Second)
		r.clock.add(600 * time.Millisecond)
		r.event("app")
		wait("one more changes nothing", 400*time.Millisecond)
		r.clock.add(400 * time.Millisecond)
		r.hinted()
		r.put("lib", "v1", 2)
		r.clock.add(time.Second)
		r.event("app", "lib")
		wait("of two, the one that was not read", 0)
		if s := r.hinted(); s.Ledger.RepositoriesListed != 1 || r.listed["lib"] != 1 {
			t.Errorf("what is not due is read: %v", r.listed)
		}
		wait("and the other", time.Second)
		r.clock.add(time.Second)
		r.hinted()
		r.clock.add(5 * time.Second)
		r.event("app")
		wait("after silence", 0)
		if g := r.entry(); !g.LastEvent.Equal(r.clock.Now()) {
			t.Errorf("last event %s", g.LastEvent)
		}
	})
}

// A person's reading is of the whole registry, whatever runs.
func TestHintedIsNotJoined(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.sync(store.SyncRequest{})
		r.event("app")
		hinted := r.beginHinted()
		jobs := len(r.jobs)
		whole := r.request(store.SyncRequest{})
		if whole == hinted || len(r.jobs) != jobs {
			t.Fatalf("%s is joined, or has a job while another one runs", whole)
		}
		if again := r.request(store.SyncRequest{ConfirmVanished: true}); again != whole {
			t.Errorf("the second request makes %s", again)
		}
		if _, more, err := r.service.Slice(t.Context(), whole); !more || err != nil {
			t.Errorf("two readings at once: %v", err)
		}
		r.finish(hinted)
		if len(r.jobs) != jobs+1 || r.jobs[jobs] != whole {
			t.Errorf("the one that waited has no job: %v", r.jobs)
		}
		if s := r.finish(whole); s.Status != portolan.SyncOK || s.Cause != portolan.CauseManual {
			t.Errorf("%s %s", s.Status, s.Cause)
		}
	})
}

// Marks wait for a reading of the whole registry, and what that has read after
// them is not read twice.
func TestHintsAndTheWhole(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.put("lib", "v1", 2)
		r.sync(store.SyncRequest{})
		r.event("app", "nobody/knows")
		whole := r.request(store.SyncRequest{})
		if id := r.beginHinted(); id != "" {
			t.Error("read beside a reading that waits")
		}
		r.clock.add(10 * time.Second)
		r.at = func(what string) error {
			if what == "images lib" {
				r.event("lib") // while it is being read
				if id := r.beginHinted(); id != "" {
					t.Error("read beside another reading")
				}
			}
			return nil
		}
		r.finish(whole)
		r.at = nil
		s := r.hinted()
		if r.listed["app"] != 2 || r.listed["lib"] != 3 || r.listed["nobody/knows"] != 1 || s.Ledger.RepositoriesListed != 2 {
			t.Errorf("%v %+v", r.listed, s.Ledger)
		}
		if n := r.hintIn(); n != -1 {
			t.Errorf("one more mark in %s", n)
		}
	})
}

// An event alone makes no repository, and a repository that does not exist when
// asked is left to a reading that has the catalogue.
func TestHintedVanished(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.put("lib", "v1", 2)
		r.sync(store.SyncRequest{})
		r.event("nobody/knows")
		if s := r.hinted(); s.Status != portolan.SyncOK || s.Ledger.RepositoriesRead != 1 || r.entry().RepositoryCount != 2 {
			t.Errorf("unknown: %s %+v", s.Status, s.Ledger)
		}
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("unknown: the whole is read in %s", d)
		}
		delete(r.repos, "app")
		r.clock.add(time.Minute)
		r.event("app")
		before := r.status()
		s := r.hinted()
		if s.Status != portolan.SyncFailed || s.Ledger.RepositoriesFailed != 1 || s.Ledger.ImagesGone != 0 || r.count() != 2 || r.status() != before {
			t.Errorf("vanished: %s %+v, %d images, %s", s.Status, s.Ledger, r.count(), r.status())
		}
		if d := r.dueIn(); d != 9*time.Minute {
			t.Errorf("vanished: the whole is read in %s", d)
		}
		r.sync(store.SyncRequest{})
		r.same()

		delete(r.repos["lib"], "v1")
		r.clock.add(time.Minute)
		r.event("lib")
		if s := r.hinted(); s.Ledger.ImagesGone != 1 || r.count() != 0 || r.entry().RepositoryCount != 1 {
			t.Errorf("emptied: %+v, %d images", s.Ledger, r.count())
		}
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("emptied: the whole is read in %s", d)
		}
	})
}

func TestHintedGuard(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 60)
		r.fill("lib", 100, 40)
		r.sync(store.SyncRequest{})
		r.clock.add(time.Hour)
		r.drop("app", 1, 21)
		r.event("app")
		s := r.hinted()
		if s.Status != portolan.SyncPartial || s.Ledger.ImagesHeld != 21 || s.Ledger.ErrorCode != portolan.VanishGuard || r.count() != 100 || r.entry().SyncStatus != portolan.SyncOK {
			t.Errorf("%s %+v, %d images", s.Status, s.Ledger, r.count())
		}
		if d := r.dueIn(); d != 10*time.Minute {
			t.Errorf("the whole is read in %s", d)
		}
		// However often it is read, only readings of the whole confirm; and what
		// else goes meanwhile does not hold them up.
		for n := range 5 {
			r.clock.add(11 * time.Minute)
			r.drop("lib", 100+n, 1)
			r.event("app", "lib")
			r.hinted()
		}
		if r.count() != 100 {
			t.Errorf("%d images", r.count())
		}
		r.sync(store.SyncRequest{})
		r.clock.add(5 * time.Minute)
		r.drop("lib", 105, 1)
		r.event("lib")
		r.hinted()
		r.clock.add(6 * time.Minute)
		r.sync(store.SyncRequest{})
		if r.same(); r.count() != 73 {
			t.Errorf("%d images", r.count())
		}
	})
}

// Events come one by one, also when everything vanishes.
func TestHintedGuardLooksAtAWhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for n := range 10 {
			r.fill(fmt.Sprintf("app%d", n), 10*n, 10)
		}
		r.sync(store.SyncRequest{})
		for n := range 4 {
			path := fmt.Sprintf("app%d", n)
			r.clock.add(time.Minute)
			r.drop(path, 10*n, 10)
			r.event(path)
			r.hinted()
		}
		if r.count() != 80 {
			t.Errorf("%d images", r.count())
		}
		r.clock.add(20 * time.Minute)
		r.drop("app9", 90, 10)
		r.event("app9")
		if s := r.hinted(); r.count() != 70 || s.Ledger.ImagesHeld != 20 {
			t.Errorf("later: %d images, %+v", r.count(), s.Ledger)
		}
	})
}

func TestHintedFailure(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.put("lib", "v1", 1)
		r.sync(store.SyncRequest{})
		before := r.status()
		r.fail["app"] = failing(portolan.ServerFailure)
		r.put("lib", "v2", 2)
		r.event("app", "lib")
		if s := r.hinted(); s.Status != portolan.SyncPartial || r.count() != 3 || r.status() != before {
			t.Errorf("%s %+v, %d images, %s", s.Status, s.Ledger, r.count(), r.status())
		}
		for _, want := range []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute} {
			if got := r.hintIn(); got != want {
				t.Errorf("tried again in %s, want %s", got, want)
			}
			r.clock.add(want)
			r.hinted()
		}
		if got := r.hintIn(); got != -1 {
			t.Errorf("and again in %s", got)
		}
		r.event("app")
		delete(r.fail, "app")
		if got := r.hintIn(); got != time.Second {
			t.Errorf("a new event is looked at in %s", got)
		}
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("the whole is read in %s", d)
		}
	})
}

// A credential that does not work any more is a matter of the whole registry.
func TestHintedCredentials(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.sync(store.SyncRequest{})
		before := r.status()
		r.fail["probe"] = failing(portolan.Forbidden)
		r.event("app")
		r.hinted()
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("forbidden: the whole is read in %s", d)
		}
		r.at = func(what string) error { // refused once and again, without the wait between
			if what == "probe" {
				return &connector.Error{Class: portolan.CredentialsExpired, Message: "expired"}
			}
			return nil
		}
		r.clock.add(time.Hour)
		if s := r.hinted(); s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.CredentialsExpired || r.status() != before || r.count() != 1 {
			t.Errorf("%s %+v, %s", s.Status, s.Ledger, r.status())
		}
		if d := r.dueIn(); d != 0 {
			t.Errorf("the whole is read in %s", d)
		}
	})
}

// Marks and readings of them outlive the server.
func TestHintsOutliveTheServer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.sync(store.SyncRequest{})
		r.put("app", "v2", 2)
		r.event("app")
		id := r.beginHinted()
		ctx, kill := context.WithCancel(t.Context())
		r.at = func(what string) error {
			if what == "row app" {
				kill()
				return context.Canceled
			}
			return nil
		}
		if _, more, _ := r.service.Slice(ctx, id); !more {
			t.Error("the reading has ended")
		}
		r.at = nil
		r.service = r.serve(r.db)
		left, err := r.db.OpenHinted(t.Context())
		if err != nil || len(left) != 1 || left[0] != (store.Hinted{SyncID: id, RegistryID: r.registry}) {
			t.Fatalf("left: %v, %v", left, err)
		}
		r.finish(id)
		r.same()
		if left, err = r.db.OpenHinted(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// A mark outside of what the registry reads now leads to nothing, and one of a
// registry that is not read waits.
func TestHintsOfWhatIsNotRead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("team/app", "v1", 1)
		r.put("other/app", "v1", 2)
		r.event("team/app", "other/app")
		r.change(func(g *portolan.Registry) { g.Extra.Namespaces = []string{"team"} })
		if s := r.hinted(); s.Ledger.RepositoriesListed != 1 || r.count() != 1 {
			t.Errorf("%+v, %d images", s.Ledger, r.count())
		}
		r.clock.add(time.Minute)
		r.event("team/app")
		if err := r.service.Pause(t.Context(), r.account, r.registry); err != nil {
			t.Fatal(err)
		}
		if id := r.beginHinted(); id != "" {
			t.Error("a paused registry is read")
		}
		if id, err := r.service.BeginHinted(t.Context(), store.Due{AccountID: r.account, RegistryID: r.registry}); id != "" || err != nil {
			t.Errorf("a paused registry is read: %q, %v", id, err)
		}
		if err := r.service.Resume(t.Context(), r.account, r.registry); err != nil {
			t.Fatal(err)
		}
		r.sync(store.SyncRequest{})
		r.clock.add(time.Minute)
		r.event("team/app")
		err := r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteRegistry(t.Context(), r.account, r.registry) })
		if err != nil {
			t.Fatal(err)
		}
		if id := r.beginHinted(); id != "" {
			t.Error("a deleted registry is read")
		}
		if id, err := r.service.BeginHinted(t.Context(), store.Due{AccountID: r.account, RegistryID: r.registry}); id != "" || err != nil {
			t.Errorf("a deleted registry is read: %q, %v", id, err)
		}
	})
}

// The service reads marks by itself, and ends in good order.
func TestHintsAreWatched(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("app", "v1", 1)
		r.sync(store.SyncRequest{})
		ended := make(chan *portolan.Sync, 1)
		r.service.Finished = func(s *portolan.Sync) { ended <- s }
		r.service.Start(t.Context())
		defer r.service.Stop()
		r.put("app", "v2", 2)
		r.event("app")
		if s := <-ended; s.Cause != portolan.CauseWebhook || s.Status != portolan.SyncOK {
			t.Errorf("%s %s", s.Cause, s.Status)
		}
		r.same()
	})
}

var errOwn = errors.New("a fault of our own")

// A fault of Portolan's own does not stop the others.
func TestHintsGoOnAfterAFault(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.put("app", "v1", 1)
	r.sync(store.SyncRequest{})
	seen := make(chan struct{}, 1)
	r.at = func(what string) error {
		if what == "images app" {
			select {
			case seen <- struct{}{}:
			default:
			}
			return errOwn
		}
		return nil
	}
	r.service.Start(t.Context())
	r.event("app")
	<-seen
	r.service.Stop()
	r.at = nil
	r.service = r.serve(r.db)
	r.clock.add(time.Minute)
	left, err := r.db.OpenHinted(t.Context())
	if err != nil || len(left) != 1 {
		t.Fatalf("left: %v, %v", left, err)
	}
	r.finish(left[0].SyncID)
	r.same()
}

// Whatever happens, and in whatever order it is told of: counts are exact, what
// is read is what is there, and in the end all is.
func TestHintedRandomly(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		random := rand.New(rand.NewPCG(7, 11))
		paths := []string{"a", "b/c", "b/d", "e"}
		for range 60 {
			path := paths[random.IntN(len(paths))]
			switch random.IntN(6) {
			case 0:
				r.drop(path, 1+random.IntN(10), random.IntN(5))
			case 1:
				r.mu.Lock()
				delete(r.repos, path)
				r.mu.Unlock()
			case 2:
				r.fail[path] = failing(portolan.ServerFailure)
			default:
				r.put(path, fmt.Sprintf("v%05d", 1+random.IntN(10)), 1+random.IntN(30))
			}
			if random.IntN(2) == 0 {
				r.event(path, paths[random.IntN(len(paths))])
			}
			r.clock.add(time.Duration(random.IntN(3000)) * time.Millisecond)
			if random.IntN(8) == 0 {
				r.sync(store.SyncRequest{})
			} else if id := r.beginHinted(); id != "" {
				r.finish(id)
			}
			if random.IntN(4) == 0 {
				clear(r.fail)
			}
		}
		clear(r.fail)
		r.sync(store.SyncRequest{ConfirmVanished: true})
		r.same()
	})
}
