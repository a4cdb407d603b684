package netguard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"strings"
)

var (
	errFingerprint = errors.New("certificateSha256 is not the SHA-256 of a certificate: want 64 hex digits")
	errNotPinned   = errors.New("the certificate is not the pinned one")
)

// parseFingerprint reads 64 hex digits, colons ignored; nil for "".
func parseFingerprint(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		return nil, errFingerprint
	}
	return sum, nil
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// verifyLeaf accepts exactly the certificate with this SHA-256.
func verifyLeaf(want []byte) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errNotPinned
		}
		got := sha256.Sum256(state.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(got[:], want) != 1 {
			return errNotPinned
		}
		return nil
	}
}

// handshake makes a TLS connection of conn, or closes it.
func handshake(ctx context.Context, conn net.Conn, c *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	secure := tls.Client(conn, c)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, tlsFailure(c.ServerName, err)
	}
	return secure, nil
}
