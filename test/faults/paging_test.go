package faults

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Registries and images are written in pairs, one transaction or publication
// for both, so that a total that is odd belongs to no state.
const (
	pagingRounds = 40
	pageSize     = 7
)

// walk is a walk through all pages, in which the rows are known by a key.
type walk struct {
	name string
	page func(ctx context.Context, page, size int) (keys []string, total int, err error)
}

// changes count what is written meanwhile: what was begun and what is done.
type changes struct{ coming, going, came, went atomic.Int64 }

func (c *changes) begin(add, remove int) {
	c.coming.Add(int64(add))
	c.going.Add(int64(remove))
}

func (c *changes) end(add, remove int) {
	c.came.Add(int64(add))
	c.went.Add(int64(remove))
}

// TestPaging pages through lists while they change: a page and its total are
// of one state, and a walk is off by no more than what came and went.
func TestPaging(t *testing.T) {
	t.Parallel()
	chance := random(t)
	t.Run("databases", func(t *testing.T) {
		for _, kind := range []string{storetest.SQLite, storetest.Postgres} {
			seeded := chance.Uint64()
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				db := storetest.Open(t, storetest.URL(t, kind), store.Options{})
				if err := db.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAccount(t.Context(), account, "paging") }); err != nil {
					t.Fatal(err)
				}
				t.Run("registries", func(t *testing.T) { pageRegistries(t, db, rand.New(rand.NewPCG(seeded, 2))) })
				t.Run("images", func(t *testing.T) { pageImages(t, db, rand.New(rand.NewPCG(seeded, 3))) })
			})
		}
	})
}

// whileChanging walks again and again until write has done its rounds.
func (w walk) whileChanging(t *testing.T, c *changes, write func(ctx context.Context) error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- write(t.Context()) }()
	walks := 0
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s: %d walks while %d rows came and %d went", w.name, walks, c.came.Load(), c.went.Load())
			w.once(t, c)
			return
		default:
			w.once(t, c)
			walks++
		}
	}
}

// all is the list in one page, which its total must match.
func (w walk) all(t *testing.T) map[string]bool {
	t.Helper()
	keys, total, err := w.page(t.Context(), 1, 1_000)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, k := range keys {
		set[k] = true
	}
	if total != len(keys) || len(set) != len(keys) || total%2 != 0 {
		t.Errorf("%s: a page of %d (%d of them different), total %d", w.name, len(keys), len(set), total)
	}
	return set
}

func (w walk) once(t *testing.T, c *changes) {
	t.Helper()
	added, removed := c.came.Load(), c.went.Load()
	before := w.all(t)
	seen := map[string]int{}
	for page := 1; ; page++ {
		keys, total, err := w.page(t.Context(), page, pageSize)
		if err != nil {
			t.Fatal(err)
		}
		if want := min(max(total-(page-1)*pageSize, 0), pageSize); len(keys) != want {
			t.Errorf("%s: page %d has %d rows, of a total of %d", w.name, page, len(keys), total)
		}
		for _, k := range keys {
			seen[k]++
		}
		if len(keys) == 0 {
			break
		}
	}
	after := w.all(t)
	missed, twice := 0, 0
	for k := range before {
		if after[k] && seen[k] == 0 {
			missed++
		}
	}
	for _, n := range seen {
		twice += n - 1
	}
	// What is written in between may show at any time.
	came, went := int(c.coming.Load()-added), int(c.going.Load()-removed)
	if missed > went || twice > came {
		t.Errorf("%s: %d rows were missed and %d seen twice while %d came and %d went", w.name, missed, twice, came, went)
	}
}

