package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portolan/internal/app"
	"portolan/internal/inventory"
)

// serveFlags are the flags of a server.
type serveFlags struct {
	app.Config
	allowDial, trustedProxies []string
	zone                      string
	logFormat, logLevel       string
	level                     slog.Level
}

func (s *shell) serve() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run a server",
		Long: `Runs a server until it is told to stop (SIGTERM or Ctrl-C); then calls under
way are answered and readings put aside. A second signal ends it at once.

The first start makes an account, and writes its access key to
root-credentials.json in the data folder.

Every flag is also an environment variable: --sync-interval is
PORTOLAN_SYNC_INTERVAL. Lists are comma-separated there.`,
		Example: `  portolan serve --data /var/lib/portolan
  portolan serve --data /var/lib/portolan --listen 0.0.0.0:9743 --tls-cert tls.crt --tls-key tls.key
  portolan serve --data /var/lib/portolan --database postgres://portolan@db/portolan --allow-dial 10.0.0.0/8`,
		Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.fromEnvironment(c.Flags()); err != nil {
				return err
			}
			if err := s.completeConfig(&f); err != nil {
				return err
			}
			app.CollectSeldom(s.env("GOGC"))
			log := app.NewLogWriter(s.err)
			f.Log = slog.New(f.handler(log))
			return errors.Join(runServer(c.Context(), f.Config), log.Close())
		},
	}
	f.add(c.Flags())
	return c
}

func (f *serveFlags) add(fs *pflag.FlagSet) {
	fs.SortFlags = false
	f.addStore(fs)
	fs.StringVar(&f.Listen, "listen", app.DefaultListen, "address of the API; port 0 picks a free one")
	fs.StringVar(&f.AddrFile, "addr-file", "", "file to which the address is written once the server listens")
	fs.StringVar(&f.TLSCert, "tls-cert", "", "PEM file of the certificate with its chain")
	fs.StringVar(&f.TLSKey, "tls-key", "", "PEM file of the certificate's key")
	fs.BoolVar(&f.PlainHTTP, "plain-http", false, "allow plain HTTP on an address that other machines reach, behind a proxy that has TLS")
	fs.StringSliceVar(&f.trustedProxies, "trusted-proxy", nil, "network of proxies that are believed about their clients' addresses (repeatable)")
	fs.StringSliceVar(&f.allowDial, "allow-dial", nil, "private network in which registries may be (repeatable)")
	fs.StringVar(&f.MetricsListen, "metrics-listen", app.DefaultMetrics, `address of /healthz, /readyz and /metrics, or "off"`)
	fs.DurationVar(&f.SyncInterval, "sync-interval", inventory.DefaultInterval, "time between readings of a registry")
	fs.IntVar(&f.ThrottleUser, "throttle-user", 0, "calls a second that an access key may make, 0 for any number")
	fs.StringVar(&f.zone, "time-zone", "UTC", "time zone of the times in answers, such as Asia/Shanghai")
	fs.StringVar(&f.logFormat, "log-format", "text", "text or json")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fs.DurationVar(&f.Slice, "slice", 0, "time for which a reading works at a stretch")
	fs.DurationVar(&f.JobTimeout, "job-timeout", 0, "time after which a stretch is stopped")
	fs.DurationVar(&f.RescueAfter, "rescue-after", 0, "time after which the work of a dead server is taken over")
	for _, name := range []string{"slice", "job-timeout", "rescue-after"} {
		fs.Lookup(name).Hidden = true // for tests
	}
}

// addStore adds the flags that say where the store is.
func (f *serveFlags) addStore(fs *pflag.FlagSet) {
	fs.StringVar(&f.Data, "data", "", "folder of the server's files")
	fs.StringVar(&f.Database, "database", "", "postgres://… to keep the store in PostgreSQL instead of the data folder")
	fs.StringVar(&f.MasterKeyFile, "master-key-file", "", "file of the key under which secrets are sealed (default: $PORTOLAN_MASTER_KEY, else master.key in the data folder)")
}

// completeConfig turns texts of flags into what they mean.
func (s *shell) completeConfig(f *serveFlags) (err error) {
	f.MasterKey = s.env("PORTOLAN_MASTER_KEY")
	if f.Data == "" {
		return usagef("say where the server's files are, as in --data /var/lib/portolan")
	}
	if f.AllowDial, err = prefixes("allow-dial", f.allowDial); err != nil {
		return err
	}
	if f.TrustedProxies, err = prefixes("trusted-proxy", f.trustedProxies); err != nil {
		return err
	}
	if f.zone != "" {
		if f.Zone, err = time.LoadLocation(f.zone); err != nil {
			return usagef("--time-zone: there is no time zone %q; use a name such as UTC or Asia/Shanghai", f.zone)
		}
	}
	return f.checkLog()
}

func (f *serveFlags) checkLog() error {
	if err := f.level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return usagef("--log-level: %q is not debug, info, warn or error", f.logLevel)
	}
	if f.logFormat != "text" && f.logFormat != "json" {
		return usagef("--log-format: %q is neither text nor json", f.logFormat)
	}
	return nil
}

// handler writes the log as the flags say.
func (f *serveFlags) handler(w io.Writer) slog.Handler {
	o := slog.HandlerOptions{Level: f.level}
	if f.logFormat == "json" {
		return slog.NewJSONHandler(w, &o)
	}
	return slog.NewTextHandler(w, &o)
}

func runServer(ctx context.Context, cfg app.Config) error {
	a, err := app.New(ctx, cfg)
	if errors.Is(err, syscall.EADDRINUSE) {
		return &exitError{ExitFailed, errors.Join(err, errors.New("another program has that port, perhaps another server: stop it, or choose others with --listen and --metrics-listen"))}
	}
	if err != nil {
		return err
	}
	return errors.Join(a.Run(ctx), a.Close())
}
