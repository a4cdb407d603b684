package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portolan/internal/cli"
	"portolan/internal/cli/samples"
)

// deployment is a server in this process with what clients need.
type deployment struct {
	folder string
	env    map[string]string
}

// deploy runs portolan serve until the test ends.
func deploy(t *testing.T, flags ...string) *deployment {
	t.Helper()
	d := &deployment{folder: t.TempDir(), env: map[string]string{}}
	addr := filepath.Join(d.folder, "addr")
	ctx, cancel := context.WithCancel(context.Background())
	var log lockedBuffer
	done := make(chan int, 1)
	args := append([]string{
		"serve", "--data", d.folder, "--listen", "127.0.0.1:0", "--addr-file", addr, "--metrics-listen", "off", "--allow-dial", "127.0.0.0/8",
		"--slice", "1s", "--job-timeout", "2s", "--rescue-after", "3s",
	}, flags...)
	go func() { done <- cli.Main(ctx, args, bytes.NewReader(nil), &log, &log, d.getenv) }()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != cli.ExitOK {
			t.Errorf("the server ended with %d:\n%s", code, log.take())
		}
	})
	for range maxTicks {
		if b, err := os.ReadFile(addr); err == nil {
			d.env["PORTOLAN_ENDPOINT"] = "http://" + strings.TrimSpace(string(b))
			return d
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatalf("the server does not listen:\n%s", log.take())
	return nil
}

func (d *deployment) getenv(name string) string { return d.env[name] }

// run runs the command as the root of the account.
func (d *deployment) run(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs lockedBuffer
	args = append(args, "--credentials-file", filepath.Join(d.folder, "root-credentials.json"))
	code = cli.Main(ctx, args, bytes.NewReader(nil), &out, &errs, d.getenv)
	return code, out.take(), errs.take()
}

// registryPort serves the sample registry.
func registryPort(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	handler, err := samples.New()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(wrap(handler))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	port := registryPort(t, func(h http.Handler) http.Handler { return h })
	add := []string{"registry", "add", "--type", "oci", "--host", "127.0.0.1", "--http", "--port"}
	with := func(more ...string) []string { return append(append([]string(nil), add...), more...) }
	// In order: each sees what those before it did.
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"added", with(port, "--name", "lab"), cli.ExitOK},
		{"added twice", with(port, "--name", "lab"), cli.ExitFailed},
		{"test failed", with("1", "--name", "down"), cli.ExitTestFailed},
		{"reading failed", with("1", "--name", "down", "--no-test"), cli.ExitSyncFailed},
		{"not waited for", with("2", "--no-test", "--no-wait"), cli.ExitOK},
		{"saved test failed", []string{"registry", "test", "down"}, cli.ExitTestFailed},
		{"listed", []string{"registry", "list", "--stale", "1h"}, cli.ExitOK},
		{"alarm", []string{"registry", "list", "--stale", "1h", "--exit-code"}, cli.ExitSyncFailed},
		{"no such flag", []string{"registry", "list", "--nonsense"}, cli.ExitUsage},
		{"no such command", []string{"registry", "nonsense"}, cli.ExitUsage},
		{"too many arguments", []string{"registry", "list", "x"}, cli.ExitUsage},
		{"no operation", []string{"call", "Sas"}, cli.ExitUsage},
		{"refused", []string{"call", "Sas", "PageImageRegistry", "--PageSize", "0"}, cli.ExitFailed},
		{"answered", []string{"call", "Sas", "PageImageRegistry"}, cli.ExitOK},
	} {
		code, stdout, stderr := d.run(t.Context(), test.args...)
		if code != test.want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", test.name, code, test.want, stdout, stderr)
		}
	}
}

