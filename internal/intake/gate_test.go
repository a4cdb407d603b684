package intake

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portolan"
)

// post is a gate whose clock is moved by hand and whose log is kept.
type post struct {
	*Gate
	at  time.Time
	log bytes.Buffer
}

func newPost() *post {
	p := &post{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	p.Gate = NewGate(GateConfig{
		Client: func(r *http.Request) (netip.Addr, bool) {
			ap, _ := netip.ParseAddrPort(r.RemoteAddr)
			return ap.Addr(), false
		},
		Log: slog.New(slog.NewTextHandler(&p.log, nil)),
		Now: func() time.Time { return p.at },
	})
	return p
}

// from is a request from an address to registry 7, and what the gate makes of it
// when check answers an error.
func (p *post) from(t *testing.T, from string, err error) error {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports/7", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 1234).String()
	x := p.begin(httptest.NewRecorder(), r)
	if x.client.String() != from {
		t.Errorf("the client is %s, want %s", x.client, from)
	}
	return p.admit(x, 7, func() error { return err })
}

var errWrong = fmt.Errorf("wrong token: %w", portolan.ErrNoPermission)

// refuse has requests from an address refused.
func (p *post) refuse(t *testing.T, from string, n int) {
	t.Helper()
	for range n {
		if err := p.from(t, from, errWrong); err == nil {
			t.Error("not refused")
		}
	}
}

func TestGate(t *testing.T) {
	t.Parallel()
	p := newPost()
	broken := errors.New("the disk is full")
	if err := p.from(t, "192.0.2.1", broken); !errors.Is(err, broken) { // no refusal
		t.Error(err)
	}
	p.refuse(t, "192.0.2.1", refusalBurst-1)
	if err := p.from(t, "192.0.2.1", errWrong); !errors.Is(err, portolan.ErrNoPermission) {
		t.Errorf("refusal %d: %v", refusalBurst, err)
	}
	e, ok := errors.AsType[*portolan.Error](p.from(t, "192.0.2.1", errWrong))
	if !ok || e.Code != "Throttling" || e.Status != http.StatusTooManyRequests || e.RetryAfter != 1000 {
		t.Errorf("after %d refusals: %+v", refusalBurst, e)
	}
	if err := p.from(t, "192.0.2.1", nil); err != nil {
		t.Errorf("with the secret, from the same address: %v", err)
	}
	if err := p.from(t, "192.0.2.2", errWrong); !errors.Is(err, portolan.ErrNoPermission) {
		t.Errorf("another address: %v", err)
	}
	p.at = p.at.Add(time.Second)
	if err := p.from(t, "192.0.2.1", errWrong); !errors.Is(err, portolan.ErrNoPermission) {
		t.Errorf("a second later: %v", err)
	}
	// An IPv6 network is one source.
	p.refuse(t, "2001:db8::1", refusalBurst)
	if err := p.from(t, "2001:db8::2", errWrong); errors.Is(err, portolan.ErrNoPermission) {
		t.Error("a neighbour in the same network may guess on")
	}
	if err := p.from(t, "2001:db8:0:1::1", errWrong); !errors.Is(err, portolan.ErrNoPermission) {
		t.Errorf("another network: %v", err)
	}
}

// A source that was refused too often is looked at one request at a time.
func TestGateSerialises(t *testing.T) {
	t.Parallel()
	p := newPost()
	key := netip.MustParseAddr("192.0.2.1")
	look := func() bool {
		spent, free := p.enter(key)
		if free {
			t.Cleanup(func() { p.leave(spent) })
		}
		return free
	}
	for range 2 {
		if !look() {
			t.Fatal("a new source is not looked at")
		}
	}
	p.refuse(t, "192.0.2.1", refusalBurst)
	spent, free := p.enter(key)
	if !free || spent == nil || look() {
		t.Fatal("two requests are looked at")
	}
	if err := p.from(t, "192.0.2.1", nil); !errors.Is(err, errTooOften) {
		t.Errorf("meanwhile: %v", err)
	}
	p.leave(spent)
	if !look() {
		t.Error("the next is not looked at")
	}
}

// The log has the first refusal of a source at once, and the number of the
// others once a minute.
func TestGateLog(t *testing.T) {
	t.Parallel()
	p := newPost()
	p.refuse(t, "192.0.2.1", 5)
	if n := strings.Count(p.log.String(), "\n"); n != 1 || !strings.Contains(p.log.String(), "requests=1 reason=\"wrong token") {
		t.Errorf("log:\n%s", p.log.String())
	}
	p.at = p.at.Add(logEvery)
	p.refuse(t, "192.0.2.1", 1)
	if n := strings.Count(p.log.String(), "\n"); n != 2 || !strings.Contains(p.log.String(), "requests=5 ") {
		t.Errorf("log:\n%s", p.log.String())
	}
}

// However many sources there are, few are remembered.
func TestGateForgets(t *testing.T) {
	t.Parallel()
	p := newPost()
	for n := range maxSources + 10 {
		p.count(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
	}
	if n := len(p.sources); n > maxSources {
		t.Errorf("%d sources are remembered", n)
	}
	p.at = p.at.Add(time.Hour)
	p.refuse(t, "192.0.2.1", refusalBurst)
	for n := range maxSources {
		p.count(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}))
	}
	if len(p.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(p.sources))
	}
}
