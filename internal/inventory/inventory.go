// Package inventory reads registries and keeps their images: it opens sources,
// tests them, runs readings in slices, and concludes what was added, changed
// and gone.
//
// It knows connectors, the store and jobs. It must not know the wire, who may
// do what, or how a registry's protocol works.
package inventory

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/job"
	"portolan/internal/store"
)

// Opened is a source with the meter of its requests.
type Opened struct {
	Source connector.Source
	Meter  *connector.Meter
	// Close frees what the source holds.
	Close func()
}

// Config of a Service.
type Config struct {
	DB *store.DB
	// AddJob makes the job of a reading in a transaction.
	AddJob func(ctx context.Context, tx *store.Tx, syncID string, at time.Time) error
	// Open opens a registry with a credential.
	Open func(r *portolan.Registry, c portolan.Credential) (Opened, error)
	// Dialer tries the way to a registry, for tests.
	Dialer Dialer
	// Unseal opens the stored credential of a registry.
	Unseal func(r *portolan.Registry, sealed []byte) (portolan.Credential, error)
	// Interval is the time between readings, DefaultInterval if 0.
	Interval time.Duration
	// SliceTime is how long a slice works, DefaultSlice if 0; LeaseTime is how
	// long a worker is believed alive, DefaultLease if 0.
	SliceTime time.Duration
	LeaseTime time.Duration
	// Zone is the one of the registries' windows, UTC if nil.
	Zone *time.Location
	Now  func() time.Time
	// Finished is told of each reading that ended; nil for nobody.
	Finished func(*portolan.Sync)
	Log      *slog.Logger
}

// Defaults of a Service.
const (
	DefaultInterval = 6 * time.Hour
	DefaultSlice    = 20 * time.Second
	DefaultLease    = 30 * time.Second
)

// Service reads registries.
type Service struct {
	Config

	wg sync.WaitGroup
	// hinted wakes the reader of marked repositories.
	hinted chan struct{}
	stop   context.CancelFunc
	// stopping ends slices early.
	stopping atomic.Bool
	// expired is when Expire last came to its end, in milliseconds.
	expired atomic.Int64
	// refusals has the credentials that registries refused lately.
	refusals refusals
}

// New makes a Service. Start starts its schedule.
func New(c Config) *Service {
	if c.Interval == 0 {
		c.Interval = DefaultInterval
	}
	if c.SliceTime == 0 {
		c.SliceTime = DefaultSlice
	}
	if c.LeaseTime == 0 {
		c.LeaseTime = DefaultLease
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c, hinted: make(chan struct{}, 1)}
}

// Request asks for a reading of a registry, in the transaction of what makes
// it necessary, and answers its id; "" for a registry that is paused.
func (s *Service) Request(ctx context.Context, tx *store.Tx, q store.SyncRequest) (string, error) {
	q.NewID = uuid.NewString()
	id, start, err := tx.RequestSync(ctx, q)
	if err != nil || !start {
		return id, err
	}
	return id, s.AddJob(ctx, tx, id, time.Time{})
}

// Sync asks for a reading of a registry that the account has. One that is
// paused is refused.
func (s *Service) Sync(ctx context.Context, q store.SyncRequest) (string, error) {
	var id string
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, q.AccountID, q.RegistryID)
		if err != nil {
			return err
		}
		if r.Paused {
			return portolan.Refused("RegistryPaused", "The registry %q is paused and is not read. Resume it with ResumeImageRegistry (portolan registry resume %d): it is then read at once.", r.Name, r.ID)
		}
		id, err = s.Request(ctx, tx, q)
		return err
	})
	return id, err
}

// refreshSpread is the time over which a refresh of everything is spread.
const refreshSpread = 10 * time.Minute

// RefreshAll asks for a reading of every pull registry of the account that is
// not paused, spread over ten minutes. Those that have a window wait for it.
func (s *Service) RefreshAll(ctx context.Context, account int64) error {
	registries, err := s.DB.Registries(ctx, account)
	if err != nil {
		return err
	}
	var pull []int64
	for r := range registries.All {
		if r.Type.Pull() && !r.Paused {
			pull = append(pull, r.ID)
		}
	}
	now := s.Now()
	for start := 0; start < len(pull); start += refreshBatch {
		batch := pull[start:min(start+refreshBatch, len(pull))]
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			for i, id := range batch {
				at := now.Add(refreshSpread * time.Duration(start+i) / time.Duration(len(pull)))
				if err := tx.HastenSync(ctx, id, at); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const (
	refreshBatch = 500
	dueBatch     = 100
	purgeBatch   = 100
	tick         = 5 * time.Second
	purgeEvery   = time.Minute
)

// Start runs the schedule until Stop: readings that are due get their jobs,
// marked repositories are read, and rows past their time are purged.
func (s *Service) Start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.wg.Go(func() { job.Every(ctx, 0, tick, s.Log, "a scheduled task", s.Due) })
	s.wg.Go(func() { job.Every(ctx, job.Housekeeping, purgeEvery, s.Log, "a scheduled task", s.Purge) })
	s.wg.Go(func() { job.Every(ctx, job.Housekeeping, purgeEvery, s.Log, "a scheduled task", s.Expire) })
	s.wg.Go(func() { s.watchHints(ctx) })
}

// Stop ends the schedule and waits for it. Slices under way come to their end
// with the request that they are at.
func (s *Service) Stop() {
	s.stopping.Store(true)
	if s.stop != nil {
		s.stop()
	}
	s.wg.Wait()
}

// Due makes readings of the registries that are due.
func (s *Service) Due(ctx context.Context) error {
	due, err := s.DB.DueRegistries(ctx, dueBatch)
	if err != nil {
		return fmt.Errorf("look for due registries: %w", err)
	}
	for _, d := range due {
		now := s.Now()
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			if at := s.place(&d.Extra, now); !at.Equal(now) {
				return tx.SetNextSync(ctx, d.RegistryID, at)
			}
			_, err := s.Request(ctx, tx, store.SyncRequest{AccountID: d.AccountID, RegistryID: d.RegistryID, Cause: portolan.CauseSchedule})
			if err != nil {
				return err
			}
			return tx.SetNextSync(ctx, d.RegistryID, s.place(&d.Extra, now.Add(s.interval())))
		})
		if err != nil {
			return fmt.Errorf("schedule registry %d: %w", d.RegistryID, err)
		}
	}
	return nil
}

// Purge deletes what is past its time, in small steps.
func (s *Service) Purge(ctx context.Context) error {
	for {
		n, err := s.DB.Purge(ctx, purgeBatch)
		if err != nil || n == 0 {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// interval is the time until the next reading, give or take 10 %, so that
// registries that were added together are not read together for ever.
func (s *Service) interval() time.Duration { return spread(s.Interval) }

func spread(d time.Duration) time.Duration {
	tenth := d / 10
	return d - tenth + rand.N(2*tenth+1) //nolint:gosec // spreads load, keeps no secret
}

// credential opens what is sealed of a registry's source.
func (s *Service) credential(src *store.Source) (portolan.Credential, error) {
	if src.Credential == nil {
		return portolan.Credential{UserName: src.Registry.UserName}, nil
	}
	c, err := s.Unseal(src.Registry, src.Credential)
	if err != nil {
		return c, fmt.Errorf("unseal the credential of registry %d: %w", src.Registry.ID, err)
	}
	c.UserName = src.Registry.UserName
	return c, nil
}
