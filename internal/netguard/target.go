package netguard

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"portolan"
)

// Target is what a client is made for. Connections to hosts other than Host
// (token realms, redirects) follow the same rules, but neither the pinned
// address nor the pinned certificate is used for them.
type Target struct {
	// Host is a domain name or an address, as NormalizeDomain answers it.
	Host string
	// Port and Protocol (portolan.ProtocolHTTP, else HTTPS) are what the steps
	// of a test connect to; a client takes both from the URL of its request.
	Port     int
	Protocol int
	// HostIP is the address to dial for Host, "" to resolve it. Host stays the
	// name in requests and in TLS.
	HostIP string
	// NetType is portolan.NetVPC for a host that is reached through the route
	// into VpcID; everything is then dialled through it. VPCs of different
	// owners are different ones, whatever they are called.
	NetType int
	Owner   int64
	VpcID   string
	// CACertificate is PEM text of authorities trusted beside those of the
	// server; for Host alone if CAForHostOnly is set, because all other hosts
	// that its client asks are public ones.
	CACertificate string
	CAForHostOnly bool
	// CertificateSHA256 is the hash of Host's own certificate in hex, with or
	// without colons. It is required instead of a trusted chain and the name.
	CertificateSHA256 string
}

func (t Target) scheme() string {
	if t.Protocol == portolan.ProtocolHTTP {
		return "http"
	}
	return "https"
}

// dialer makes the connections of one target.
type dialer struct {
	guard  *Guard
	target Target
	pinned netip.Addr     // the zero Addr to resolve
	roots  *x509.CertPool // nil for those of the system
	leaf   []byte         // SHA-256 of the pinned certificate, nil for none
}

func (g *Guard) dialer(t Target) (*dialer, error) {
	d := &dialer{guard: g, target: t, roots: g.roots}
	if t.HostIP != "" {
		addr, ok := parseLiteral(t.HostIP)
		if !ok {
			return nil, fmt.Errorf("host address %q is not an IP address", t.HostIP)
		}
		d.pinned = addr
	}
	var err error
	if t.CACertificate != "" {
		if d.roots, err = g.rootsWith(t.CACertificate); err != nil {
			return nil, err
		}
	}
	d.leaf, err = parseFingerprint(t.CertificateSHA256)
	return d, err
}

// rootsWith are the trusted authorities and one more.
func (g *Guard) rootsWith(pem string) (roots *x509.CertPool, err error) {
	if g.roots != nil {
		roots = g.roots.Clone()
	} else if roots, err = x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("load the system's certificate authorities: %w", err)
	}
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		return nil, errNoCertificate
	}
	return roots, nil
}

// isTarget reports whether host is the target's own.
func (d *dialer) isTarget(host string) bool {
	return strings.EqualFold(strings.TrimSuffix(host, "."), strings.TrimSuffix(d.target.Host, "."))
}

func (d *dialer) isPinned(host string) bool { return d.pinned.IsValid() && d.isTarget(host) }

// tlsConfig is how a host must prove itself.
func (d *dialer) tlsConfig(host string) *tls.Config {
	c := &tls.Config{
		ServerName: host,
		RootCAs:    d.roots,
		NextProtos: []string{"h2", "http/1.1"},
		MinVersion: tls.VersionTLS12,
	}
	if d.target.CAForHostOnly && !d.isTarget(host) {
		c.RootCAs = d.guard.roots
	}
	if d.leaf != nil && d.isTarget(host) {
		c.InsecureSkipVerify = true // chain and name are replaced by the pinned certificate
		c.VerifyConnection = verifyLeaf(d.leaf)
	}
	return c
}

// CheckLiteral refuses a target whose Host or HostIP is a literal address that
// may not be dialled, or a number that some resolvers take for one. It looks
// nothing up. Its error is an *Error of class AddressForbidden. In a VPC,
// private addresses are at home.
func (g *Guard) CheckLiteral(t Target) error {
	for _, host := range []string{t.Host, t.HostIP} {
		if err := g.checkLiteral(host, t.NetType == portolan.NetVPC); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guard) checkLiteral(host string, vpc bool) error {
	addr, ok := parseLiteral(host)
	if !ok {
		if endsInNumber(host) {
			return notAHost(host)
		}
		return nil
	}
	k := g.judge(addr)
	if k == "" || vpc && k == kindPrivate {
		return nil
	}
	return g.forbidden(host, addr, k)
}

// errNoCertificate says that PEM text cannot be used.
var errNoCertificate = errors.New("caCertificate holds no certificate: want PEM text that starts with -----BEGIN CERTIFICATE-----")
