package netguard

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"syscall"
	"time"

	"portolan"
)

// dial connects to a host, through the route into its VPC or the outgoing
// proxy if it is reached by one. For plain HTTP by a proxy the connection is
// to the proxy, which is asked for whole URLs.
func (d *dialer) dial(ctx context.Context, scheme, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unreachable(address, err)
	}
	if d.target.NetType == portolan.NetVPC {
		return d.dialRoute(ctx, host, port)
	}
	addrs, err := d.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	proxy, err := d.guard.proxyFor(scheme, address)
	switch {
	case err != nil:
		return nil, err
	case proxy == nil:
		return d.guard.dialFirst(ctx, host, port, addrs)
	case d.isPinned(host):
		return d.guard.tunnel(ctx, proxy, net.JoinHostPort(addrs[0].String(), port))
	case scheme == "http":
		return d.guard.dialProxy(ctx, proxy)
	}
	return d.guard.tunnel(ctx, proxy, address)
}

// dialRoute connects through the route into the target's VPC. Names are
// resolved and judged at its other end.
func (d *dialer) dialRoute(ctx context.Context, host, port string) (net.Conn, error) {
	route, ok := d.guard.routes(d.target.Owner, d.target.VpcID)
	if !ok {
		return nil, noRoute(d.target.VpcID)
	}
	if d.isPinned(host) {
		host = d.pinned.String()
	}
	if err := d.guard.checkLiteral(host, true); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, routeTimeout)
	defer cancel()
	conn, err := route(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, unreachable(net.JoinHostPort(host, port), err)
	}
	return conn, nil
}

// Dial connects to "host:port" by the rules, and by no proxy: what is done at
// the far end of a route. Its error is an *Error.
func (g *Guard) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unreachable(address, err)
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	return g.dialFirst(ctx, host, port, addrs)
}

// addresses answers what may be dialled for a host: its pinned address, the
// literal it is, or what its name resolves to. It is never empty.
func (d *dialer) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if d.isPinned(host) {
		return d.guard.permitted(host, []netip.Addr{d.pinned})
	}
	return d.guard.resolve(ctx, host)
}

func (g *Guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, ok := parseLiteral(host); ok {
		return g.permitted(host, []netip.Addr{addr})
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addrs, err := g.lookup(ctx, host)
	if err != nil {
		return nil, lookupFailure(host, err)
	}
	return g.permitted(host, addrs)
}

// permitted leaves out the addresses that may not be dialled; if none is left
// it says why.
func (g *Guard) permitted(host string, addrs []netip.Addr) ([]netip.Addr, error) {
	var (
		open    []netip.Addr
		refused *Error
	)
	for _, addr := range addrs {
		if k := g.judge(addr); k == "" {
			open = append(open, addr.Unmap())
		} else {
			refused = cmp.Or(refused, g.forbidden(host, addr, k))
		}
	}
	switch {
	case len(open) > 0:
		return open[:min(len(open), maxAddresses)], nil
	case refused != nil:
		return nil, refused
	}
	return nil, lookupFailure(host, nil)
}

// dialFirst tries addresses in order, each with a fair share of the time, and
// answers the first connection or the first failure.
func (g *Guard) dialFirst(ctx context.Context, host, port string, addrs []netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	var first error
	for i, addr := range addrs {
		share := time.Until(deadline) / time.Duration(len(addrs)-i)
		dialer := net.Dialer{Timeout: max(share, time.Millisecond), ControlContext: g.control(host)} //nolint:forbidigo // the one place that dials
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(addr.String(), port))           //nolint:forbidigo // the one place that dials
		if err == nil {
			return conn, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, unreachable(net.JoinHostPort(host, port), first)
}

// control judges the address of a socket that is about to connect: the last
// look, whatever led here.
func (g *Guard) control(host string) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		dialled, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if k := g.judge(dialled.Addr()); k != "" {
			return g.forbidden(host, dialled.Addr(), k)
		}
		return nil
	}
}
