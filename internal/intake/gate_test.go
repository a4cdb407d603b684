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

// enter is a request from an address.
func (p *post) enter(t *testing.T, from string) error {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/reports/1", nil)
	r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(from), 1234).String()
	got, err := p.Enter(r)
	if got.String() != from {
		t.Errorf("the client is %s, want %s", got, from)
	}
	return err
}

func TestGate(t *testing.T) {
	t.Parallel()
	p := newPost()
	why := fmt.Errorf("wrong token: %w", portolan.ErrNoPermission)
	refuse := func(from string, n int) {
		for range n {
			p.Refused(t.Context(), netip.MustParseAddr(from), 7, why)
		}
	}
	if err := p.enter(t, "192.0.2.1"); err != nil {
		t.Error(err)
	}
	p.Refused(t.Context(), netip.MustParseAddr("192.0.2.1"), 7, errors.New("the disk is full")) // no refusal
	refuse("192.0.2.1", refusalBurst-1)
	if err := p.enter(t, "192.0.2.1"); err != nil {
		t.Errorf("after %d refusals: %v", refusalBurst-1, err)
	}
	refuse("192.0.2.1", 1)
	err := p.enter(t, "192.0.2.1")
	e, ok := errors.AsType[*portolan.Error](err)
	if !ok || e.Code != "Throttling" || e.Status != http.StatusTooManyRequests || e.RetryAfter != 1000 {
		t.Errorf("after %d refusals: %+v", refusalBurst, e)
	}
	if err := p.enter(t, "192.0.2.2"); err != nil {
		t.Errorf("another address: %v", err)
	}
	p.at = p.at.Add(time.Second)
	if err := p.enter(t, "192.0.2.1"); err != nil {
		t.Errorf("a second later: %v", err)
	}
	// An IPv6 network is one source.
	refuse("2001:db8::1", refusalBurst)
	if err := p.enter(t, "2001:db8::2"); err == nil {
		t.Error("a neighbour in the same network may go on")
	}
	if err := p.enter(t, "2001:db8:0:1::1"); err != nil {
		t.Errorf("another network: %v", err)
	}
}

// The log has the first refusal of a source at once, and the number of the
// others once a minute.
func TestGateLog(t *testing.T) {
	t.Parallel()
	p := newPost()
	from := netip.MustParseAddr("192.0.2.1")
	for range 5 {
		p.Refused(t.Context(), from, 7, fmt.Errorf("wrong token: %w", portolan.ErrNoPermission))
	}
	if n := strings.Count(p.log.String(), "\n"); n != 1 || !strings.Contains(p.log.String(), "requests=1 reason=\"wrong token") {
		t.Errorf("log:\n%s", p.log.String())
	}
	p.at = p.at.Add(logEvery)
	p.Refused(t.Context(), from, 7, portolan.ErrNoPermission)
	if n := strings.Count(p.log.String(), "\n"); n != 2 || !strings.Contains(p.log.String(), "requests=5 ") {
		t.Errorf("log:\n%s", p.log.String())
	}
}

// However many sources there are, few are remembered, and busy ones longest.
func TestGateForgets(t *testing.T) {
	t.Parallel()
	p := newPost()
	for n := range maxSources + 10 {
		p.Refused(t.Context(), netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 7, portolan.ErrNoPermission)
	}
	if n := len(p.sources); n > maxSources {
		t.Errorf("%d sources are remembered", n)
	}
	p.at = p.at.Add(time.Hour)
	busy := netip.MustParseAddr("192.0.2.1")
	for range refusalBurst {
		p.Refused(t.Context(), busy, 7, portolan.ErrNoPermission)
	}
	for n := range maxSources {
		p.Refused(t.Context(), netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}), 7, portolan.ErrNoPermission)
	}
	if len(p.sources) > maxSources {
		t.Errorf("%d sources are remembered", len(p.sources))
	}
}
