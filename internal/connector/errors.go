package connector

import (
	"errors"
	"fmt"
	"time"

	"portolan"
)

// ErrNotExist is wrapped by the error of a repository that the source does not
// know. It proves nothing by itself: some sources answer an empty list.
var ErrNotExist = errors.New("the registry does not know it")

// Error is a failure with a class. Message is for people: it says what was
// seen and what to do, and never holds a secret or a body of the registry.
type Error struct {
	Class   portolan.ErrorClass
	Message string
	// Remedy says what to do, "" when the message says it all.
	Remedy string
	// Err is the cause, for errors.Is; it is logged, not shown.
	Err error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a class. A %w in the format keeps the cause.
func Errorf(class portolan.ErrorClass, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Class: class, Message: err.Error(), Err: errors.Unwrap(err)}
}

// WithRemedy adds what to do.
func (e *Error) WithRemedy(format string, args ...any) *Error {
	e.Remedy = fmt.Sprintf(format, args...)
	return e
}

// ClassOf answers the class of an error, ServerFailure for one without.
// ClockSkew comes from sources that sign their requests, for signatures alone
// carry a time of ours. Where a clock that differs shows in certificates, the
// failure is TLSFailure and its remedy names it.
func ClassOf(err error) portolan.ErrorClass {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	if e, ok := errors.AsType[classified](err); ok {
		return e.ErrorClass()
	}
	return portolan.ServerFailure
}

// ThrottledError says that the registry asked to wait longer than the caller's
// deadline allows. It is no failure: the reading goes on after that time.
type ThrottledError struct {
	Wait time.Duration
	// Paced tells that it is Portolan that keeps to a pace.
	Paced bool
}

func (t *ThrottledError) Error() string {
	if t.Paced {
		return fmt.Sprintf("the pace at which the registry is asked allows the next request in %s", t.Wait.Round(time.Second))
	}
	return fmt.Sprintf("the registry asks to wait %s", t.Wait.Round(time.Second))
}
