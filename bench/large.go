package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"portolan"
	"portolan/bench/shelf"
	"portolan/internal/app"
	"portolan/internal/connector"
	"portolan/internal/inventory"
	"portolan/internal/store"
)

// synthetic is a source that makes its rows up, so that nothing but Portolan
// is measured.
type synthetic struct {
	repositories, images int
	listed               atomic.Int64
	mu                   sync.Mutex
	passed               []time.Time // at each part of the images
	part                 int64
}

func (s *synthetic) Probe(context.Context) (connector.Probe, error) {
	return connector.Probe{Product: "synthetic", Identity: "anonymous"}, nil
}

func (s *synthetic) Repositories(_ context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		for r := range s.repositories {
			path := fmt.Sprintf("team/app-%06d", r)
			if path > after && !yield(connector.Repository{Path: path, Expect: s.images, Cursor: path}, nil) {
				return
			}
		}
	}
}

func (s *synthetic) Images(_ context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		l.Announced = s.images
		for n := range s.images {
			digest := func(kind string) portolan.Digest {
				return portolan.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Appendf(nil, "%s %s %d", kind, l.Repository.Path, n))))
			}
			l.Listed++
			row := connector.Row{Digest: digest("manifest"), Tags: []connector.Tag{{Name: fmt.Sprintf("v1.%d.0", n)}}, Facts: connector.Facts{
				Kind: portolan.KindImage, MediaType: shelf.ManifestType, ImageID: digest("config"), Size: 123_456,
			}}
			if !yield(row, nil) {
				return
			}
			if s.listed.Add(1)%s.part == 0 {
				s.mu.Lock()
				s.passed = append(s.passed, time.Now())
				s.mu.Unlock()
			}
		}
	}
}

// peak looks at the heap until stopped, and answers the most it saw.
func peak(stop <-chan struct{}) uint64 {
	var most uint64
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return most
		case <-t.C:
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
}

// large reads a registry of so many images that everything that grows shows.
func (b *bench) large(ctx context.Context, postgres bool, database string) (err error) {
	source := &synthetic{repositories: 10_000, images: 100, part: 100_000}
	if b.quick {
		source.repositories, source.part = 2_000, 20_000
	}
	total := source.repositories * source.images
	s := b.section("A large registry, "+database, fmt.Sprintf("%d images in %d repositories of a source that makes them up.", total, source.repositories))
	w := &world{drop: func() error { return nil }}
	w.spec.Data = filepath.Join(b.folder, "large")
	if postgres {
		if err := w.createDatabase(ctx, b.postgres, "portolan-bench-large", nil, false, false); err != nil {
			return err
		}
	}
	if err := w.folder(nil); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.drop(), os.RemoveAll(w.spec.Data)) }()
	var mu sync.Mutex
	var held []time.Duration
	db, err := store.Open(ctx, w.database(), store.Options{Held: func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, d)
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	f := &filler{db: db, account: 1_000_000_000_000_001}
	if err := db.Update(ctx, func(tx *store.Tx) error { return tx.AddAccount(ctx, f.account, "bench") }); err != nil {
		return err
	}
	ids, err := f.add(ctx, 0, 1)
	if err != nil {
		return err
	}
	held = nil // until now the store was made
	before := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(before)
	debug.SetGCPercent(before)
	app.CollectSeldom(os.Getenv("GOGC")) // this is the server's work
	runtime.GC()
	stop, most, others := make(chan struct{}), make(chan uint64, 1), &rival{db: db, account: f.account, registry: ids[0]}
	go func() { most <- peak(stop) }()
	var writing sync.WaitGroup
	writing.Go(func() { others.write(ctx, stop) })
	started := time.Now()
	err = readAll(ctx, db, source, f.account, ids[0])
	took := time.Since(started)
	close(stop)
	heap := <-most
	writing.Wait()
	if err := errors.Join(err, others.err); err != nil {
		return err
	}
	first, last := source.passed[0].Sub(started), source.passed[len(source.passed)-1].Sub(source.passed[len(source.passed)-2])
	s.add(figure{what: "heap at most", value: fmt.Sprintf("%d MiB", heap>>20), want: "< 256 MiB", met: heap < 256<<20})
	s.add(figure{
		what: "time of the last tenth to that of the first", value: fmt.Sprintf("%.2f", last.Seconds()/first.Seconds()), want: "≤ 1.25", met: last.Seconds() <= 1.25*first.Seconds(),
		note: fmt.Sprintf("%s and %s; %.0f images/s", first.Round(time.Millisecond), last.Round(time.Millisecond), float64(total)/took.Seconds()),
	})
	// On SQLite a transaction locks out all other writers; a writer's own time
	// has the disk's in it.
	s.add(longest("longest writing transaction", ", with those of the next line", held, !postgres))
	s.add(longest("longest that changing the registry and asking for a reading took meanwhile", "", others.took, postgres))
	return nil
}

