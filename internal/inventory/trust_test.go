package inventory_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Listings that a registry refuses or does not answer for a moment are read
// again; what goes on for longer ends the reading.
func TestPassingFailure(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		class  portolan.ErrorClass
		lists  int // so many listings fail
		probes int // and so many proofs of identity in the midst
		status portolan.SyncStatus
		code   portolan.ErrorClass
	}{
		"refused once":            {portolan.BadCredentials, 1, 0, portolan.SyncOK, ""},
		"refused for a second":    {portolan.BadCredentials, inventory.Readers, 1, portolan.SyncOK, ""},
		"unreachable for seconds": {portolan.ConnectFailure, 5, 1, portolan.SyncOK, ""},
		"refused":                 {portolan.BadCredentials, 1000, 1000, portolan.SyncPartial, portolan.CredentialsExpired},
		"unreachable":             {portolan.ConnectFailure, 1000, 1000, portolan.SyncPartial, portolan.ConnectFailure},
		"unreachable again":       {portolan.ConnectFailure, 1000, 0, portolan.SyncPartial, portolan.ConnectFailure},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, storetest.URL(t, storetest.SQLite))
				for i := range 50 {
					r.fill(fmt.Sprintf("app-%02d", i), i*10+1, 3)
				}
				r.sync(store.SyncRequest{})
				r.clock.add(time.Hour)
				var begun, lists, probes atomic.Int64
				r.at = func(what string) error {
					switch {
					case strings.HasPrefix(what, "images") && begun.Add(1) > inventory.Readers+4 && lists.Add(1) <= int64(test.lists):
						return failing(test.class)
					case what == "probe" && begun.Load() > inventory.Readers+4 && probes.Add(1) <= int64(test.probes):
						return failing(test.class)
					}
					return nil
				}
				s := r.sync(store.SyncRequest{})
				if s.Status != test.status || s.Ledger.ErrorCode != test.code || r.count() != 150 {
					t.Errorf("%s %q, %d are counted, %+v", s.Status, s.Ledger.ErrorCode, r.count(), s.Ledger)
				}
				if due := r.dueIn(); (due == 10*time.Minute) != (test.status != portolan.SyncOK) {
					t.Errorf("the next reading is in %s", due)
				}
				if lists.Load() > 100 {
					t.Errorf("%d listings were tried", lists.Load())
				}
			})
		})
	}
}

// A repository that is refused for good fails alone.
func TestRefusedRepository(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		for i := range 30 {
			r.fill(fmt.Sprintf("app-%02d", i), i*10+1, 3)
			if i < 10 {
				r.fail[fmt.Sprintf("app-%02d", i)] = failing(portolan.BadCredentials)
			}
		}
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncPartial || s.Ledger.RepositoriesFailed != 10 || s.Ledger.RepositoriesRead != 20 || r.listed["app-00"] != 2 {
			t.Errorf("%s, listed %d times, %+v", s.Status, r.listed["app-00"], s.Ledger)
		}
	})
}

// What cannot be stored or shown fails alone, and is not stored.
func TestIllegible(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"newline": "a\nb", "NUL": "a\x00b", "no UTF-8": "a\xffb", "empty": "", "long": strings.Repeat("x", 3_000)}
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.fill("good", 1, 2)
				r.fill("bad", 11, 2)
				r.put("bad", text, 7)
				failed := 1
				if text != "" { // the shelf does not list it
					r.fill(text, 21, 2)
					failed++
				}
				s := r.sync(store.SyncRequest{})
				l := s.Ledger
				if s.Status != portolan.SyncPartial || l.ErrorCode != portolan.Partial || l.RepositoriesFailed != failed || len(l.Issues) != failed || r.count() != 2 {
					t.Errorf("%s, %d are counted, %+v", s.Status, r.count(), l)
				}
				if len(r.images()) != 2 {
					t.Errorf("%v", r.images())
				}
			})
		})
	}
}

