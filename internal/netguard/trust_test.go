package netguard_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portolan"
	"portolan/internal/netguard"
)

func later() time.Time { return time.Now().AddDate(1, 0, 0) }

func TestTrust(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	good := ca.issue(t, later(), "registry.test", "127.0.0.1")
	wrongName := ca.issue(t, later(), "other.test", "a.test", "b.test", "c.test")
	expired := ca.issue(t, time.Now().AddDate(0, 0, -1), "registry.test")
	colons := strings.ToUpper(strings.Join(pairs(leafSum(expired)), ":"))
	tests := map[string]struct {
		cert   tls.Certificate
		host   string
		target netguard.Target
		detail string // "" for success
	}{
		"private authority":   {good, "registry.test", netguard.Target{CACertificate: ca.pem()}, ""},
		"address":             {good, "127.0.0.1", netguard.Target{CACertificate: ca.pem()}, ""},
		"unknown authority":   {good, "registry.test", netguard.Target{}, "signed by an unknown authority"},
		"other authority":     {good, "registry.test", netguard.Target{CACertificate: stranger.pem()}, "signed by an unknown authority"},
		"wrong name":          {wrongName, "registry.test", netguard.Target{CACertificate: ca.pem()}, "the certificate is for other.test, a.test, b.test and others, not for registry.test"},
		"expired":             {expired, "registry.test", netguard.Target{CACertificate: ca.pem()}, "is valid only from"},
		"pinned":              {good, "registry.test", netguard.Target{CertificateSHA256: leafSum(good)}, ""},
		"pinned, wrong name":  {wrongName, "registry.test", netguard.Target{CertificateSHA256: leafSum(wrongName)}, ""},
		"pinned, expired":     {expired, "registry.test", netguard.Target{CertificateSHA256: colons}, ""},
		"pinned, address":     {wrongName, "127.0.0.1", netguard.Target{CertificateSHA256: leafSum(wrongName)}, ""},
		"another than pinned": {good, "registry.test", netguard.Target{CACertificate: ca.pem(), CertificateSHA256: leafSum(expired)}, "another certificate than the pinned one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var served atomic.Bool
			server := serveTLS(t, tt.cert, func(http.ResponseWriter, *http.Request) { served.Store(true) })
			tt.target.Host = tt.host
			client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, tt.target)
			_, err := get(t, client, "https://"+net.JoinHostPort(tt.host, port(t, server.URL)))
			if tt.detail == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if served.Load() {
				t.Error("a request was sent")
			}
			if failure := failureOf(t, err, portolan.TLSFailure); !strings.Contains(failure.Message, tt.detail) {
				t.Errorf("message %q does not say %q", failure.Message, tt.detail)
			}
		})
	}
}

// TestPinIsForTheTargetOnly: the pin neither opens nor closes other hosts.
func TestPinIsForTheTargetOnly(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	pinned := stranger.issue(t, later(), "registry.test")
	realm := serveTLS(t, ca.issue(t, later(), "auth.test", "127.0.0.1"), whoami)
	impostor := serveTLS(t, pinned, whoami)
	target := netguard.Target{Host: "registry.test", CACertificate: ca.pem(), CertificateSHA256: leafSum(pinned)}
	client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, target)
	for _, host := range []string{"auth.test", "127.0.0.1"} {
		if _, err := get(t, client, "https://"+host+":"+port(t, realm.URL)); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		_, err := get(t, client, "https://"+host+":"+port(t, impostor.URL))
		wantClass(t, err, portolan.TLSFailure)
	}
}

func TestUnknownAuthorityShowsFingerprint(t *testing.T) {
	t.Parallel()
	cert := newAuthority(t).issue(t, later(), "127.0.0.1")
	server := serveTLS(t, cert, whoami)
	_, err := get(t, newClient(t, netguard.Config{Allow: loopback()}, netguard.Target{Host: "127.0.0.1"}), server.URL)
	if failure := failureOf(t, err, portolan.TLSFailure); !strings.Contains(failure.Remedy, leafSum(cert)) {
		t.Errorf("remedy %q does not show the certificate's hash", failure.Remedy)
	}
}

func TestNotTLS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ answer, detail string }{
		"HTTP":    {"HTTP/1.1 400 Bad Request\r\n\r\n", "answered plain HTTP to HTTPS"},
		"SSH":     {"SSH-2.0-OpenSSH_9.7\r\n", "does not speak TLS"},
		"nothing": {"", "broke off the handshake"},
		"alert":   {"\x15\x03\x03\x00\x02\x02\x28", "broke off the handshake"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := answering(t, tt.answer)
			client := newClient(t, netguard.Config{Allow: loopback()}, netguard.Target{Host: "127.0.0.1"})
			_, err := get(t, client, "https://"+address)
			if failure := failureOf(t, err, portolan.TLSFailure); !strings.Contains(failure.Message, tt.detail) {
				t.Errorf("message %q does not say %q", failure.Message, tt.detail)
			}
		})
	}
}

func pairs(s string) []string {
	var list []string
	for i := 0; i < len(s); i += 2 {
		list = append(list, s[i:i+2])
	}
	return list
}

// answering is a server that reads a little, writes the answer to everybody
// and hangs up.
func answering(t *testing.T, answer string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}
