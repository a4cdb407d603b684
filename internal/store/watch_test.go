package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// listener is a webhook that wants everything.
func (f *fixture) listener(owner, registry int64) {
	f.Helper()
	f.must(f.AddEventWebhook(f.Context(), &store.EventWebhook{
		ID: fmt.Sprint("whk-", owner, registry), AccountID: owner, RegistryID: registry, URL: "https://example.com/", Events: store.Events(), Secret: []byte("s"),
	}))
}

// announced answers the events that were announced since the last time, and ends
// them.
func (f *fixture) announced() []string {
	f.Helper()
	ids, err := f.WaitingDeliveries(f.Context(), 1000)
	f.must(err)
	var events []string
	for _, id := range ids {
		d, err := f.Delivery(f.Context(), id)
		f.must(err)
		events = append(events, fmt.Sprintf("%s %s %s", d.Webhook.ID, d.Event, d.Facts))
		f.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SendOff(ctx, id)
			return err
		})
		f.must(f.NoteAttempt(f.Context(), &d, store.Attempt{Arrived: true}))
	}
	slices.Sort(events)
	return events
}

func (f *fixture) announces(what string, want ...string) {
	f.Helper()
	if d := cmp.Diff(want, f.announced()); d != "" {
		f.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// end ends a reading.
func (f *fixture) end(registry int64, status portolan.SyncStatus, finish store.Finish) {
	f.Helper()
	l := f.claim(registry)
	l.Sync.Status = status
	if status != portolan.SyncOK {
		l.Sync.Ledger.ErrorCode, l.Sync.Ledger.ErrorMessage = portolan.ConnectFailure, "Nobody answers."
	}
	f.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Finish(ctx, l, finish)
		return err
	})
}

// What fails is told once until it is well, to those who asked.
func TestFailingOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		a, b := f.add(account, "a", portolan.OCI), f.add(account, "b", portolan.OCI)
		f.listener(account, 0)
		f.listener(account, b)
		f.listener(other, 0)
		f.end(a, portolan.SyncOK, store.Finish{})
		f.announces("ok")
		f.end(a, portolan.SyncPartial, store.Finish{Early: true})
		f.announces("ended by a setting")
		failing := func(hook string) string {
			s, err := f.Sync(t.Context(), account, a, "")
			f.must(err)
			return fmt.Sprintf(`%s reading.failing {"SyncId":%q,"Status":"failed","ErrorCode":"ConnectFailure","ErrorMessage":"Nobody answers."}`, hook, s.ID)
		}
		f.end(a, portolan.SyncFailed, store.Finish{})
		f.announces("fails", failing(fmt.Sprint("whk-", account, 0)))
		f.end(a, portolan.SyncPartial, store.Finish{})
		f.announces("still")
		f.end(a, portolan.SyncOK, store.Finish{})
		f.end(a, portolan.SyncFailed, store.Finish{})
		f.announces("fails again", failing(fmt.Sprint("whk-", account, 0)))
		f.end(b, portolan.SyncFailed, store.Finish{})
		if n := len(f.announced()); n != 2 {
			t.Errorf("two ask for it, %d are told", n)
		}
	})
}

func TestStaleOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		late := f.add(account, "late", portolan.OCI)
		f.add(account, "never", portolan.OCI)
		paused := f.add(account, "paused", portolan.OCI)
		f.add(account, "builds", portolan.CICD)
		f.listener(account, late)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.SetPaused(ctx, account, paused, true)
			return err
		})
		f.pass(time.Hour)
		ended := f.now().Format(time.RFC3339)
		f.end(late, portolan.SyncOK, store.Finish{})
		tell := func() (n int) {
			n, err := f.TellStale(t.Context(), f.now().Add(-day), 100)
			f.must(err)
			return n
		}
		f.pass(23*time.Hour + time.Minute)
		if n := tell(); n != 1 { // never
			t.Errorf("%d registries are late", n)
		}
		f.announces("another registry")
		f.pass(time.Hour)
		f.end(late, portolan.SyncPartial, store.Finish{Early: true})
		if n := tell(); n != 1 {
			t.Errorf("%d registries are late", n)
		}
		hook := fmt.Sprint("whk-", account, late)
		f.announces("late", fmt.Sprintf(`%s reading.stale {"LastComplete":%q,"Hours":24}`, hook, ended))
		f.pass(day)
		if n := tell(); n != 0 {
			t.Errorf("%d registries are late again", n)
		}
		f.end(late, portolan.SyncOK, store.Finish{})
		f.pass(day + time.Minute)
		if n := tell(); n != 1 {
			t.Errorf("%d registries are late after one was well", n)
		}
	})
}

