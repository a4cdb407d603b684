package app_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portolan/internal/app"
	"portolan/internal/sign"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		data := filepath.Join(t.TempDir(), "made", "by", "the server")
		cfg, log := config(data, database)
		cfg.AddrFile = filepath.Join(t.TempDir(), "addr")
		s := start(t, cfg, log)
		path := filepath.Join(data, "root-credentials.json")
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("credentials: %v, %v", info, err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var keys map[string]string
		if err := json.Unmarshal(b, &keys); err != nil || len(keys) != 3 || len(keys["AccountId"]) != 16 || keys["AccessKeyId"] == "" || keys["AccessKeySecret"] == "" {
			t.Errorf("credentials: %d keys, %v", len(keys), err)
		}
		if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("data folder: %v, %v", info, err)
		}
		if addr, err := os.ReadFile(cfg.AddrFile); err != nil || string(addr) != s.Addr()+"\n" || strings.HasSuffix(s.Addr(), ":0") {
			t.Errorf("address file: %q, %v; it listens on %s", addr, err, s.Addr())
		}
		s.must(v3JSON, "PageImageRegistry")
		for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": `operation="PageImageRegistry"`} {
			s.shows(path, want)
		}
		if entries, err := filepath.Glob(filepath.Join(data, ".*")); err != nil || len(entries) != 0 {
			t.Errorf("left behind: %v, %v", entries, err)
		}
	})
}

// A SQLite store has one server, and the next when that one has ended.
func TestOneServerOnASQLiteStore(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	first := start(t, cfg, log)
	second, err := app.New(t.Context(), cfg)
	if err == nil {
		t.Fatal("two servers run on it", second.Close())
	}
	for _, part := range []string{"another server runs on the store", filepath.Join(cfg.Data, "portolan.db"), "--data", "PostgreSQL"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %s", err, part)
		}
	}
	first.must(v3JSON, "PageImageRegistry")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	start(t, cfg, log).must(v3JSON, "PageImageRegistry")
}

func TestRestart(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		data := t.TempDir()
		cfg, log := config(data, database)
		first := start(t, cfg, log)
		id := first.must(v1JSON, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", "r.invalid").text("Data", "Id")
		if err := first.stop(); err != nil {
			t.Fatal(err)
		}
		second := start(t, cfg, log)
		if second.root != first.root {
			t.Errorf("the account was %v, is %v", first.root, second.root)
		}
		if page := second.must(v3JSON, "PageImageRegistry"); page.text("List", "Id") != id {
			t.Errorf("after the restart: %s", page.raw)
		}
	})
}

// masterKey is one that no server of these tests makes.
const masterKey = "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo="

func TestMasterKey(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		data := t.TempDir()
		cfg, log := config(data, database)
		if err := start(t, cfg, log).stop(); err != nil {
			t.Fatal(err)
		}
		refuse := func(name, want string, change func(*app.Config)) {
			t.Helper()
			other := cfg
			change(&other)
			a, err := app.New(t.Context(), other)
			if err == nil {
				_ = a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		refuse("another key", "not the one of this store", func(c *app.Config) { c.MasterKey = masterKey })
		file := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(file, []byte(masterKey), 0o600); err != nil {
			t.Fatal(err)
		}
		refuse("another key in a file", "not the one of this store", func(c *app.Config) { c.MasterKeyFile = file })
		refuse("no such file", "no such file", func(c *app.Config) { c.MasterKeyFile = file + "x" })
		refuse("no key at all", "not a master key", func(c *app.Config) { c.MasterKey = "x" })
		path := filepath.Join(data, "master.key")
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		refuse("a key that others can read", "chmod 600", func(*app.Config) {})
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refuse("the key is gone", "master key", func(*app.Config) {})
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a new key was made for a store that has secrets: %v", err)
		}
	})
}

func TestRefusedConfigurations(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*app.Config)
		want   string
	}{
		"all addresses":       {func(c *app.Config) { c.Listen = "0.0.0.0:0" }, "--tls-cert"},
		"no host":             {func(c *app.Config) { c.Listen = ":0" }, "--tls-cert"},
		"IPv6":                {func(c *app.Config) { c.Listen = "[::]:0" }, "--tls-cert"},
		"a name":              {func(c *app.Config) { c.Listen = "example.com:0" }, "--tls-cert"},
		"no port":             {func(c *app.Config) { c.Listen = "127.0.0.1" }, "host:port"},
		"certificate alone":   {func(c *app.Config) { c.TLSCert = "x" }, "go together"},
		"no such certificate": {func(c *app.Config) { c.TLSCert, c.TLSKey = "x", "y" }, "load the TLS certificate"},
		"no data folder":      {func(c *app.Config) { c.Data = "" }, "no data folder"},
		"interval":            {func(c *app.Config) { c.SyncInterval = 1 }, "--sync-interval"},
		"throttle":            {func(c *app.Config) { c.ThrottleUser = -1 }, "--throttle-user"},
		"database":            {func(c *app.Config) { c.Database = "mysql://x" }, "unknown database"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, _ := config(t.TempDir(), "")
			tt.change(&cfg)
			a, err := app.New(t.Context(), cfg)
			if err == nil {
				_ = a.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	cfg, log := config(t.TempDir(), "")
	cfg.Listen, cfg.PlainHTTP, cfg.MetricsListen = "0.0.0.0:0", true, app.Off
	if s := start(t, cfg, log); s.MetricsAddr() != "" {
		t.Errorf("metrics are off, yet at %s", s.MetricsAddr())
	}
}

// When a part cannot be had, what was taken before is given back.
func TestFailedStart(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	cfg, log := config(t.TempDir(), "")
	cfg.MetricsListen = busy.Addr().String()
	if _, err := app.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "listen for health and metrics") {
		t.Fatalf("a busy address: %v", err)
	}
	cfg.MetricsListen = app.Off
	start(t, cfg, log)
}

// Servers that start at once on one new store agree on its key and make one
// account between them; one with another master key is refused.
func TestServersAtOnce(t *testing.T) {
	t.Parallel()
	database := storetest.URL(t, storetest.Postgres)
	folders := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	apps, errs := make([]*app.App, len(folders)), make([]error, len(folders))
	var wg sync.WaitGroup
	for i, data := range folders {
		wg.Go(func() {
			cfg, _ := config(data, database)
			cfg.MasterKey = masterKey
			apps[i], errs[i] = app.New(t.Context(), cfg)
		})
	}
	wg.Wait()
	credentials := 0
	for i, a := range apps {
		if errs[i] != nil {
			t.Errorf("server %d: %v", i, errs[i])
			continue
		}
		if err := a.Close(); err != nil {
			t.Errorf("close server %d: %v", i, err)
		}
		if _, err := app.LoadCredentials(folders[i]); err == nil {
			credentials++
		}
	}
	if credentials != 1 {
		t.Errorf("%d accounts were made", credentials)
	}
	cfg, _ := config(t.TempDir(), database)
	cfg.MasterKey = strings.Repeat("00", 32)
	if _, err := app.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "not the one of this store") {
		t.Errorf("another master key: %v", err)
	}
}