// longest is the figure of the longest of some times, with a target if they are
// how long others are locked out: on SQLite by any writing transaction, on
// PostgreSQL by the locks that a writer meets.
func longest(what, which string, times []time.Duration, locks bool) figure {
	slices.Sort(times)
	n := len(times)
	f := figure{
		what: what, value: millis(times[n-1]),
		note: fmt.Sprintf("of %d%s; half of them up to %s, 99 of 100 up to %s", n, which, millis(times[n/2]), millis(times[n*99/100])),
	}
	if locks {
		f.want, f.met = "≤ 50 ms", times[n-1] <= 50*time.Millisecond
	}
	return f
}

// rival is somebody who changes a registry while it is read, and asks for a
// reading.
type rival struct {
	db                *store.DB
	account, registry int64
	took              []time.Duration
	err               error
}

const rivalEvery = 100 * time.Millisecond

func (r *rival) write(ctx context.Context, stop <-chan struct{}) {
	t := time.NewTicker(rivalEvery)
	defer t.Stop()
	for n := 0; ; n++ {
		started := time.Now()
		r.err = r.db.Update(ctx, func(tx *store.Tx) error {
			registry, err := tx.Registry(ctx, r.account, r.registry)
			if err != nil {
				return err
			}
			registry.Name = registryName(n)
			if err := tx.SetRegistry(ctx, registry, nil); err != nil {
				return err
			}
			_, _, err = tx.RequestSync(ctx, store.SyncRequest{AccountID: r.account, RegistryID: r.registry, Cause: portolan.CauseManual, NewID: fmt.Sprintf("rival-%d", n)})
			return err
		})
		r.took = append(r.took, time.Since(started))
		if r.err != nil {
			return
		}
		select {
		case <-stop:
			return
		case <-t.C:
		}
	}
}

// readAll runs a reading of the source, slice by slice.
func readAll(ctx context.Context, db *store.DB, source connector.Source, account, registry int64) error {
	var jobs []string
	service := inventory.New(inventory.Config{
		DB: db, Log: app.Discard(),
		AddJob: func(_ context.Context, _ *store.Tx, id string, _ time.Time) error {
			jobs = append(jobs, id)
			return nil
		},
		Open: func(*portolan.Registry, portolan.Credential) (inventory.Opened, error) {
			return inventory.Opened{Source: source}, nil
		},
		Unseal: func(*portolan.Registry, []byte) (portolan.Credential, error) { return portolan.Credential{}, nil },
	})
	id, err := service.Sync(ctx, store.SyncRequest{AccountID: account, RegistryID: registry, Cause: portolan.CauseAdd})
	for more := true; err == nil && more; {
		_, more, err = service.Slice(ctx, id)
	}
	if err != nil {
		return err
	}
	done, err := db.Sync(ctx, account, registry, id)
	if err == nil && done.Status != portolan.SyncOK {
		err = fmt.Errorf("the reading is %s: %s", done.Status, done.Ledger.ErrorMessage)
	}
	return err
}

func (w *world) database() string {
	if w.spec.Database != "" {
		return w.spec.Database
	}
	return "sqlite:" + filepath.Join(w.spec.Data, "portolan.db")
}
