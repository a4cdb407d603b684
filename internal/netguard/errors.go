package netguard

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"portolan"
)

// Error says why a connection or an exchange failed, for people: what was
// seen, and what to do. Its texts hold no path, query or credential.
type Error struct {
	// Class is DNSFailure, AddressForbidden, NetworkUnavailable,
	// ConnectFailure, TLSFailure, or ServerFailure for a redirect that is
	// refused.
	Class   portolan.ErrorClass
	Message string
	Remedy  string
	// Err is the cause, for errors.Is and the log; nil if there is none.
	Err error
}

// Error is the message and the remedy, as a field with room for one text shows
// them.
func (e *Error) Error() string { return strings.TrimSpace(e.Message + " " + e.Remedy) }

func (e *Error) Unwrap() error { return e.Err }

// ErrorClass answers Class, for those who do not import this package.
func (e *Error) ErrorClass() portolan.ErrorClass { return e.Class }

// Classify finds the failure of the network in an error of http.Client.Do, of
// reading a body or of this package. It answers false for the end of a context
// and for errors of other origin.
func Classify(err error) (*Error, bool) {
	if known, ok := errors.AsType[*Error](err); ok {
		return known, true
	}
	host := "the registry"
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
		if u, err := url.Parse(outer.URL); err == nil && u.Host != "" {
			host = u.Host
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, false
	}
	_, network := errors.AsType[net.Error](err)
	_, system := errors.AsType[syscall.Errno](err)
	if network || system || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isTLS(err) {
		return explain(host, err), true
	}
	return nil, false
}

// explain classifies any error of an exchange with a host.
func explain(host string, err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return lookupFailure(hostOf(host), err)
	}
	if isTLS(err) {
		return tlsFailure(hostOf(host), err)
	}
	return unreachable(host, err)
}

func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

func lookupFailure(host string, err error) *Error {
	e := &Error{Class: portolan.DNSFailure, Message: "Cannot find host " + host + ".", Remedy: "Check the domain name.", Err: err}
	if dns, ok := errors.AsType[*net.DNSError](err); err != nil && (!ok || !dns.IsNotFound) {
		e.Message = "Cannot look up host " + host + ": the name server did not answer."
		e.Remedy = "Check the domain name and the name server that Portolan uses."
	}
	return e
}

func (g *Guard) forbidden(host string, addr netip.Addr, k kind) *Error {
	addr = plainAddr(addr)
	what := host + " has the address " + addr.String() + ", which"
	if literal, ok := parseLiteral(host); ok && plainAddr(literal) == addr {
		what = addr.String()
	}
	e := &Error{
		Class:   portolan.AddressForbidden,
		Message: fmt.Sprintf("Portolan may not connect there: %s is %s.", what, k),
		Remedy:  fmt.Sprintf("%s %s.", g.permit, netip.PrefixFrom(addr, addr.BitLen())),
	}
	if k == kindMetadata {
		e.Remedy = "Enter the address of the registry itself."
	}
	return e
}

func notAHost(host string) *Error {
	return &Error{
		Class:   portolan.AddressForbidden,
		Message: fmt.Sprintf("Portolan may not connect there: %q is neither a domain name nor an address.", host),
		Remedy:  "Write an IPv4 address as four decimal numbers.",
	}
}

func noRoute(vpcID string) *Error {
	return &Error{
		Class:   portolan.NetworkUnavailable,
		Message: fmt.Sprintf("No worker or agent serves the VPC %q.", vpcID),
		Remedy:  "Start an agent in it (portolan agent enroll), or choose NetType 1 if the registry has a public address.",
	}
}

// proxyFailure hides which proxy it was: that is the operator's business, and
// in Err for the log.
func proxyFailure(err error) *Error {
	return &Error{
		Class:   portolan.NetworkUnavailable,
		Message: "Cannot use the outgoing proxy of this server.",
		Remedy:  "Have the operator check its address, credentials and --allow-dial.",
		Err:     err,
	}
}

func tunnelRefused(address string, status int) *Error {
	return &Error{
		Class:   portolan.ConnectFailure,
		Message: fmt.Sprintf("Cannot reach %s from Portolan (the outgoing proxy answered %d).", address, status),
		Remedy:  "Check address and port, or have the operator open them in the proxy.",
	}
}

