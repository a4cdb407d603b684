package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const (
	account = 1000000000000001
	other   = 1000000000000002
)

// fixture is a store with two accounts and a clock that is moved by hand.
type fixture struct {
	*testing.T
	*store.DB
	url string
	mu  sync.Mutex
	at  time.Time
}

func newFixture(t *testing.T, url string) *fixture {
	t.Helper()
	f := &fixture{T: t, url: url, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	f.DB = storetest.Open(t, url, store.Options{Now: f.now})
	t.Cleanup(func() {
		if err := f.CheckBlocks(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f.update(func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddAccount(ctx, account, "one"); err != nil {
			return err
		}
		return tx.AddAccount(ctx, other, "two")
	})
	return f
}

func (f *fixture) now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *fixture) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = f.at.Add(d)
}

func (f *fixture) update(fn func(context.Context, *store.Tx) error) {
	f.Helper()
	if err := f.Update(f.Context(), func(tx *store.Tx) error { return fn(f.Context(), tx) }); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// add adds a registry; its host is made of its name.
func (f *fixture) add(owner int64, name string, kind portolan.RegistryType) int64 {
	f.Helper()
	var id int64
	f.update(func(ctx context.Context, tx *store.Tx) error {
		var err error
		id, err = tx.AddRegistry(ctx, entry(owner, name, kind), nil)
		return err
	})
	return id
}

func entry(owner int64, name string, kind portolan.RegistryType) *portolan.Registry {
	return &portolan.Registry{
		AccountID: owner, Type: kind, Name: name, DomainName: fmt.Sprintf("%x.example", name), Port: 443, Protocol: 2, NetType: 1,
		RegionID: "cn-hangzhou", Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
	}
}

func digest(n int) portolan.Digest { return portolan.Digest(fmt.Sprintf("sha256:%064x", n)) }

func (f *fixture) image(n int, tags ...string) portolan.Image {
	i := portolan.Image{
		UUID: uuid.Must(uuid.NewV7()).String(), Digest: digest(n), MediaType: "application/vnd.oci.image.manifest.v1+json",
		ImageID: digest(n + 1_000_000), Size: int64(n), Platforms: []string{"linux/amd64"}, Created: f.now(), FirstSeen: f.now(),
		Updated: f.now().Add(time.Duration(n%7) * time.Second), // several share a time
	}
	for _, tag := range tags {
		i.Tags = append(i.Tags, portolan.Tag{Name: tag, Pushed: i.Updated})
	}
	return i
}

// claim requests and claims a reading.
func (f *fixture) claim(registry int64) *store.Lease {
	f.Helper()
	id := uuid.NewString()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		_, _, err := tx.RequestSync(ctx, store.SyncRequest{AccountID: f.owner(registry), RegistryID: registry, Cause: portolan.CauseManual, NewID: id})
		return err
	})
	l, err := f.Claim(f.Context(), id, "worker", time.Minute)
	f.must(err)
	return l
}

func (f *fixture) owner(registry int64) int64 {
	if _, err := f.Registry(f.Context(), other, registry); err == nil {
		return other
	}
	return account
}

func (f *fixture) publish(l *store.Lease, delta int) {
	f.Helper()
	l.Sync.Status = portolan.SyncOK
	f.update(func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Finish(ctx, l, store.Finish{CountDelta: delta})
		return err
	})
}

// fill publishes new images in a repository.
func (f *fixture) fill(registry int64, path string, images ...portolan.Image) {
	f.Helper()
	l := f.claim(registry)
	f.must(f.Apply(f.Context(), l, []store.Change{f.inserting(path, images...)}, true))
	f.publish(l, len(images))
}

func (f *fixture) inserting(path string, images ...portolan.Image) store.Change {
	return store.Change{Make: true, State: store.StagedDone, Staged: store.StagedRepository{Path: path}, Insert: images}
}

// exact fails the test if the kept counts are not what can be counted.
func (f *fixture) exact(registry int64, want int) {
	f.Helper()
	images, inRepositories, kept, err := f.Recount(f.Context(), registry)
	f.must(err)
	if images != want || inRepositories != want || kept != want {
		f.Errorf("%d images, repositories count %d, the registry %d; want %d", images, inRepositories, kept, want)
	}
}
