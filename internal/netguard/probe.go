package netguard

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"
	"time"

	"portolan"
)

// Session is what a TLS handshake found.
type Session struct {
	Version  string // such as "TLS 1.3"
	Subject  string
	Issuer   string
	NotAfter time.Time
	// CertificateSHA256 is the hash of the server's certificate in hex.
	CertificateSHA256 string
}

// Resolve answers the addresses that would be dialled for a target: the
// address step of a test. In a VPC a name is resolved at the other end: the
// answer is then empty unless there is a literal address.
func (g *Guard) Resolve(ctx context.Context, t Target) ([]netip.Addr, error) {
	d, err := g.dialer(t)
	if err != nil {
		return nil, err
	}
	if t.NetType != portolan.NetVPC {
		return d.addresses(ctx, t.Host)
	}
	if _, ok := g.routes(t.Owner, t.VpcID); !ok {
		return nil, noRoute(t.VpcID)
	}
	if err := g.CheckLiteral(t); err != nil {
		return nil, err
	}
	for _, host := range []string{t.HostIP, t.Host} {
		if addr, ok := parseLiteral(host); ok {
			return []netip.Addr{addr}, nil
		}
	}
	return nil, nil
}

// DialTCP connects to a target and hangs up: the tcp step of a test. By a
// proxy it goes as far as the proxy lets it.
func (g *Guard) DialTCP(ctx context.Context, t Target) error {
	d, err := g.dialer(t)
	if err != nil {
		return err
	}
	conn, err := d.dial(ctx, t.scheme(), t.address())
	if err != nil {
		return err
	}
	return conn.Close()
}

// Handshake connects to a target, verifies its certificate and hangs up: the
// tls step of a test.
func (g *Guard) Handshake(ctx context.Context, t Target) (Session, error) {
	d, err := g.dialer(t)
	if err != nil {
		return Session{}, err
	}
	conn, err := d.dial(ctx, "https", t.address())
	if err != nil {
		return Session{}, err
	}
	secure, err := handshake(ctx, conn, d.tlsConfig(t.Host))
	if err != nil {
		return Session{}, err
	}
	defer func() { _ = secure.Close() }()
	state := secure.ConnectionState()
	leaf := state.PeerCertificates[0]
	return Session{
		Version:           tls.VersionName(state.Version),
		Subject:           leaf.Subject.String(),
		Issuer:            leaf.Issuer.String(),
		NotAfter:          leaf.NotAfter,
		CertificateSHA256: fingerprint(leaf),
	}, nil
}

// address is host and port, the protocol's own port if there is none.
func (t Target) address() string {
	port := t.Port
	if port == 0 {
		port = portolan.DefaultPort(t.Protocol)
	}
	return net.JoinHostPort(t.Host, strconv.Itoa(port))
}
