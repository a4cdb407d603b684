// Package app puts a server together: configuration, store, queue, services,
// endpoints and listeners. The command line, the demo, benchmarks and
// end-to-end tests all start the value that New makes.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/net/http/httpproxy"

	"portolan/internal/agent"
	"portolan/internal/event"
	"portolan/internal/gateway"
	"portolan/internal/iam"
	"portolan/internal/intake"
	"portolan/internal/inventory"
	"portolan/internal/job"
	"portolan/internal/netguard"
	"portolan/internal/registry"
	"portolan/internal/report"
	"portolan/internal/rpc"
	"portolan/internal/sas"
	"portolan/internal/store"
)

// App is a server.
type App struct {
	cfg        Config
	db         *store.DB
	claim      *flock.Flock // on the SQLite file, nil for PostgreSQL
	queue      *job.Queue
	inventory  *inventory.Service
	registries *registry.Service
	reports    *report.Service
	agents     *agent.Service
	events     *event.Service
	iam        *iam.Service
	metrics    *prometheus.Registry
	api        *http.Server
	ops        *http.Server
	listener   net.Listener
	opsLis     net.Listener
	catalog    *rpc.Catalog
	draining   atomic.Bool
	announced  bool
}

// New makes a server: it opens the store, brings it up to date, makes the
// first account on an empty one, and listens. Nothing is served before Run.
func New(ctx context.Context, cfg Config) (*App, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, metrics: prometheus.NewRegistry()}
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, step := range []func(context.Context) error{a.openStore, a.buildServices, a.listen, a.bootstrap, a.writeAddress} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

const folderMode = 0o700

func (a *App) openStore(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.Data, folderMode); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if path, isFile := strings.CutPrefix(a.cfg.databaseURL(), "sqlite:"); isFile {
		if err := a.protect(path); err != nil {
			return err
		}
	}
	var err error
	if a.db, err = store.Open(ctx, a.cfg.databaseURL(), store.Options{Now: a.cfg.Now}); err != nil {
		return err
	}
	return job.Migrate(ctx, a.db)
}

