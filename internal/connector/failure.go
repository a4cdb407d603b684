package connector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"

	"portolan"
)

// classified is an error that knows its class, as those of the guard that
// dials. Its text is meant for people.
type classified interface {
	error
	ErrorClass() portolan.ErrorClass
}

// failure says why no answer came. What already has a class keeps it; the
// context's own end and a wait are passed on as they are.
func failure(u *url.URL, err error) error {
	// A url.Error repeats the address, which may hold what is nobody's business.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	if throttled, ok := errors.AsType[*ThrottledError](err); ok {
		return throttled
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if known, ok := errors.AsType[classified](err); ok {
		return because(err, known.ErrorClass(), "%s", known.Error())
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	host := u.Host
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return because(dns, portolan.DNSFailure, "Cannot find host %s.", u.Hostname()).WithRemedy("Check the domain name.")
	}
	if why := tlsProblem(err); why != "" {
		return because(err, portolan.TLSFailure, "TLS: %s: %s.", host, why).
			WithRemedy("Upload the CA certificate, correct the name, or choose protocol HTTP.")
	}
	return because(err, portolan.ConnectFailure, "Cannot reach %s from Portolan (%s).", host, reason(err)).
		WithRemedy("Check address, port and firewall.")
}

// tlsProblem names what is wrong with the other side's TLS, "" if nothing is.
func tlsProblem(err error) string {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return "plain HTTP was answered"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "the certificate is for another name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the certificate is signed by an unknown authority"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return "the certificate has expired or is not yet valid"
		}
		return "the certificate is not valid"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "something other than TLS was answered"
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return "the handshake was refused"
	}
	return ""
}

// reason is a short word for a failed connection.
func reason(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return "connection refused or no route"
	}
	return "the connection was cut off"
}