func TestExpiring(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.Harbor)
		f.listener(account, 0)
		hook := fmt.Sprint("whk-", account, 0)
		watch := func() {
			for _, days := range []int{1, 3, 14} {
				_, err := f.TellExpiring(t.Context(), days, 100)
				f.must(err)
			}
		}
		end := f.now().Add(20 * day)
		f.end(r, portolan.SyncOK, store.Finish{CredentialVersion: 1, CredentialExpires: &end})
		entry, err := f.Registry(t.Context(), account, r)
		f.must(err)
		if !entry.CredentialExpires.Equal(end) {
			t.Errorf("ends %s, want %s", entry.CredentialExpires, end)
		}
		told := func(days int) string {
			return fmt.Sprintf(`%s credential.expiring {"CredentialExpires":%q,"Days":%d}`, hook, end.Format(time.RFC3339), days)
		}
		watch()
		f.announces("20 days")
		f.pass(7 * day)
		watch()
		watch()
		f.announces("13 days", told(14))
		f.end(r, portolan.SyncFailed, store.Finish{}) // tells nothing
		f.announced()
		watch()
		f.announces("13 days again")
		f.pass(12*day + time.Hour)
		watch()
		f.announces("less than one day", told(1))
		watch()
		f.announces("once")
		end = end.Add(90 * day)
		f.end(r, portolan.SyncOK, store.Finish{CredentialVersion: 1, CredentialExpires: &end})
		watch()
		f.announces("prolonged")
		f.pass(80 * day)
		watch()
		f.announces("anew", told(14))
		f.end(r, portolan.SyncOK, store.Finish{CredentialVersion: 1, CredentialExpires: &time.Time{}})
		f.pass(10 * day)
		watch()
		f.announces("never")
	})
}

// Changes and messages go with their time, and with their registry.
func TestPurgeChanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.CICD)
		f.listener(account, r)
		report := func(n int) {
			f.told(store.Report{RegistryID: r, Path: "team/app", Tag: fmt.Sprint("t", n), Digest: digest(n)})
		}
		total := func() int {
			_, n, err := f.Changes(t.Context(), account, store.ChangeFilter{}, 1, 1)
			f.must(err)
			return n
		}
		for n := range 25 {
			report(n)
		}
		f.pass(20 * day)
		report(100)
		f.announced()
		if total() != 26 {
			t.Errorf("%d changes", total())
		}
		f.pass(10*day + time.Minute)
		if total() != 1 {
			t.Errorf("%d changes after 30 days", total())
		}
		f.purge()
		if sets, rows, messages := f.rows("change_sets", "1 = 1"), f.rows("changes", "1 = 1"), f.rows("event_deliveries", "1 = 1"); sets != 1 || rows != 1 || messages != 0 {
			t.Errorf("%d sets, %d changes, %d messages", sets, rows, messages)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, r) })
		if total() != 0 {
			t.Errorf("%d changes of a registry that was deleted", total())
		}
		f.pass(8 * day)
		f.purge()
		f.purge()
		for _, table := range []string{"change_sets", "changes", "registries", "event_webhooks"} {
			if n := f.rows(table, "1 = 1"); n != 0 {
				t.Errorf("%s has %d rows", table, n)
			}
		}
	})
}
