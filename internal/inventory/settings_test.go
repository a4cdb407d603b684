package inventory_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portolan"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// What is left out leaves with the next reading, however much it is, and comes
// back with it.
func TestExcludes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("team/app", 1, 10)
		r.fill("team/tmp-1", 100, 60)
		r.fill("team/tmp-2/deep", 200, 60)
		r.sync(store.SyncRequest{})
		r.same()
		r.change(func(g *portolan.Registry) { g.Extra.Excludes = []string{"team/tmp-*", "team/tmp-2/**"} })
		clear(r.listed)
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncOK || s.Ledger.ImagesGone != 120 || s.Ledger.RepositoriesListed != 1 || r.count() != 10 {
			t.Errorf("%s: %d gone, %d listed, %d are counted", s.Status, s.Ledger.ImagesGone, s.Ledger.RepositoriesListed, r.count())
		}
		if r.listed["team/tmp-1"]+r.listed["team/tmp-2/deep"] > 0 {
			t.Errorf("what is left out was asked for: %v", r.listed)
		}
		r.change(func(g *portolan.Registry) { g.Extra.Excludes = nil })
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || s.Ledger.ImagesAdded != 120 {
			t.Errorf("%s: %d added", s.Status, s.Ledger.ImagesAdded)
		}
		r.same()
	})
}

// A catalogue of which nothing is wanted is gone through all the same, slice
// by slice.
func TestExcludesAll(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		r.fill(name, 1, 1)
	}
	r.change(func(g *portolan.Registry) { g.Extra.Excludes = []string{"**"} })
	r.at = func(what string) error {
		if strings.HasPrefix(what, "catalogue") {
			r.clock.add(sliceTime)
		}
		return nil
	}
	if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || s.Ledger.RepositoriesListed != 0 {
		t.Errorf("%s %q: %d listed", s.Status, s.Ledger.ErrorMessage, s.Ledger.RepositoriesListed)
	}
}

// A paused registry keeps what is known of it and is not read until it is
// resumed, and then at once.
func TestPause(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 3)
		r.sync(store.SyncRequest{})
		for range 2 {
			r.pause()
		}
		r.drop("app", 1, 2)
		if _, err := r.service.Sync(t.Context(), store.SyncRequest{AccountID: r.account, RegistryID: r.registry}); !errors.Is(err, &portolan.Error{Code: "RegistryPaused"}) {
			t.Errorf("a manual reading: %v", err)
		}
		jobs := len(r.jobs)
		if err := r.service.RefreshAll(t.Context(), r.account); err != nil {
			t.Fatal(err)
		}
		r.clock.add(48 * time.Hour)
		if err := r.service.Due(t.Context()); err != nil || len(r.jobs) != jobs {
			t.Errorf("%d readings were made, %v", len(r.jobs)-jobs, err)
		}
		if r.count() != 3 || !r.entry().Paused {
			t.Errorf("%d are counted, paused %v", r.count(), r.entry().Paused)
		}
		for range 2 {
			if err := r.service.Resume(t.Context(), r.account, r.registry); err != nil {
				t.Fatal(err)
			}
		}
		if len(r.jobs) != jobs+1 {
			t.Fatalf("resuming made %d readings", len(r.jobs)-jobs)
		}
		if s := r.finish(r.jobs[jobs]); s.Status != portolan.SyncOK || r.entry().Paused {
			t.Errorf("%s, paused %v", s.Status, r.entry().Paused)
		}
		r.same()
		if d := r.dueIn(); d < 5*time.Hour {
			t.Errorf("the next reading is in %s", d)
		}
	})
}

func (r *rig) pause() {
	r.t.Helper()
	if err := r.service.Pause(r.t.Context(), r.account, r.registry); err != nil {
		r.t.Fatal(err)
	}
}

// The ways in which a registry that nobody has is paused, and one that is not
// read.
func TestPauseRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	if err := r.service.Pause(t.Context(), r.account, r.registry+1); !errors.Is(err, portolan.ErrRegistryNotExist) {
		t.Error(err)
	}
	if err := r.service.Resume(t.Context(), r.account+1, r.registry); !errors.Is(err, portolan.ErrRegistryNotExist) {
		t.Error(err)
	}
}

