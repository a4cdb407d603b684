package app

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portolan/internal/inventory"
)

// Config is what a server is made of.
type Config struct {
	// Data is the folder of the server's files: the store unless Database says
	// otherwise, the master key, the first credentials.
	Data string
	// Database is postgres://…; "" for SQLite in Data.
	Database string
	// Listen is the address of the API, "host:port"; port 0 picks one.
	Listen string
	// AddrFile is where the bound host:port is written, "" for nowhere.
	AddrFile string
	// MetricsListen is the address of /healthz, /readyz and /metrics, "off"
	// for none.
	MetricsListen string
	// TLSCert and TLSKey are PEM files; without them the API is plain HTTP,
	// which is refused on addresses other than loopback unless PlainHTTP says
	// that a proxy in front has TLS.
	TLSCert, TLSKey string
	PlainHTTP       bool
	// MasterKeyFile has the key that all secrets are sealed under; "" for
	// PORTOLAN_MASTER_KEY if it is set, else master.key in Data, which is made
	// if the store is new.
	MasterKeyFile string
	// MasterKey is the text of the key from the environment, "" for none.
	MasterKey string
	// AllowDial opens networks that are not dialled by default.
	AllowDial []netip.Prefix
	// TrustedProxies are believed when they say who their client is.
	TrustedProxies []netip.Prefix
	// Zone is the time zone of times on the wire.
	Zone *time.Location
	// SyncInterval is the time between readings of a registry.
	SyncInterval time.Duration
	// ThrottleUser is how many calls a second an access key may make, 0 for
	// any number.
	ThrottleUser int
	Log          *slog.Logger

	// For tests: the clock, and how long a slice works, how long a job may
	// take, and after how long one of a dead worker is taken up again.
	Now         func() time.Time
	Slice       time.Duration
	JobTimeout  time.Duration
	RescueAfter time.Duration
	JobPoll     time.Duration
}

// Defaults of a server's addresses.
const (
	DefaultListen  = "127.0.0.1:9743"
	DefaultMetrics = "127.0.0.1:9744"
	Off            = "off"
)

func (c *Config) setDefaults() {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.MetricsListen == "" {
		c.MetricsListen = DefaultMetrics
	}
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	if c.SyncInterval == 0 {
		c.SyncInterval = inventory.DefaultInterval
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
}

const (
	minInterval = time.Minute
	maxInterval = 30 * 24 * time.Hour
)

// ConfigError says why a server cannot be started as it is configured.
type ConfigError struct{ text string }

func (e *ConfigError) Error() string { return e.text }

func configErrorf(format string, args ...any) error {
	return &ConfigError{fmt.Sprintf(format, args...)}
}

// check refuses what a server must not be started with.
func (c *Config) check() error {
	switch {
	case c.Data == "":
		return configErrorf("no data folder: say where the server's files are, as in --data /var/lib/portolan")
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return configErrorf("--tls-cert and --tls-key go together")
	case c.SyncInterval < minInterval || c.SyncInterval > maxInterval:
		return configErrorf("--sync-interval must be from %s to %s", minInterval, maxInterval)
	case c.Database != "" && !slices.Contains([]string{"postgres", "postgresql", "sqlite"}, scheme(c.Database)):
		return configErrorf("unknown database %q: --database must be postgres://user@host/name; without it SQLite is used in the data folder", scheme(c.Database))
	case c.ThrottleUser < 0:
		return configErrorf("--throttle-user must not be negative")
	}
	return c.checkListen()
}

func (c *Config) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return configErrorf("--listen %q is not host:port", c.Listen)
	}
	addr, err := netip.ParseAddr(host)
	loopback := host == "localhost" || err == nil && addr.IsLoopback()
	if !loopback && c.TLSCert == "" && !c.PlainHTTP {
		return configErrorf("--listen %s can be reached from other machines and would be plain HTTP: "+
			"give --tls-cert and --tls-key, or --plain-http if a proxy in front has TLS", c.Listen)
	}
	return nil
}

func scheme(url string) string {
	s, _, _ := strings.Cut(url, ":")
	return s
}

func (c *Config) databaseURL() string {
	if c.Database != "" {
		return c.Database
	}
	return "sqlite:" + filepath.Join(c.Data, "portolan.db")
}