// protect keeps the files of the store from others than their owner, as SQLite
// gives its other files the mode of the first, and from other servers: what one
// remembers of a SQLite store is true as long as it alone writes there. The
// system gives the claim up when the server ends, however it does.
func (a *App) protect(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, privateMode)
	if err != nil {
		return fmt.Errorf("open the store in the data folder (--data): %w", err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	a.claim = flock.New(path+".lock", flock.SetPermissions(privateMode))
	alone, err := a.claim.TryLock()
	if err != nil {
		return fmt.Errorf("claim the store %s: %w", path, err)
	}
	if !alone {
		return fmt.Errorf("another server runs on the store %s: stop it, or give this one a folder of its own (--data); only on PostgreSQL can several servers share a store", path)
	}
	return nil
}

func (a *App) buildServices(ctx context.Context) error {
	box, err := openBox(ctx, &a.cfg, a.db)
	if err != nil {
		return err
	}
	if err := a.openAgents(box); err != nil {
		return err
	}
	guard, err := netguard.New(netguard.Config{Allow: a.cfg.AllowDial, Proxy: httpproxy.FromEnvironment(), Routes: a.agents.Hub().Route})
	if err != nil {
		return err
	}
	secrets, dial := registrySecrets{box}, &sources{guard: guard, now: a.cfg.Now}
	a.queue, err = job.New(a.db, job.Options{
		Slice:   func(ctx context.Context, id string) (time.Duration, bool, error) { return a.inventory.Slice(ctx, id) },
		Deliver: func(ctx context.Context, id string) (time.Duration, bool, error) { return a.events.Deliver(ctx, id) },
		Timeout: a.cfg.JobTimeout, RescueAfter: a.cfg.RescueAfter, Poll: a.cfg.JobPoll, Log: a.cfg.Log,
	})
	if err != nil {
		return err
	}
	a.inventory = inventory.New(inventory.Config{
		DB: a.db, AddJob: a.queue.AddSync, Open: dial.open, Dialer: dial, Unseal: secrets.unseal,
		Interval: a.cfg.SyncInterval, SliceTime: a.cfg.Slice, LeaseTime: a.cfg.RescueAfter, Zone: a.cfg.Zone, Now: a.cfg.Now, Log: a.cfg.Log,
		Finished: countReadings(a.metrics),
	})
	a.iam = iam.New(iam.Config{DB: a.db, Box: box, Now: a.cfg.Now, Log: a.cfg.Log})
	hooks, err := box.Hasher("webhook")
	if err != nil {
		return err
	}
	tokens, err := a.openReports(box)
	if err != nil {
		return err
	}
	a.registries = registry.New(registry.Config{
		DB: a.db, Seal: secrets.seal, Unseal: secrets.unseal, Hooks: hooks, Tokens: tokens, Request: a.inventory.Request,
		CheckAddress: func(host string) error { return guard.CheckLiteral(netguard.Target{Host: host}) },
	})
	a.events = a.newEvents(box, guard)
	a.catalog = rpc.NewCatalog(Endpoints(&sas.Service{
		DB: a.db, Registries: a.registries, Inventory: a.inventory, Reports: a.reports, Agents: a.agents, Events: a.events, Zone: a.cfg.Zone, Regions: sas.DefaultRegions(),
	}))
	return nil
}

// Endpoints lists the operations of a server.
func Endpoints(s *sas.Service) []rpc.Endpoint { return s.Endpoints() }

// bootstrap makes the first account of an empty store.
func (a *App) bootstrap(ctx context.Context) error {
	made, err := a.iam.Bootstrap(ctx, func(c iam.Credentials) error { return saveCredentials(a.cfg.Data, c) })
	if err != nil {
		return fmt.Errorf("make the first account: %w", err)
	}
	if made {
		a.cfg.Log.InfoContext(ctx, "made the first account; its root access key is in the data folder", "file", filepath.Join(a.cfg.Data, credentialsFile))
	}
	return nil
}

func (a *App) listen(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for the API: %w", err)
	}
	a.listener = gateway.Limit(listener)
	if a.cfg.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(a.cfg.TLSCert, a.cfg.TLSKey)
		if err != nil {
			return fmt.Errorf("load the TLS certificate: %w", err)
		}
		// Outermost, so that net/http knows a call over TLS by its connection.
		a.listener = tls.NewListener(a.listener, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	gate := a.gate()
	g := gateway.New(gateway.Config{
		Catalog: a.catalog, Authenticate: a.iam.Authenticate, Authorize: a.iam.Authorize, Log: a.cfg.Log, Metrics: a.metrics,
		Extra:   a.withAgents(map[string]http.Handler{intake.HookPath: a.hooks(gate), intake.ReportsPath: a.reportsHandler(gate)}),
		Proxies: a.cfg.TrustedProxies, ThrottleUser: a.cfg.ThrottleUser, Now: a.cfg.Now,
	})
	a.api = g.Server()
	if a.cfg.MetricsListen != Off {
		if a.opsLis, err = lc.Listen(ctx, "tcp", a.cfg.MetricsListen); err != nil {
			return fmt.Errorf("listen for health and metrics: %w", err)
		}
		a.ops = a.opsServer()
	}
	return nil
}

const publicMode = 0o644

// writeAddress tells scripts where the API listens.
func (a *App) writeAddress(context.Context) error {
	if a.cfg.AddrFile == "" {
		return nil
	}
	temp := a.cfg.AddrFile + ".tmp"
	if err := os.WriteFile(temp, []byte(a.Addr()+"\n"), publicMode); err != nil {
		return fmt.Errorf("write the address file: %w", err)
	}
	a.announced = true
	return os.Rename(temp, a.cfg.AddrFile)
}

// Addr is the host:port on which the API listens.
func (a *App) Addr() string { return a.listener.Addr().String() }

// MetricsAddr is the host:port of health and metrics, "" when they are off.
func (a *App) MetricsAddr() string {
	if a.opsLis == nil {
		return ""
	}
	return a.opsLis.Addr().String()
}

// Secure reports whether the API has TLS.
func (a *App) Secure() bool { return a.cfg.TLSCert != "" }

// IAM gives access to accounts, users, keys and policies, for the command line.
func (a *App) IAM() *iam.Service { return a.iam }

// DB gives access to the store, for the command line.
func (a *App) DB() *store.DB { return a.db }

const (
	drainTimeout = 30 * time.Second
	// sliceDrain is how long slices may take to come to their end. Then their
	// requests are cancelled, and what was read by then is kept.
	sliceDrain = 3 * time.Second
)

// Run serves until the context ends, then drains: calls under way are
// answered, slices of readings come to their end.
func (a *App) Run(ctx context.Context) error {
	if err := a.queue.Start(ctx); err != nil {
		return fmt.Errorf("start the job queue: %w", err)
	}
	a.inventory.Start(ctx)
	a.reports.Start(ctx)
	defer a.watchAgents(ctx)()
	a.events.Start(ctx)
	failed := make(chan error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { failed <- serve(a.api, a.listener) })
	if a.ops != nil {
		wg.Go(func() { failed <- serve(a.ops, a.opsLis) })
	}
	a.cfg.Log.InfoContext(ctx, "serving", "address", a.Addr(), "tls", a.Secure(), "metrics", a.MetricsAddr())
	var err error
	select {
	case <-ctx.Done():
		a.draining.Store(true)
		a.cfg.Log.InfoContext(ctx, "draining")
	case err = <-failed:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, a.drain(drain))
	wg.Wait()
	return err
}

func serve(s *http.Server, l net.Listener) error {
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a *App) drain(ctx context.Context) error {
	err := a.api.Shutdown(ctx)
	if err != nil {
		err = errors.Join(fmt.Errorf("drain the API: %w", err), a.api.Close())
	}
	a.events.Stop()
	a.reports.Stop()
	a.inventory.Stop()
	slices, cancel := context.WithTimeout(ctx, sliceDrain)
	defer cancel()
	if e := a.queue.Stop(slices); e != nil {
		err = errors.Join(err, fmt.Errorf("stop the job queue: %w", e))
	}
	if a.ops != nil {
		err = errors.Join(err, a.ops.Close())
	}
	return err
}

// Close frees what the server holds. Run must have ended.
func (a *App) Close() error {
	var errs []error
	if a.cfg.AddrFile != "" && a.announced {
		errs = append(errs, os.Remove(a.cfg.AddrFile))
	}
	for _, l := range []net.Listener{a.listener, a.opsLis} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	if a.db != nil {
		errs = append(errs, a.db.Close())
	}
	if a.claim != nil {
		errs = append(errs, a.claim.Close())
	}
	return errors.Join(errs...)
}

// Discard is a log that nobody reads.
func Discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
