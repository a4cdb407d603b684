package netguard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/netguard"
)

// loopback opens 127.0.0.1 and nothing else of loopback.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

// always is a resolver that answers the same for every name.
func always(addrs ...string) netguard.LookupFunc {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		if strings.HasPrefix(host, "missing.") {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		var list []netip.Addr
		for _, a := range addrs {
			list = append(list, netip.MustParseAddr(a))
		}
		return list, nil
	}
}

func newGuard(t *testing.T, c netguard.Config) *netguard.Guard {
	t.Helper()
	g, err := netguard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func newClient(t *testing.T, c netguard.Config, target netguard.Target) *http.Client {
	t.Helper()
	client, err := newGuard(t, c).Client(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// get answers the body, or the error of a request.
func get(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), nil
}

func wantBody(t *testing.T, client *http.Client, address, want string) {
	t.Helper()
	got, err := get(t, client, address)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("GET %s = %q, want %q", address, got, want)
	}
}

func wantClass(t *testing.T, err error, want portolan.ErrorClass) {
	t.Helper()
	_ = failureOf(t, err, want)
}

// failureOf is what Classify finds in an error, which must be of a class.
func failureOf(t *testing.T, err error, want portolan.ErrorClass) *netguard.Error {
	t.Helper()
	failure, ok := netguard.Classify(err)
	if !ok {
		t.Fatalf("error %v has no class, want %s", err, want)
	}
	if failure.Class != want || failure.Message == "" || failure.Remedy == "" {
		t.Errorf("failure is %s %q %q, want %s with message and remedy", failure.Class, failure.Message, failure.Remedy, want)
	}
	return failure
}

func port(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// whoami answers host, protocol and the TLS name that the client asked for.
func whoami(w http.ResponseWriter, r *http.Request) {
	name := "-"
	if r.TLS != nil {
		name = r.TLS.ServerName
	}
	host, _, _ := net.SplitHostPort(r.Host)
	_, _ = io.WriteString(w, host+" "+r.Proto+" "+name)
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a, err := makeAuthority()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func makeAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Private CA"},
		NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(2, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(raw)
	return &authority{cert, key}, err
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a server certificate that ends at notAfter, for names and
// addresses.
func (a *authority) issue(t *testing.T, notAfter time.Time, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "registry"},
		NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: notAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}
}

func leafSum(c tls.Certificate) string {
	sum := sha256.Sum256(c.Certificate[0])
	return hex.EncodeToString(sum[:])
}

func serveTLS(t *testing.T, cert tls.Certificate, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// trap listens at an address and reports whether anybody came. A connection
// that was made is already waiting there, so a short look finds it.
func trap(t *testing.T, address string) (hit func() bool) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("cannot listen at %s: %v", address, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return func() bool {
		_ = l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Millisecond))
		conn, err := l.Accept()
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}
}
