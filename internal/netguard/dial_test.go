package netguard_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

func TestAddressRuleAtDial(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	port := port(t, server.URL)
	tests := map[string]struct {
		allow []netip.Prefix
		url   string
		class portolan.ErrorClass
	}{
		"literal, closed":  {nil, server.URL, portolan.AddressForbidden},
		"name, closed":     {nil, "http://registry.test:" + port, portolan.AddressForbidden},
		"mapped, closed":   {nil, "http://[::ffff:127.0.0.1]:" + port, portolan.AddressForbidden},
		"other, closed":    {loopback(), "http://127.0.0.2:" + port, portolan.AddressForbidden},
		"metadata":         {[]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, "http://169.254.169.254/latest", portolan.AddressForbidden},
		"literal, allowed": {loopback(), server.URL, ""},
		"name, allowed":    {loopback(), "http://registry.test:" + port, ""},
		"mapped, allowed":  {loopback(), "http://[::ffff:127.0.0.1]:" + port, ""},
		"unknown name":     {loopback(), "http://missing.test:" + port, portolan.DNSFailure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, netguard.Config{Allow: tt.allow, Lookup: always("127.0.0.1")}, netguard.Target{Host: "registry.test"})
			_, err := get(t, client, tt.url)
			if tt.class == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantClass(t, err, tt.class)
		})
	}
}

func TestOnlyAllowedAddressesAreDialled(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	port := port(t, server.URL)
	hit := trap(t, "127.0.0.2:"+port)
	client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.2", "::1", "127.0.0.1")}, netguard.Target{})
	wantBody(t, client, "http://registry.test:"+port, "registry.test HTTP/1.1 -")
	if hit() {
		t.Error("a forbidden address was dialled")
	}
}

func TestAddressesAreTriedInOrder(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	port := port(t, server.URL)
	allow := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	t.Run("second answers", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, netguard.Config{Allow: allow, Lookup: always("127.0.0.3", "127.0.0.1")}, netguard.Target{})
		wantBody(t, client, "http://registry.test:"+port, "registry.test HTTP/1.1 -")
	})
	t.Run("none answers", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, netguard.Config{Allow: allow, Lookup: always("127.0.0.3", "127.0.0.4")}, netguard.Target{})
		_, err := get(t, client, "http://registry.test:"+port)
		failure := failureOf(t, err, portolan.ConnectFailure)
		if want := "Cannot reach registry.test:" + port + " from Portolan (connection refused)."; failure.Message != want {
			t.Errorf("message %q, want %q", failure.Message, want)
		}
	})
	t.Run("no address", func(t *testing.T) {
		t.Parallel()
		_, err := get(t, newClient(t, netguard.Config{Lookup: always()}, netguard.Target{}), "http://registry.test:"+port)
		wantClass(t, err, portolan.DNSFailure)
	})
}

// TestRebinding has a name that answers an allowed address first and a
// forbidden one from then on.
func TestRebinding(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	port := port(t, server.URL)
	hit := trap(t, "127.0.0.2:"+port)
	var asked atomic.Int32
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
	}
	client := newClient(t, netguard.Config{Allow: loopback(), Lookup: lookup}, netguard.Target{})
	wantBody(t, client, "http://registry.test:"+port, "registry.test HTTP/1.1 -")
	client.CloseIdleConnections()
	_, err := get(t, client, "http://registry.test:"+port)
	wantClass(t, err, portolan.AddressForbidden)
	if hit() {
		t.Error("the forbidden address was dialled")
	}
}

func TestLookupFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want string
	}{
		"not found": {&net.DNSError{Err: "no such host", IsNotFound: true}, "Cannot find host registry.test."},
		"timeout":   {&net.DNSError{Err: "i/o timeout", IsTimeout: true}, "Cannot look up host registry.test: the name server did not answer."},
		"other":     {errors.New("broken"), "Cannot look up host registry.test: the name server did not answer."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard(t, netguard.Config{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, tt.err }})
			_, err := g.Resolve(t.Context(), netguard.Target{Host: "registry.test"})
			if failure := failureOf(t, err, portolan.DNSFailure); failure.Message != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("failure %q (cause %v), want %q", failure.Message, failure.Err, tt.want)
			}
		})
	}
}

