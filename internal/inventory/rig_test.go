package inventory_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// clock is the time of a test, moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// rig is a store with one registry on a shelf.
type rig struct {
	t       *testing.T
	url     string
	db      *store.DB
	service *inventory.Service
	*shelf
	source   connector.Source
	clock    *clock
	account  int64
	registry int64
	jobs     []string
	// tick is called before the service looks at its clock.
	tick func()
}

func newRig(t *testing.T, url string) *rig {
	t.Helper()
	r := &rig{t: t, url: url, shelf: newShelf(), clock: &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}, account: 1000000000000001}
	r.source = r.shelf
	r.db = storetest.Open(t, url, store.Options{Now: r.clock.Now})
	r.service = r.serve(r.db)
	err := r.db.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.AddAccount(t.Context(), r.account, "test"); err != nil {
			return err
		}
		var err error
		r.registry, err = tx.AddRegistry(t.Context(), &portolan.Registry{
			AccountID: r.account, Type: portolan.OCI, Name: "shelf", DomainName: "shelf.example", Port: 443, Protocol: 2, NetType: 1,
			RegionID: "cn-hangzhou", Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
		}, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sliceTime is long: what a slice has of real time goes by it too, and a slow
// machine must not fail a test.
const sliceTime = 5 * time.Minute

// serve is a service on a store, as another process would have it.
func (r *rig) serve(db *store.DB) *inventory.Service {
	return inventory.New(inventory.Config{
		DB: db, Now: r.now, Log: slog.New(slog.DiscardHandler),
		AddJob: func(_ context.Context, _ *store.Tx, id string, _ time.Time) error {
			r.jobs = append(r.jobs, id)
			return nil
		},
		Open: func(*portolan.Registry, portolan.Credential) (inventory.Opened, error) {
			return inventory.Opened{Source: r.source}, nil
		},
		SliceTime: sliceTime,
		Unseal:    func(*portolan.Registry, []byte) (portolan.Credential, error) { return portolan.Credential{}, nil },
	})
}

func (r *rig) now() time.Time {
	if r.tick != nil {
		r.tick()
	}
	return r.clock.Now()
}

func (r *rig) request(q store.SyncRequest) string {
	r.t.Helper()
	q.AccountID, q.RegistryID = r.account, r.registry
	if q.Cause == "" {
		q.Cause = portolan.CauseManual
	}
	id, err := r.service.Sync(r.t.Context(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// sync runs one reading to its end and checks what must always hold.
func (r *rig) sync(q store.SyncRequest) *portolan.Sync {
	r.t.Helper()
	return r.finish(r.request(q))
}

const maxSlices = 3_000

// finish runs a reading slice by slice, waiting as it asks.
func (r *rig) finish(id string) *portolan.Sync {
	r.t.Helper()
	for n := 0; ; n++ {
		wait, more, err := r.service.Slice(r.t.Context(), id)
		if err != nil {
			r.t.Fatal(err)
		}
		if !more {
			break
		}
		if n > maxSlices {
			r.t.Fatal("the reading does not end")
		}
		r.clock.add(wait)
	}
	s := r.reading(id)
	r.check(s)
	return s
}

func (r *rig) reading(id string) *portolan.Sync {
	r.t.Helper()
	s, err := r.db.Sync(r.t.Context(), r.account, r.registry, id)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) check(s *portolan.Sync) {
	r.t.Helper()
	r.checkLedger(s)
	r.count()
}

func (r *rig) checkLedger(s *portolan.Sync) {
	r.t.Helper()
	l := s.Ledger
	if l.RepositoriesListed != l.RepositoriesRead+l.RepositoriesSkipped+l.RepositoriesFailed {
		r.t.Errorf("repositories do not add up: %+v", l)
	}
	if l.RowsListed != l.ImagesSeen+l.DuplicateTags+l.Accessories+l.OtherArtifacts+l.RowsFailed+l.Unexplained || l.Unexplained != 0 {
		r.t.Errorf("rows do not add up: %+v", l)
	}
	if (l.ErrorCode == "") != (s.Status == portolan.SyncOK) || s.Ended.IsZero() {
		r.t.Errorf("status %s with code %q, ended %s", s.Status, l.ErrorCode, s.Ended)
	}
}

// count is the registry's ImageCount, which must be what can be listed.
func (r *rig) count() int {
	r.t.Helper()
	images, inRepositories, kept, err := r.db.Recount(r.t.Context(), r.registry)
	if err != nil {
		r.t.Fatal(err)
	}
	if images != kept || inRepositories != kept {
		r.t.Errorf("ImageCount is %d, but %d images are visible and repositories count %d", kept, images, inRepositories)
	}
	return kept
}

// images are the visible images: path and digest to tags.
func (r *rig) images() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for page := 1; ; page++ {
		list, total, err := r.db.Images(r.t.Context(), r.account, store.Criteria{}, page, 1000)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, i := range list {
			all[i.Repository.Path()+"@"+string(i.Digest)] = tagNames(i.Tags)
		}
		if len(list) == 0 {
			if len(all) != total {
				r.t.Errorf("%d images are listed, the total is %d", len(all), total)
			}
			return all
		}
	}
}

func tagNames(tags []portolan.Tag) string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.Name
	}
	return strings.Join(names, " ")
}

// onShelf is what images should answer when all is read.
func (r *rig) onShelf() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	by := map[string][]string{}
	for path, tags := range r.repos {
		for tag, d := range tags {
			if k, ok := r.kinds[d]; !ok || k == portolan.KindImage {
				by[path+"@"+string(d)] = append(by[path+"@"+string(d)], tag)
			}
		}
	}
	all := map[string]string{}
	for key, tags := range by {
		all[key] = strings.Join(slices.Sorted(slices.Values(tags)), " ")
	}
	return all
}

// same fails the test if the inventory is not what the shelf holds.
func (r *rig) same() {
	r.t.Helper()
	if d := cmp.Diff(r.onShelf(), r.images()); d != "" {
		r.t.Errorf("inventory (+) and shelf (-) differ:\n%s", d)
	}
}

func (r *rig) entry() *portolan.Registry {
	r.t.Helper()
	g, err := r.db.Registry(r.t.Context(), r.account, r.registry)
	if err != nil {
		r.t.Fatal(err)
	}
	return g
}

// change changes the registry's entry.
func (r *rig) change(fn func(*portolan.Registry)) {
	r.t.Helper()
	err := r.db.Update(r.t.Context(), func(tx *store.Tx) error {
		g, err := tx.Registry(r.t.Context(), r.account, r.registry)
		if err != nil {
			return err
		}
		fn(g)
		return tx.SetRegistry(r.t.Context(), g, nil)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// dueIn is the time until the registry is read next, to the second.
func (r *rig) dueIn() time.Duration {
	r.t.Helper()
	start := r.clock.Now()
	defer func() { r.clock.mu.Lock(); r.clock.now = start; r.clock.mu.Unlock() }()
	for d := time.Duration(0); d < 8*time.Hour; d += time.Minute {
		due, err := r.db.DueRegistries(r.t.Context(), 1)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(due) > 0 {
			return d
		}
		r.clock.add(time.Minute)
	}
	return 8 * time.Hour
}

func failing(class portolan.ErrorClass) error { return connector.Errorf(class, "it does not work") }