// A reading under way ends in good order when its registry is paused: what it
// has read is kept, nothing is removed, and resuming reads the rest.
func TestPauseWhileRead(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i, name := range []string{"a", "b", "c", "d"} {
			r.fill(name, i*100+1, 30)
		}
		r.sync(store.SyncRequest{})
		r.put("a", "new", 999)
		r.drop("a", 1, 30)
		delete(r.repos, "d")
		r.at = func(what string) error {
			if what == "images b" {
				r.clock.add(2 * sliceTime)
			}
			return nil
		}
		id := r.request(store.SyncRequest{})
		if _, more, err := r.service.Slice(t.Context(), id); err != nil || !more {
			t.Fatal(more, err)
		}
		r.pause()
		jobs := len(r.jobs)
		if err := r.service.Resume(t.Context(), r.account, r.registry); err != nil || len(r.jobs) != jobs {
			t.Fatalf("%v, %d jobs", err, len(r.jobs)-jobs)
		}
		r.pause()
		s := r.finish(id)
		if s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.Partial || !strings.Contains(s.Ledger.ErrorMessage, "paused") || s.Ledger.ImagesGone != 0 {
			t.Errorf("%s %s %q, %d gone", s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage, s.Ledger.ImagesGone)
		}
		if n := r.count(); n < 120 {
			t.Errorf("%d are counted", n)
		}
		// The reading that resuming has asked for waits; it ends too.
		if len(r.jobs) != jobs+1 {
			t.Fatalf("%d jobs", len(r.jobs)-jobs)
		}
		if s := r.finish(r.jobs[jobs]); s.Status != portolan.SyncPartial || s.Ledger.RowsListed != 0 {
			t.Errorf("%s, %d rows", s.Status, s.Ledger.RowsListed)
		}
		r.at = nil
		if err := r.service.Resume(t.Context(), r.account, r.registry); err != nil {
			t.Fatal(err)
		}
		r.finish(r.jobs[jobs+1])
		if r.entry().SyncStatus == portolan.SyncFailed {
			t.Error(r.entry().SyncMessage)
		}
	})
}

// due has the schedule look, and answers the reading that it made, "" for none.
func (r *rig) due() string {
	r.t.Helper()
	jobs := len(r.jobs)
	if err := r.service.Due(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if len(r.jobs) == jobs {
		return ""
	}
	return r.jobs[jobs]
}

// set moves the clock to a time of the day.
func (r *rig) set(hour, minute int) {
	now := r.clock.Now()
	to := time.Date(now.Year(), now.Month(), now.Day(), hour, minute, 0, 0, time.UTC)
	if !to.After(now) {
		to = to.AddDate(0, 0, 1)
	}
	r.clock.add(to.Sub(now))
}

// Scheduled readings wait for the window, manual ones do not.
func TestWindow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 3)
		r.change(func(g *portolan.Registry) { g.Extra.SyncWindow = "22:00-06:00" })
		r.set(5, 0)
		r.sync(store.SyncRequest{}) // the next would be at 11
		r.set(12, 0)
		if id := r.due(); id != "" {
			t.Error("it is due at noon")
		}
		if err := r.service.RefreshAll(t.Context(), r.account); err != nil {
			t.Fatal(err)
		}
		r.set(12, 11)
		if id := r.due(); id != "" {
			t.Error("a refresh has it read at noon")
		}
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK {
			t.Errorf("a manual reading at noon: %s", s.Status)
		}
		r.set(21, 59)
		if id := r.due(); id != "" {
			t.Error("it is due before the window")
		}
		r.set(22, 31)
		id := r.due()
		if id == "" {
			t.Fatal("it is not due half an hour after the window opened")
		}
		if s := r.finish(id); s.Status != portolan.SyncOK || s.Cause != portolan.CauseSchedule {
			t.Errorf("%s %s", s.Status, s.Cause)
		}
	})
}

// The zone is the server's.
func TestWindowZone(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.service.Zone = time.FixedZone("east", 8*3600)
	r.change(func(g *portolan.Registry) { g.Extra.SyncWindow = "22:00-06:00" })
	if err := r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.SetNextSync(t.Context(), r.registry, r.clock.Now()) }); err != nil {
		t.Fatal(err)
	}
	r.set(13, 0)
	if id := r.due(); id != "" {
		t.Error("it is due at 21:00")
	}
	r.set(14, 31)
	if id := r.due(); id == "" {
		t.Error("it is not due at 22:31")
	}
}