// A reading that fails keeps what was read before, and the sum says so.
func TestExplainAfterFailure(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	var down atomic.Bool
	port := registryPort(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	if code, _, stderr := d.run(t.Context(), "registry", "add", "--type", "oci", "--host", "127.0.0.1", "--port", port, "--http", "--name", "lab"); code != cli.ExitOK {
		t.Fatalf("add: exit code %d\n%s", code, stderr)
	}
	down.Store(true)
	if code, _, stderr := d.run(t.Context(), "registry", "sync", "lab"); code != cli.ExitSyncFailed {
		t.Errorf("sync: exit code %d\n%s", code, stderr)
	}
	code, stdout, stderr := d.run(t.Context(), "registry", "explain", "lab")
	if code != cli.ExitOK || !strings.Contains(stdout, "46  images kept of repositories not read in it") || strings.Contains(stdout, "It adds up") ||
		!strings.Contains(stdout, "The reading failed: Forbidden: ") {
		t.Errorf("explain: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// Calls that are throttled are sent again.
func TestThrottled(t *testing.T) {
	t.Parallel()
	d := deploy(t, "--throttle-user", "4")
	for range 10 {
		if code, _, stderr := d.run(t.Context(), "registry", "list"); code != cli.ExitOK {
			t.Fatalf("exit code %d\n%s", code, stderr)
		}
	}
}

// An interrupt ends the wait of the client, and nothing else.
func TestInterruptedWait(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	ctx, cancel := context.WithCancel(t.Context())
	port := registryPort(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				cancel()
			}
			slow(next).ServeHTTP(w, r)
		})
	})
	code, _, stderr := d.run(ctx, "registry", "add", "--type", "oci", "--host", "127.0.0.1", "--port", port, "--http", "--no-test")
	if code != cli.ExitInterrupted || !strings.Contains(stderr, "the reading goes on in the server") {
		t.Errorf("exit code %d, want %d\n%s", code, cli.ExitInterrupted, stderr)
	}
}

// A server with a certificate of a private authority.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	d := deploy(t, "--tls-cert", cert, "--tls-key", key)
	d.env["PORTOLAN_ENDPOINT"] = strings.Replace(d.env["PORTOLAN_ENDPOINT"], "http:", "https:", 1)
	code, _, stderr := d.run(t.Context(), "registry", "list")
	if code != cli.ExitFailed || !strings.Contains(stderr, "--ca-file") {
		t.Errorf("unknown authority: exit code %d\n%s", code, stderr)
	}
	if code, _, stderr := d.run(t.Context(), "registry", "list", "--ca-file", cert); code != cli.ExitOK {
		t.Errorf("known authority: exit code %d\n%s", code, stderr)
	}
	code, stdout, stderr := d.run(t.Context(), "doctor", "--ca-file", cert)
	if code != cli.ExitOK || !strings.Contains(stdout, "warning  certificate  valid until") {
		t.Errorf("doctor: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// certificate makes a certificate that soon ends, and its key.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "portolan"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// What is wrong with the command line is a usage error, also where the server
// finds it.
func TestUsageErrors(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, args := range map[string][]string{
		"listen":           {"serve", "--data", folder, "--listen", "foo"},
		"reachable":        {"serve", "--data", folder, "--listen", "0.0.0.0:0"},
		"throttle":         {"serve", "--data", folder, "--throttle-user", "-1"},
		"lone certificate": {"serve", "--data", folder, "--tls-cert", "cert.pem"},
		"database":         {"serve", "--data", folder, "--database", "mysql://db/portolan"},
		"interval":         {"serve", "--data", folder, "--sync-interval", "1s"},
		"no data":          {"serve"},
		"form":             {"registry", "list", "--output", "garbage"},
		"no such type":     {"registry", "list", "--type", "bogus"},
		"number":           {"registry", "add", "--port", "many"},
		"cut digest":       {"image", "list", "--digest", "0123456789ab"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs lockedBuffer
			code := cli.Main(t.Context(), args, bytes.NewReader(nil), &out, &errs, func(string) string { return "" })
			if text := errs.take(); code != cli.ExitUsage || strings.Contains(text, "strconv") {
				t.Errorf("exit code %d, want %d\n%s", code, cli.ExitUsage, text)
			}
		})
	}
}
