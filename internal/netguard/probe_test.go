package netguard_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"portolan"
	"portolan/internal/netguard"
)

func number(t *testing.T, port string) int {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestProbe(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert := ca.issue(t, later(), "registry.test")
	server := serveTLS(t, cert, whoami)
	g := newGuard(t, netguard.Config{Allow: loopback(), Lookup: always("10.0.0.1", "127.0.0.1")})
	target := netguard.Target{Host: "registry.test", Port: number(t, port(t, server.URL)), CACertificate: ca.pem()}

	addrs, err := g.Resolve(t.Context(), target)
	if err != nil || !slices.Equal(addrs, []netip.Addr{netip.MustParseAddr("127.0.0.1")}) {
		t.Errorf("Resolve = %v, %v, want the allowed address", addrs, err)
	}
	if err := g.DialTCP(t.Context(), target); err != nil {
		t.Error(err)
	}
	got, err := g.Handshake(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != "TLS 1.3" || got.Issuer != "CN=Private CA" || got.Subject != "CN=registry" ||
		got.CertificateSHA256 != leafSum(cert) || got.NotAfter.Before(time.Now()) {
		t.Errorf("Handshake = %+v", got)
	}
}

func TestProbeFailures(t *testing.T) {
	t.Parallel()
	server := serveTLS(t, newAuthority(t).issue(t, later(), "registry.test"), whoami)
	p := number(t, port(t, server.URL))
	config := netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}
	tests := map[string]struct {
		target             netguard.Target
		resolve, dial, tls portolan.ErrorClass
	}{
		"unknown name":   {netguard.Target{Host: "missing.test", Port: p}, portolan.DNSFailure, portolan.DNSFailure, portolan.DNSFailure},
		"forbidden":      {netguard.Target{Host: "10.0.0.1", Port: p}, portolan.AddressForbidden, portolan.AddressForbidden, portolan.AddressForbidden},
		"nobody listens": {netguard.Target{Host: "registry.test", Port: 1}, "", portolan.ConnectFailure, portolan.ConnectFailure},
		"no trust":       {netguard.Target{Host: "registry.test", Port: p}, "", "", portolan.TLSFailure},
		"no route":       {netguard.Target{Host: "registry.test", Port: p, NetType: portolan.NetVPC, VpcID: "vpc-1"}, portolan.NetworkUnavailable, portolan.NetworkUnavailable, portolan.NetworkUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, config)
			_, resolved := g.Resolve(t.Context(), tt.target)
			dialled := g.DialTCP(t.Context(), tt.target)
			_, shaken := g.Handshake(t.Context(), tt.target)
			for _, step := range []struct {
				name string
				err  error
				want portolan.ErrorClass
			}{{"Resolve", resolved, tt.resolve}, {"DialTCP", dialled, tt.dial}, {"Handshake", shaken, tt.tls}} {
				if step.want == "" {
					if step.err != nil {
						t.Errorf("%s: %v", step.name, step.err)
					}
					continue
				}
				wantClass(t, step.err, step.want)
			}
		})
	}
}

// TestGivingUp has a server that accepts and never shakes hands.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Read(make([]byte, 1))
		cancel()
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	target := netguard.Target{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port}
	_, err = newGuard(t, netguard.Config{Allow: loopback()}).Handshake(ctx, target)
	wantClass(t, err, portolan.TLSFailure)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not tell why", err)
	}
	_ = l.Close()
	<-done
}

func TestUsualPort(t *testing.T) {
	t.Parallel()
	var dialled string
	routes := func(int64, string) (netguard.DialFunc, bool) {
		return func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = address
			return nil, net.ErrClosed
		}, true
	}
	g := newGuard(t, netguard.Config{Routes: routes})
	for protocol, want := range map[int]string{0: "a.test:443", portolan.ProtocolHTTPS: "a.test:443", portolan.ProtocolHTTP: "a.test:80"} {
		err := g.DialTCP(t.Context(), netguard.Target{Host: "a.test", Protocol: protocol, NetType: portolan.NetVPC})
		wantClass(t, err, portolan.ConnectFailure)
		if dialled != want {
			t.Errorf("protocol %d dials %s, want %s", protocol, dialled, want)
		}
	}
}

func TestProbeInVPC(t *testing.T) {
	t.Parallel()
	routes := func(int64, string) (netguard.DialFunc, bool) {
		return func(context.Context, string, string) (net.Conn, error) {
			a, b := net.Pipe()
			return a, b.Close()
		}, true
	}
	g := newGuard(t, netguard.Config{Routes: routes})
	tests := map[string]struct {
		target netguard.Target
		want   []netip.Addr
		class  portolan.ErrorClass
	}{
		"name":     {netguard.Target{Host: "harbor.corp"}, nil, ""},
		"literal":  {netguard.Target{Host: "10.0.0.8"}, []netip.Addr{netip.MustParseAddr("10.0.0.8")}, ""},
		"pinned":   {netguard.Target{Host: "10.0.0.8", HostIP: "10.0.0.9"}, []netip.Addr{netip.MustParseAddr("10.0.0.9")}, ""},
		"loopback": {netguard.Target{Host: "127.0.0.1"}, nil, portolan.AddressForbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.target.NetType, tt.target.VpcID = portolan.NetVPC, "vpc-1"
			got, err := g.Resolve(t.Context(), tt.target)
			if !slices.Equal(got, tt.want) {
				t.Errorf("Resolve = %v, want %v", got, tt.want)
			}
			if tt.class != "" {
				wantClass(t, err, tt.class)
				wantClass(t, g.DialTCP(t.Context(), tt.target), tt.class)
				return
			}
			if err != nil {
				t.Error(err)
			}
			if err := g.DialTCP(t.Context(), tt.target); err != nil {
				t.Error(err)
			}
		})
	}
}