// Facts of a manifest are registries' words as well.
func TestIllegibleFacts(t *testing.T) {
	t.Parallel()
	spoils := map[string]func(*connector.Facts){
		"platform":      func(f *connector.Facts) { f.Platforms = []string{"linux/amd64,linux/arm64"} },
		"media type":    func(f *connector.Facts) { f.MediaType = "a\x00" },
		"artifact type": func(f *connector.Facts) { f.Kind, f.ArtifactType = portolan.KindOther, "a\x00" },
	}
	for name, spoil := range spoils {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				r := newRig(t, url)
				r.spoil = spoil
				r.fill("bad", 1, 2)
				s := r.sync(store.SyncRequest{})
				if s.Status != portolan.SyncFailed || s.Ledger.ErrorCode != portolan.ServerFailure || r.count() != 0 {
					t.Errorf("%s, %d are counted, %+v", s.Status, r.count(), s.Ledger)
				}
			})
		})
	}
}

// Who is no longer who the credential stands for may have been shown a part.
func TestIdentityAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		r.change(func(g *portolan.Registry) { g.UserName = "robot" })
		r.fill("public/a", 1, 3)
		lost := func(what string) error {
			if what == "probe" && r.probes > 0 {
				return failing(portolan.BadCredentials)
			}
			return nil
		}
		r.at = lost
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncPartial || s.Ledger.ErrorCode != portolan.BadCredentials || r.count() != 3 {
			t.Errorf("the first reading: %s, %d are counted, %+v", s.Status, r.count(), s.Ledger)
		}
		r.at = nil
		r.probes = 0
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || r.probes != 2 {
			t.Errorf("%s after %d proofs", s.Status, r.probes)
		}
		r.probes, r.at = 0, lost
		r.drop("public/a", 1, 1)
		delete(r.repos, "public/a")
		if s := r.sync(store.SyncRequest{}); s.Status == portolan.SyncOK || s.Ledger.ErrorCode != portolan.CredentialsExpired || r.count() != 3 {
			t.Errorf("seemingly empty: %s, %d are counted, %+v", s.Status, r.count(), s.Ledger)
		}
	})
}

// A registry that is restored while its reading is given up is read again.
func TestRestoredMeanwhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 3)
		r.sync(store.SyncRequest{})
		id := r.request(store.SyncRequest{})
		update := func(fn func(*store.Tx) error) {
			t.Helper()
			if err := r.db.Update(t.Context(), fn); err != nil {
				t.Fatal(err)
			}
		}
		update(func(tx *store.Tx) error { return tx.DeleteRegistry(t.Context(), r.account, r.registry) })
		restored := false
		r.tick = func() {
			if s := r.reading(id); !restored && len(s.Ledger.Issues) > 0 {
				restored = true
				update(func(tx *store.Tx) error { return tx.RestoreRegistry(t.Context(), r.account, r.registry, time.Time{}) })
			}
		}
		r.finish(id)
		if due := r.dueIn(); !restored || due != 10*time.Minute {
			t.Errorf("restored %t, the next reading is in %s", restored, due)
		}
	})
}

// Images that vanish while others are held are waited for as long.
func TestVanishGuardSecondWave(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 200)
		r.sync(store.SyncRequest{})
		r.drop("app", 1, 50)
		for _, step := range []struct {
			after, due time.Duration
			count      int
		}{
			{time.Hour, 10 * time.Minute, 200},
			{10 * time.Minute, time.Hour, 200},
			{time.Hour, 10 * time.Minute, 150}, // the second wave begins
			{10 * time.Minute, time.Hour, 150},
		} {
			if step.count == 150 {
				r.drop("app", 51, 60)
			}
			r.clock.add(step.after)
			s := r.sync(store.SyncRequest{})
			if due := r.dueIn(); due != step.due || r.count() != step.count {
				t.Errorf("held %d, %d are counted, the next reading is in %s; want %d and %s", s.Ledger.ImagesHeld, r.count(), due, step.count, step.due)
			}
		}
		r.clock.add(time.Hour)
		r.sync(store.SyncRequest{})
		r.same()
	})
}

// A catalogue that broke off confirms nothing.
func TestVanishGuardIncomplete(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		r.fill("zoo", 1_000, 1)
		r.fail[""], r.cutAfter = failing(portolan.ServerFailure), 1
		for range 4 {
			r.clock.add(11 * time.Minute)
			if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncPartial || r.count() != 60 {
				t.Errorf("%s, %d are counted", s.Status, r.count())
			}
		}
	})
}

