package inventory_test

import (
	"testing"
	"time"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// A registry that is due gets one reading, and the next is planned.
func TestDue(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 2)
		r.sync(store.SyncRequest{})
		if d := r.dueIn(); d < 5*time.Hour+23*time.Minute || d > 6*time.Hour+37*time.Minute {
			t.Errorf("the next reading is in %s", d)
		}
		jobs := len(r.jobs)
		due := func(want int) {
			t.Helper()
			if err := r.service.Due(t.Context()); err != nil || len(r.jobs) != jobs+want {
				t.Errorf("%d jobs were made, want %d, %v", len(r.jobs)-jobs, want, err)
			}
		}
		due(0)
		r.clock.add(7 * time.Hour)
		due(1)
		due(1)
		s := r.finish(r.jobs[jobs])
		if s.Cause != portolan.CauseSchedule || s.Status != portolan.SyncOK {
			t.Errorf("%+v", s)
		}
	})
}

// Everything is read again within ten minutes, but not at once.
func TestRefreshAll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		err := r.db.Update(t.Context(), func(tx *store.Tx) error {
			for _, kind := range []portolan.RegistryType{portolan.CICD, portolan.Harbor} {
				_, err := tx.AddRegistry(t.Context(), &portolan.Registry{
					AccountID: r.account, Type: kind, Name: "b", DomainName: "b.example", RegionID: "x", InstanceID: store.NewInstanceID(),
				}, nil)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.service.RefreshAll(t.Context(), r.account); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{1, 2} { // of two that are pulled
			due, err := r.db.DueRegistries(t.Context(), 10)
			if err != nil || len(due) != want {
				t.Errorf("%v are due, want %d, %v", due, want, err)
			}
			r.clock.add(10 * time.Minute)
		}
	})
}

// Start works until Stop, which waits.
func TestStartStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.service.Start(t.Context())
	r.service.Stop()
	r.service.Stop()
}
