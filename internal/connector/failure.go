package connector

import (
	"context"
	"errors"
	"net"
	"net/url"

	"portolan"
)

// classified is an error that knows its class, as those of the guard that
// dials: it alone tells apart what can go wrong with names, addresses and TLS.
// Its text is meant for people.
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
	return because(err, portolan.ConnectFailure, "Cannot reach %s from Portolan (%s).", u.Host, reason(err)).
		WithRemedy("Check address, port and firewall.")
}

// reason is a short word for a connection that failed within an answer.
func reason(err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "no answer in time"
	}
	return "the connection was cut off"
}
