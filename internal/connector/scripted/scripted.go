// Package scripted is what fake registries have in common: they remember what
// they were asked, let a test act before a request is answered, and fail the
// requests that it picks. It must not know what any product answers.
package scripted

import (
	"net/http"
	"slices"
	"sync"
)

// Request is a request that a fake got.
type Request struct {
	Method, Host string
	Path         string // escaped, as sent
	Query        string
	User         string // of Basic, "" without
	Header       http.Header
}

// Fault is what a request gets instead of an answer.
type Fault struct {
	// Status, Header and Body are answered, unless Hang or Close is set.
	Status int
	Header http.Header
	Body   string
	// Hang answers nothing until the caller gives up.
	Hang bool
	// Close closes the connection without an answer.
	Close bool
}

// Break hangs or closes the connection, and reports whether it did either.
func (f *Fault) Break(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Close:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	default:
		return false
	}
	return true
}

// Script is the part of a fake that a test writes. It may be used at once; the
// zero value has no faults.
type Script struct {
	mu     sync.Mutex
	log    []Request
	faults map[int]Fault
	before func(n int, r *http.Request)
}

// Before sets a function that is called before request n, counted from 1, is
// answered. It may change what the fake holds.
func (s *Script) Before(f func(n int, r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// Inject makes request n, counted from 1, fail.
func (s *Script) Inject(n int, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faults == nil {
		s.faults = map[int]Fault{}
	}
	s.faults[n] = f
}

// Requests answers all requests so far, in the order in which they came.
func (s *Script) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// Reset forgets the requests and faults; the next request is number 1 again.
func (s *Script) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log, s.faults = nil, nil
}

// Note is for the fake, before it answers: it remembers the request and tells
// the test of it, and answers its number and its fault, nil for none.
func (s *Script) Note(r *http.Request) (n int, fault *Fault) {
	n, fault, before := s.note(r)
	if before != nil {
		before(n, r)
	}
	return n, fault
}

func (s *Script) note(r *http.Request) (n int, fault *Fault, before func(int, *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, _, _ := r.BasicAuth()
	s.log = append(s.log, Request{
		Method: r.Method, Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, User: user, Header: r.Header.Clone(),
	})
	n = len(s.log)
	if f, ok := s.faults[n]; ok {
		fault = &f
	}
	return n, fault, s.before
}
