package connectortest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
)

// Suite is the test of one source.
type Suite struct {
	// Open is the source under test.
	Open connector.Open
	// Serve makes a server that speaks the product's API, holds what the model
	// holds, and knows nobody but Credential.
	Serve func(t testing.TB, m *Model) http.Handler
	// PageSize is how many entries the served lists have on a page.
	PageSize int
	// Bulk lists by group where the source can.
	Bulk bool
	// Links is set if the source follows Link headers.
	Links bool
	// Accessories is set if the source lists accessories as rows.
	Accessories bool
	// User takes the place of Credential's name where names have a form of
	// their own.
	User string
}

// secret is what must not be found in any error.
const secret = "canary-4b1d-do-not-show"

// Credential is the one that a served registry accepts.
var Credential = portolan.Credential{UserName: "reader", Password: secret}

// host is where the served registry seems to be.
const host = "registry.example.com"

// Run runs all tests.
func (s Suite) Run(t *testing.T) {
	t.Run("Complete", s.testComplete)
	t.Run("Known", s.testKnown)
	t.Run("NullLists", s.testNullLists)
	t.Run("WrongPassword", s.testWrongPassword)
	t.Run("UnknownRepository", s.testUnknownRepository)
	t.Run("Resume", s.testResume)
	t.Run("Faults", s.testFaults)
	t.Run("Throttled", s.testThrottled)
	t.Run("LongWait", s.testLongWait)
	t.Run("Moving", s.testMoving)
	t.Run("Cancel", s.testCancel)
	t.Run("Stop", s.testStop)
	if s.Links {
		t.Run("ForeignLink", s.testForeignLink)
		t.Run("CircularLink", s.testCircularLink)
	}
}

// rig is a source in front of a model, with a wire that can be bent.
type rig struct {
	*testing.T
	suite     Suite
	model     *Model
	source    connector.Source
	transport *connector.Transport
	clock     *clock
	// bend, if set, answers a request instead of the server. n counts the
	// requests from 1.
	bend  func(n int, r *http.Request, next http.RoundTripper) (*http.Response, error)
	count counter
}

func (s Suite) newRig(t *testing.T, credential portolan.Credential) *rig {
	t.Helper()
	credential.UserName = s.user()
	rig := &rig{T: t, suite: s, model: s.newModel(), clock: &clock{now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}}
	server := Handler(s.Serve(t, rig.model))
	rig.transport = connector.NewTransport(connector.TransportConfig{
		Base: roundTrip(func(r *http.Request) (*http.Response, error) {
			n := rig.count.enter()
			defer rig.count.leave()
			if rig.bend != nil {
				return rig.bend(n, r, server)
			}
			return server.RoundTrip(r)
		}),
		Now: rig.clock.Now, Sleep: rig.clock.Sleep, Jitter: func(d time.Duration) time.Duration { return d },
	})
	src, err := s.Open(connector.Config{
		BaseURL: &url.URL{Scheme: "https", Host: host}, Credential: credential,
		Client: &http.Client{Transport: rig.transport, CheckRedirect: sameHost}, Now: rig.clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	rig.source = src
	return rig
}

func (s Suite) user() string {
	if s.User != "" {
		return s.User
	}
	return Credential.UserName
}

// sameHost follows redirects as the clients do that sources are given.
func sameHost(r *http.Request, via []*http.Request) error {
	if r.URL.Host != via[0].URL.Host || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// newModel makes a registry that needs several pages for its catalogue and
// for one of its repositories.
func (s Suite) newModel() *Model {
	m := &Model{}
	for i := range s.PageSize + 3 {
		m.Add(fmt.Sprintf("team/app-%03d", i), NewImage(fmt.Sprint("app ", i), "1.0", "latest"))
	}
	var many []Image
	for i := range s.PageSize + 2 {
		many = append(many, NewImage(fmt.Sprint("many ", i), fmt.Sprintf("v%d", i)))
	}
	m.Add("team/many", many...)
	m.Add("team/nested/deep/er/app", NewImage("nested", "1"), NewImage("app 0", "same-as-elsewhere"))
	m.Add("team/per%cent", NewImage("percent", "1"))
	m.Add("3/numeric", NewImage("numeric", "1"))
	m.Add("team/chart", NewChart("chart", "0.1.0"))
	if s.Accessories {
		signed := NewImage("signed", "1")
		m.Add("team/signed", signed, NewSignature(signed.Digest))
	}
	m.Add("team/empty")
	return m
}

func (r *rig) read(ctx context.Context) *reading {
	return read(ctx, r.source, newMemory(), r.suite.Bulk)
}

// mustBe fails unless the reading is without errors and found the model.
func (r *rig) mustBe(got *reading, want []string) {
	r.Helper()
	if err := got.err(); err != nil {
		r.Fatalf("reading failed: %v", err)
	}
	if diff := cmp.Diff(want, got.lines()); diff != "" {
		r.Fatalf("found something else (-want +got):\n%s", diff)
	}
	if got.listed != got.rows {
		r.Errorf("%d rows were listed, %d yielded", got.listed, got.rows)
	}
}

// mustNotLie fails if a reading without errors did not find the model, or if
// an error shows the secret or has no class.
func (r *rig) mustNotLie(what string, got *reading, want []string) {
	r.Helper()
	if len(got.errs) == 0 {
		if diff := cmp.Diff(want, got.lines()); diff != "" {
			r.Fatalf("%s: an incomplete reading without an error (-want +got):\n%s", what, diff)
		}
	}
	for _, err := range got.errs {
		r.mustBeClean(what, err)
	}
}

func (r *rig) mustBeClean(what string, err error) {
	r.Helper()
	known, ok := errors.AsType[*connector.Error](err)
	if _, throttled := errors.AsType[*connector.ThrottledError](err); !ok && !throttled {
		r.Fatalf("%s: error without a class: %v", what, err)
	}
	texts := []string{fmt.Sprintf("%v %+v %#v", err, err, err)}
	if ok {
		texts = append(texts, known.Remedy)
	}
	for ; err != nil; err = errors.Unwrap(err) {
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if strings.Contains(text, secret) {
			r.Fatalf("%s: the secret shows in %q", what, text)
		}
	}
}