// A confirmation that comes too late for the reading under way makes another.
func TestVanishGuardConfirmedTooLate(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := heldRig(t, url)
		r.clock.add(time.Minute)
		id := r.request(store.SyncRequest{})
		next := ""
		r.probes = 0
		r.tick = func() {
			if r.probes == 2 && next == "" { // it looked after the second
				next = r.request(store.SyncRequest{ConfirmVanished: true})
			}
		}
		r.finish(id)
		if next == "" || next == id {
			t.Fatalf("the confirmation joined %q, the reading was %q", next, id)
		}
		if s := r.finish(next); s.Status != portolan.SyncOK || r.count() != 30 {
			t.Errorf("%s, %d are counted", s.Status, r.count())
		}
	})
}

// A group is listed at once only when all of it is to be read, and by its
// whole size.
func TestBulkWholeGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var changed []string
		proven := false
		b := &bulkShelf{shelf: r.shelf, groups: map[string]int{}, changes: func(time.Time) ([]string, bool, error) { return changed, proven, nil }}
		r.source = b
		for i := range 5 {
			r.fill(fmt.Sprintf("team/r%d", i), i*10+1, 5)
		}
		r.sync(store.SyncRequest{})
		if b.groups["team"] != 1 {
			t.Errorf("at first the group was listed %d times", b.groups["team"])
		}
		r.put("team/r0", "new", 999)
		changed, proven = []string{"team/r0"}, true
		r.clock.add(time.Hour)
		s := r.sync(store.SyncRequest{})
		if b.groups["team"] != 1 || r.listed["team/r0"] != 1 || s.Ledger.RepositoriesSkipped != 4 || s.Ledger.RowsListed != 6 {
			t.Errorf("one changed: the group was listed %d times, %+v", b.groups["team"], s.Ledger)
		}
		r.same()
	})
}

// A worker that is told to wait after a write of it failed counts as failed.
func TestThrottledStale(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for i := range 20 {
			r.fill(fmt.Sprintf("app-%02d", i), i*10+1, 5)
		}
		id := r.request(store.SyncRequest{})
		rename := func(from, to string) {
			if _, err := r.db.Writer().ExecContext(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
				t.Error(err)
			}
		}
		r.at = func(what string) error {
			if what == "images app-10" {
				rename("sync_repositories", "away")
				return &connector.ThrottledError{Wait: time.Minute}
			}
			return nil
		}
		_, more, err := r.service.Slice(t.Context(), id)
		rename("away", "sync_repositories")
		if err == nil || more {
			t.Errorf("more %t, %v", more, err)
		}
		if l, err := r.db.Claim(t.Context(), id, "next", time.Minute); err != nil || l.Failures != 1 {
			t.Errorf("%+v %v", l, err)
		}
	})
}

// A registry of few repositories is waited for as well.
func TestPassingFailureOfFew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, storetest.URL(t, storetest.SQLite))
		r.fill("a", 1, 3)
		r.fill("b", 11, 3)
		start := time.Now()
		r.at = func(what string) error {
			if strings.HasPrefix(what, "images") && time.Since(start) < 3*time.Second {
				return failing(portolan.ConnectFailure)
			}
			return nil
		}
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || len(s.Ledger.Issues) != 0 {
			t.Errorf("%s %+v", s.Status, s.Ledger)
		}
		r.same()
	})
}

// What a registry says of itself is logged once a reading, and why it does not
// tell what changed.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	b := &bulkShelf{shelf: r.shelf, groups: map[string]int{}, changes: func(time.Time) ([]string, bool, error) {
		return nil, false, failing(portolan.Forbidden)
	}}
	r.source = b
	r.warnings = []string{"it is old"}
	r.fill("app", 1, 100)
	var log strings.Builder
	r.service.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.sync(store.SyncRequest{})
	r.clock.add(time.Hour)
	r.at = func(what string) error {
		if what == "row app" {
			r.clock.add(sliceTime / 30)
		}
		return nil
	}
	if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || len(s.Ledger.Issues) != 0 {
		t.Errorf("%s %+v", s.Status, s.Ledger)
	}
	if n := strings.Count(log.String(), "it is old"); n != 2 {
		t.Errorf("in two readings the warning is logged %d times", n)
	}
	if n := strings.Count(log.String(), "it does not work"); n != 1 {
		t.Errorf("the failure of the feed is logged %d times", n)
	}
}