// certificate makes the files of a certificate for 127.0.0.1 and a client that
// trusts it.
func certificate(t *testing.T) (cert, key string, client *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	t.Cleanup(server.Close)
	pair := server.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, server.Client()
}

// A policy can tell a call over TLS from one that is not.
func TestSecureTransport(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	var client *http.Client
	cfg.TLSCert, cfg.TLSKey, client = certificate(t)
	secure, plain := start(t, cfg, log), launch(t, "")
	secure.client = client.Transport.(*http.Transport)
	for s, want := range map[*server]int{secure: http.StatusOK, plain: http.StatusForbidden} {
		account := s.root.AccountID
		if _, err := s.IAM().AddUser(t.Context(), account, "reader"); err != nil {
			t.Fatal(err)
		}
		document := `{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"acs:SecureTransport":"true"}}}]}`
		if err := s.IAM().PutPolicy(t.Context(), store.Policy{AccountID: account, Name: "tls-only", Document: document}); err != nil {
			t.Fatal(err)
		}
		if err := s.IAM().Attach(t.Context(), account, "reader", "tls-only"); err != nil {
			t.Fatal(err)
		}
		key, err := s.IAM().AddKey(t.Context(), account, "reader")
		if err != nil {
			t.Fatal(err)
		}
		if status, body := s.send(v3JSON, sign.Key{ID: key.AccessKeyID, Secret: key.AccessKeySecret}, "PageImageRegistry"); status != want {
			t.Errorf("TLS %t: %d %s", s.Secure(), status, body)
		}
	}
}

// The root key of one store is not overwritten by that of another.
func TestCredentialsOfAnotherStore(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	first := start(t, cfg, log)
	root := first.root
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"portolan.db", "portolan.db-wal", "portolan.db-shm"} {
		if err := os.Remove(filepath.Join(cfg.Data, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if _, err := app.New(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "root key of another store") {
		t.Errorf("a new store beside the credentials of an old one: %v", err)
	}
	if have, err := app.LoadCredentials(cfg.Data); err != nil || have != root {
		t.Errorf("the credentials are now %v, %v", have, err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	var client *http.Client
	cfg.TLSCert, cfg.TLSKey, client = certificate(t)
	cfg.Listen = "0.0.0.0:0"
	s := start(t, cfg, log)
	_, port, err := net.SplitHostPort(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for scheme, want := range map[string]int{"https": http.StatusBadRequest, "http": 0} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, scheme+"://127.0.0.1:"+port+"/?Action=PageImageRegistry&Version=2018-12-03", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if !s.Secure() || want > 0 && (err != nil || resp.StatusCode != want) || want == 0 && err == nil && resp.Header.Get("X-Acs-Request-Id") != "" {
			t.Errorf("%s: %v, %v", scheme, resp, err)
		}
	}
}

// A call that is under way when the server is told to stop is answered.
func TestDrain(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan struct{}, 10), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-answer:
		case <-r.Context().Done():
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer slow.Close()
	u, err := url.Parse(slow.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, "")
	type result struct {
		status int
		body   []byte
	}
	results := make(chan result, 1)
	go func() {
		defer close(results)
		status, body := s.send(v3JSON, sign.Key{ID: s.root.AccessKeyID, Secret: s.root.AccessKeySecret}, "TestImageRegistry",
			"RegistryType", "oci", "DomainName", u.Hostname(), "Port", u.Port(), "ProtocolType", "1")
		results <- result{status, body}
	}()
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	refused := func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr(), http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := s.client.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	}
	for !refused() { // until the listener is closed: the server is draining
		if t.Context().Err() != nil {
			t.Fatal("it never drains")
		}
	}
	select {
	case err := <-stopped:
		t.Fatalf("it stopped with a call under way: %v", err)
	default:
	}
	close(answer)
	if r := <-results; r.status != 200 || !strings.Contains(string(r.body), `"Success":false`) {
		t.Errorf("the call under way: %d %s", r.status, r.body)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	cfg, _ := config(t.TempDir(), "")
	a, err := app.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := errors.Join(a.Run(ctx), a.Close()); err != nil {
		t.Error(err)
	}
}
