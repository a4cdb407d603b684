// Package netguard makes every outgoing connection. It knows which addresses
// may be dialled, pinned addresses and certificates, private authorities,
// outgoing proxies and routes into a VPC; it says in plain words why a
// connection could not be made.
//
// It must not know registries, the store, accounts or credentials.
//
// An address is judged after resolution, on the very address that is dialled,
// so that a name that changes its mind gains nothing.
package netguard

import (
	"cmp"
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/net/http/httpproxy"
)

// Limits of one connection.
const (
	lookupTimeout  = 5 * time.Second
	connectTimeout = 5 * time.Second
	// routeTimeout has the time for both at the other end of a route, and for
	// its answer.
	routeTimeout   = lookupTimeout + connectTimeout + time.Second
	tunnelTimeout  = 10 * time.Second
	tlsTimeout     = 10 * time.Second
	headerTimeout  = 30 * time.Second
	maxAddresses   = 8
	maxHeaderBytes = 64 << 10
	maxRedirects   = 5
)

// LookupFunc answers the addresses of a name, in the order to try them.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// DialFunc connects to "host:port", as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Config is the policy of a server. Its zero value dials public addresses
// only, without a proxy.
type Config struct {
	// Allow opens prefixes that are closed by default (--allow-dial). The
	// address of a metadata service is opened only by a prefix of its own
	// (/32 or /128): a wide one that was meant for something else does not.
	Allow []netip.Prefix
	// Proxy has the outgoing proxies, as httpproxy.FromEnvironment reads
	// them; nil for none. Their schemes are http and https.
	Proxy *httpproxy.Config
	// Roots are the trusted authorities, those of the system if nil.
	Roots *x509.CertPool
	// Lookup resolves names, by the system's resolver if nil.
	Lookup LookupFunc
	// Routes answers the way into a VPC of an owner, false if nothing serves
	// it. Nil serves none. What a route dials is judged where it ends; here
	// only literal addresses are.
	Routes func(owner int64, vpcID string) (DialFunc, bool)
	// Permit is how a message says that an address can be opened, as it comes
	// before a prefix; "" for the words of a server.
	Permit string
}

// Guard makes connections by a policy. It does not change, and may be used by
// any number of goroutines.
type Guard struct {
	allow     []netip.Prefix
	proxy     func(*url.URL) (*url.URL, error)
	httpProxy *url.URL       // the one for plain HTTP, nil for none
	roots     *x509.CertPool // nil for those of the system, read with the first connection that needs them
	lookup    LookupFunc
	routes    func(owner int64, vpcID string) (DialFunc, bool)
	permit    string
}

// New makes a Guard, and refuses a policy that it could not keep.
func New(c Config) (*Guard, error) {
	g := &Guard{
		roots: c.Roots, lookup: c.Lookup, routes: c.Routes,
		permit: cmp.Or(c.Permit, "Use a public address, or have the operator allow it with --allow-dial"),
	}
	for _, p := range c.Allow {
		plain, err := plainPrefix(p)
		if err != nil {
			return nil, err
		}
		g.allow = append(g.allow, plain)
	}
	if err := g.useProxy(c.Proxy); err != nil {
		return nil, err
	}
	if g.lookup == nil {
		g.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if g.routes == nil {
		g.routes = func(int64, string) (DialFunc, bool) { return nil, false }
	}
	return g, nil
}