func TestPinnedAddress(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server := serveTLS(t, ca.issue(t, later(), "registry.test"), whoami)
	other := serve(t, whoami)
	var asked sync.Map
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		asked.Store(host, true)
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	target := netguard.Target{Host: "registry.test", HostIP: "127.0.0.1", CACertificate: ca.pem()}
	client := newClient(t, netguard.Config{Allow: loopback(), Lookup: lookup}, target)
	wantBody(t, client, "https://registry.test:"+port(t, server.URL), "registry.test HTTP/2.0 registry.test")
	if _, found := asked.Load("registry.test"); found {
		t.Error("the pinned host was looked up")
	}
	wantBody(t, client, "http://other.test:"+port(t, other.URL), "other.test HTTP/1.1 -")
	if _, found := asked.Load("other.test"); !found {
		t.Error("another host was not looked up")
	}

	target.HostIP = "127.0.0.2"
	_, err := get(t, newClient(t, netguard.Config{Allow: loopback(), Lookup: lookup}, target), "https://registry.test:"+port(t, server.URL))
	wantClass(t, err, portolan.AddressForbidden)
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	var dialled atomic.Value
	routes := func(owner int64, vpc string) (netguard.DialFunc, bool) {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled.Store(address)
			if strings.HasPrefix(address, "down.") {
				return nil, errors.New("agent is gone")
			}
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String()) //nolint:forbidigo // the agent's own dial
		}, owner == 1 && vpc == "vpc-1"
	}
	tests := map[string]struct {
		target  netguard.Target
		dialled string
		class   portolan.ErrorClass
	}{
		"name":     {netguard.Target{Host: "harbor.corp", VpcID: "vpc-1"}, "harbor.corp:80", ""},
		"private":  {netguard.Target{Host: "10.0.0.8", VpcID: "vpc-1"}, "10.0.0.8:80", ""},
		"pinned":   {netguard.Target{Host: "harbor.corp", HostIP: "10.0.0.9", VpcID: "vpc-1"}, "10.0.0.9:80", ""},
		"loopback": {netguard.Target{Host: "127.0.0.1", VpcID: "vpc-1"}, "", portolan.AddressForbidden},
		"metadata": {netguard.Target{Host: "harbor.corp", HostIP: "100.100.100.200", VpcID: "vpc-1"}, "", portolan.AddressForbidden},
		"foreign":  {netguard.Target{Host: "harbor.corp", Owner: 2, VpcID: "vpc-1"}, "", portolan.NetworkUnavailable},
		"unserved": {netguard.Target{Host: "harbor.corp", VpcID: "vpc-2"}, "", portolan.NetworkUnavailable},
		"down":     {netguard.Target{Host: "down.corp", VpcID: "vpc-1"}, "down.corp:80", portolan.ConnectFailure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dialled.Store("")
			tt.target.NetType = portolan.NetVPC
			if tt.target.Owner == 0 {
				tt.target.Owner = 1
			}
			client := newClient(t, netguard.Config{Routes: routes}, tt.target)
			_, err := get(t, client, "http://"+tt.target.Host)
			if tt.class != "" {
				wantClass(t, err, tt.class)
			} else if err != nil {
				t.Fatal(err)
			}
			if got := dialled.Load(); got != tt.dialled {
				t.Errorf("dialled %q, want %q", got, tt.dialled)
			}
		})
	}
	t.Run("no routes", func(t *testing.T) {
		client := newClient(t, netguard.Config{}, netguard.Target{NetType: portolan.NetVPC, VpcID: "vpc-1"})
		_, err := get(t, client, "http://harbor.corp")
		wantClass(t, err, portolan.NetworkUnavailable)
	})
}

// What is dialled at the far end of a route follows the same rules, and says
// in its own words how an address is opened.
func TestDial(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	g := newGuard(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1"), Permit: "Start the agent with --allow-dial"})
	conn, err := g.Dial(t.Context(), "tcp", "registry.test:"+port(t, server.URL))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	for address, class := range map[string]portolan.ErrorClass{
		"10.0.0.1:80": portolan.AddressForbidden, "missing.test:80": portolan.DNSFailure, "127.0.0.1:0": portolan.ConnectFailure, "nonsense": portolan.ConnectFailure,
	} {
		_, err := g.Dial(t.Context(), "tcp", address)
		failure := failureOf(t, err, class)
		if class == portolan.AddressForbidden && failure.Remedy != "Start the agent with --allow-dial 10.0.0.1/32." {
			t.Errorf("remedy %q", failure.Remedy)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, netguard.Target{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := get(t, client, "http://registry.test:"+port(t, server.URL)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