func pageRegistries(t *testing.T, db *store.DB, chance *rand.Rand) {
	var c changes
	var have []int64
	change := func(ctx context.Context) error {
		if len(have) > 20 && chance.IntN(3) == 0 {
			chance.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
			c.begin(0, 2)
			defer c.end(0, 2)
			goes := have[:2]
			have = have[2:]
			return db.Update(ctx, func(tx *store.Tx) error {
				return errors.Join(tx.DeleteRegistry(ctx, account, goes[0]), tx.DeleteRegistry(ctx, account, goes[1]))
			})
		}
		c.begin(2, 0)
		defer c.end(2, 0)
		var ids []int64
		err := db.Update(ctx, func(tx *store.Tx) error {
			ids = nil
			for range 2 {
				id, err := tx.AddRegistry(ctx, shelfEntry(uuid.NewString()), nil)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		have = append(have, ids...)
		return err
	}
	w := walk{"registries", func(ctx context.Context, page, size int) (keys []string, total int, err error) {
		registries, err := db.Registries(ctx, account)
		if err != nil {
			return nil, 0, err
		}
		list, total := registries.Page(store.RegistryFilter{NameLike: "shelf"}, page, size)
		for _, r := range list {
			keys = append(keys, fmt.Sprint(r.ID))
		}
		return keys, total, nil
	}}
	w.whileChanging(t, &c, func(ctx context.Context) error {
		for range pagingRounds * 5 {
			if err := change(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func shelfEntry(name string) *portolan.Registry {
	return &portolan.Registry{
		AccountID: account, Type: portolan.OCI, Name: "shelf " + name, DomainName: name + ".example", Port: 443, Protocol: portolan.ProtocolHTTPS,
		NetType: portolan.NetPublic, RegionID: portolan.DefaultRegion, Version: "V2", TransPerHour: 30, PersistenceDay: 30, InstanceID: store.NewInstanceID(),
	}
}

// shelf is a source in memory: a repository with images by number.
type shelf struct {
	mu   sync.Mutex
	have []int
}

func (*shelf) Probe(context.Context) (connector.Probe, error) {
	return connector.Probe{Product: "shelf"}, nil
}

func (*shelf) Repositories(context.Context, string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		yield(connector.Repository{Path: "team/app", Expect: -1}, nil)
	}
}

func (s *shelf) Images(_ context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, n := range s.have {
			l.Listed++
			row := connector.Row{Digest: portolan.Digest(digest("shelf", n)), Tags: []connector.Tag{{Name: fmt.Sprint("t", n)}}}
			row.Facts = connector.Facts{Kind: portolan.KindImage, MediaType: "application/vnd.oci.image.manifest.v1+json"}
			if !yield(row, nil) {
				return
			}
		}
	}
}

func pageImages(t *testing.T, db *store.DB, chance *rand.Rand) {
	source := &shelf{}
	for n := range 40 {
		source.have = append(source.have, n)
	}
	service := inventory.New(inventory.Config{
		DB: db, Log: slog.New(slog.DiscardHandler),
		AddJob: func(context.Context, *store.Tx, string, time.Time) error { return nil },
		Open: func(*portolan.Registry, portolan.Credential) (inventory.Opened, error) {
			return inventory.Opened{Source: source}, nil
		},
	})
	var id int64
	if err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
		id, err = tx.AddRegistry(t.Context(), shelfEntry("images"), nil)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	read := func(ctx context.Context) error {
		sync, err := service.Sync(ctx, store.SyncRequest{AccountID: account, RegistryID: id, Cause: portolan.CauseManual})
		if err != nil {
			return err
		}
		_, _, err = service.Slice(ctx, sync)
		return err
	}
	if err := read(t.Context()); err != nil {
		t.Fatal(err)
	}
	var c changes
	next := len(source.have)
	w := walk{"images", func(ctx context.Context, page, size int) (keys []string, total int, err error) {
		list, total, err := db.Images(ctx, account, store.Criteria{}, page, size)
		for _, i := range list {
			keys = append(keys, string(i.Digest))
		}
		return keys, total, err
	}}
	w.whileChanging(t, &c, func(ctx context.Context) error {
		for range pagingRounds {
			source.mu.Lock()
			gone := min(2*chance.IntN(3), len(source.have))
			came := 2 * chance.IntN(4)
			source.have = source.have[gone:]
			for range came {
				source.have = append(source.have, next)
				next++
			}
			source.mu.Unlock()
			c.begin(came, gone)
			if err := read(ctx); err != nil {
				return err
			}
			c.end(came, gone)
		}
		return nil
	})
}