func redirectRefused(host, what string) *Error {
	return &Error{
		Class:   portolan.ServerFailure,
		Message: host + " redirects " + what + ".",
		Remedy:  "Enter the address that the registry itself is reached at.",
	}
}

// unreachable is a failure to connect or to get an answer. A known failure
// keeps its class.
func unreachable(address string, err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	return &Error{
		Class:   portolan.ConnectFailure,
		Message: fmt.Sprintf("Cannot reach %s from Portolan (%s).", address, reason(err)),
		Remedy:  "Check address, port, firewall and access lists.",
		Err:     err,
	}
}

// reason is a few words for a cause. Errors of other kinds may quote the
// answer, and are not shown.
func reason(err error) string {
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return "no answer in time"
	}
	for _, known := range []struct {
		err  error
		text string
	}{
		{syscall.ECONNREFUSED, "connection refused"},
		{syscall.ECONNRESET, "connection reset"},
		{syscall.EPIPE, "connection reset"},
		{syscall.EHOSTUNREACH, "no route to the host"},
		{syscall.ENETUNREACH, "no route to the network"},
		{io.EOF, "connection closed without an answer"},
		{io.ErrUnexpectedEOF, "connection closed within an answer"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "no usable HTTP answer"
}

// isTLS reports whether a failure is one of TLS, wherever it appears.
func isTLS(err error) bool {
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, chain := errors.AsType[*tls.CertificateVerificationError](err)
	return record || alert || chain || errors.Is(err, http.ErrSchemeMismatch) || errors.Is(err, errNotPinned)
}

// tlsFailure is any failure of a handshake.
func tlsFailure(host string, err error) *Error {
	detail, remedy := tlsDetail(host, err)
	return &Error{Class: portolan.TLSFailure, Message: "TLS: " + detail + ".", Remedy: remedy, Err: err}
}

func tlsDetail(host string, err error) (detail, remedy string) {
	record, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, errNotPinned):
		return host + " shows another certificate than the pinned one", "If it was renewed, set certificateSha256 to its SHA-256, else find out who answers."
	case errors.Is(err, http.ErrSchemeMismatch), isRecord && string(record.RecordHeader[:]) == "HTTP/":
		return host + " answered plain HTTP to HTTPS", "Choose protocol HTTP, or the port that speaks HTTPS."
	case isRecord:
		return host + " does not speak TLS on this port", "Check the port and the protocol."
	}
	if chain, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateDetail(host, chain)
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return host + " did not finish the handshake in time", "Check the port and the protocol."
	}
	return host + " broke off the handshake", "Check the port, and that the registry speaks TLS 1.2 or later."
}

// certificateDetail says what is wrong with a certificate.
func certificateDetail(host string, failed *tls.CertificateVerificationError) (detail, remedy string) {
	leaf := failed.UnverifiedCertificates[0]
	if wrong, ok := errors.AsType[x509.HostnameError](failed); ok {
		return fmt.Sprintf("the certificate is for %s, not for %s", names(wrong.Certificate), host),
			"Use the name that the certificate has, or have one issued for this name."
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](failed); ok {
		if invalid.Reason == x509.Expired {
			return fmt.Sprintf("a certificate of %s is valid only from %s to %s", host,
					invalid.Cert.NotBefore.UTC().Format("2006-01-02"), invalid.Cert.NotAfter.UTC().Format("2006-01-02")),
				"Renew the certificate, or correct the clock of this server."
		}
		return "the certificate of " + host + " is not valid for a server", "Have another one issued."
	}
	if _, ok := errors.AsType[x509.SystemRootsError](failed); ok {
		return "this server cannot read its own certificate authorities, so that the certificate of " + host + " cannot be verified",
			"See to the authorities of the system on which Portolan runs (SSL_CERT_FILE, SSL_CERT_DIR)."
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](failed); ok {
		return "the certificate of " + host + " is signed by an unknown authority",
			"Set caCertificate to the authority's certificate, or certificateSha256 to that of the server's own (it shows " + fingerprint(leaf) + ")."
	}
	return "the certificate of " + host + " cannot be verified", "Upload the CA, or have another certificate issued."
}

// names are the first names of a certificate.
func names(c *x509.Certificate) string {
	const most = 3
	list := c.DNSNames
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	switch {
	case len(list) == 0:
		return "no host"
	case len(list) > most:
		return strings.Join(list[:most], ", ") + " and others"
	}
	return strings.Join(list, ", ")
}