// A reading stops with its window and goes on in the next one, until all has
// been read once; then it starts anew.
func TestWindowEnds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		const repositories = 5 * inventory.Readers
		name := func(i int) string { return fmt.Sprintf("app-%02d", i) }
		for i := range repositories {
			r.fill(name(i), i*100+1, 10)
		}
		r.sync(store.SyncRequest{})
		r.change(func(g *portolan.Registry) { g.Extra.SyncWindow = "22:00-06:00" })
		for i := range repositories {
			r.drop(name(i), i*100+1, 1)
		}
		// night reads until some repositories have been asked for.
		night := func(asked int64) *portolan.Sync {
			t.Helper()
			r.set(22, 31)
			id := r.due()
			if id == "" {
				t.Fatal("it is not due at night")
			}
			var n atomic.Int64
			r.at = func(what string) error {
				if strings.HasPrefix(what, "images") && n.Add(1) == asked {
					r.set(6, 1)
				}
				return nil
			}
			return r.finish(id)
		}
		first := night(2 * inventory.Readers)
		if first.Status != portolan.SyncPartial || first.Ledger.ErrorCode != portolan.Partial || !strings.Contains(first.Ledger.ErrorMessage, "22:00-06:00") {
			t.Errorf("%s %s %q", first.Status, first.Ledger.ErrorCode, first.Ledger.ErrorMessage)
		}
		if n := first.Ledger.RepositoriesRead; n < inventory.Readers || n > 2*inventory.Readers || first.Ledger.ImagesGone != n {
			t.Errorf("%d were read, %d are gone", n, first.Ledger.ImagesGone)
		}
		second := night(2 * inventory.Readers)
		if second.Status != portolan.SyncPartial || second.Ledger.RepositoriesSkipped != first.Ledger.RepositoriesRead {
			t.Errorf("%s: %d skipped of %d read", second.Status, second.Ledger.RepositoriesSkipped, first.Ledger.RepositoriesRead)
		}
		third := night(0)
		if done := first.Ledger.RepositoriesRead + second.Ledger.RepositoriesRead; third.Status != portolan.SyncOK || third.Ledger.RepositoriesSkipped != done {
			t.Errorf("%s: %d skipped of %d read", third.Status, third.Ledger.RepositoriesSkipped, done)
		}
		r.same()
		if fourth := night(0); fourth.Status != portolan.SyncOK || fourth.Ledger.RepositoriesRead != repositories {
			t.Errorf("%s: %d read", fourth.Status, fourth.Ledger.RepositoriesRead)
		}
	})
}

// A registry that cannot be read is asked less and less often, up to every six
// hours; a manual reading tries all the same.
func TestCircuit(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.service.Interval = 15 * time.Minute
	r.fill("app", 1, 1)
	r.fail["probe"] = failing(portolan.ConnectFailure)
	const m = time.Minute
	for i, want := range []time.Duration{10 * m, 15 * m, 15 * m, 15 * m, 30 * m, 60 * m, 120 * m, 240 * m, 360 * m, 360 * m} {
		probes := r.probes
		r.sync(store.SyncRequest{})
		if r.probes == probes {
			t.Error("a manual reading did not try")
		}
		if due := r.dueIn(); due < want*89/100 || due > want*111/100+m {
			t.Errorf("after %d failures the next reading is in %s, want %s", i+1, due, want)
		}
	}
	clear(r.fail)
	r.sync(store.SyncRequest{})
	if due := r.dueIn(); due > 17*m {
		t.Errorf("after a success the next reading is in %s", due)
	}
}

// A credential that was refused is not tried for another entry that has the
// same one, but for a person.
func TestRefusedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		r.fill("app", 1, 1)
		r.fail["probe"] = failing(portolan.BadCredentials)
		r.sync(store.SyncRequest{})
		first := r.registry
		err := r.db.Update(t.Context(), func(tx *store.Tx) error {
			var err error
			r.registry, err = tx.AddRegistry(t.Context(), &portolan.Registry{
				AccountID: r.account, Type: portolan.OCI, Name: "other", DomainName: "shelf.example", Port: 443, Protocol: 2, NetType: 1,
				HostIP: "192.0.2.1", RegionID: "x", Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
			}, nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		probes := r.probes
		s := r.sync(store.SyncRequest{Cause: portolan.CauseSchedule})
		if s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.BadCredentials || r.probes != probes {
			t.Errorf("%s %s, %d tries", s.Status, s.Ledger.ErrorCode, r.probes-probes)
		}
		r.sync(store.SyncRequest{})
		if r.probes != probes+2 {
			t.Errorf("a manual reading tried %d times", r.probes-probes)
		}
		r.clock.add(11 * time.Minute)
		clear(r.fail)
		r.registry = first
		if s := r.sync(store.SyncRequest{Cause: portolan.CauseSchedule}); s.Status != portolan.SyncOK {
			t.Errorf("ten minutes later: %s %s", s.Status, s.Ledger.ErrorMessage)
		}
	})
}

// A group that is listed at once may hold what is left out: nothing of it gets
// through.
func TestExcludesInGroup(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	b := &bulkShelf{shelf: r.shelf, groups: map[string]int{}, changes: func(time.Time) ([]string, bool, error) { return nil, false, nil }}
	r.source = b
	r.fill("team/app", 1, 5)
	r.fill("team/tmp", 10, 5)
	r.fill("team/web", 20, 5)
	r.change(func(g *portolan.Registry) { g.Extra.Excludes = []string{"team/tmp"} })
	if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || s.Ledger.RepositoriesListed != 2 || s.Ledger.RowsListed != 10 || r.count() != 10 {
		t.Errorf("%s: %+v, %d are counted", s.Status, s.Ledger, r.count())
	}
	if b.groups["team"] != 1 {
		t.Errorf("the group was listed %d times", b.groups["team"])
	}
}
