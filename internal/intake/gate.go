// Package intake receives what others send without a signed call: over HTTP,
// with a secret of one registry. It reads the request, keeps guessers and
// floods out, hands what came to the service that knows its rules, and answers
// in the API's form.
//
// It knows HTTP and the form of answers. It must not know SQL, what a report or
// an event leads to, or which proxies are trusted: who the client is, is told
// by a function that is handed in.
package intake

import (
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"portolan"
)

const (
	// A source may be refused so often at once, and then so often a second.
	// It is far more than a build with an old token needs, and far too little
	// to guess 122 bits.
	refusalBurst = 60
	refusalRate  = 1
	// maxSources is how many sources are watched at once.
	maxSources = 10_000
	// logEvery is how often the refusals of one source are logged.
	logEvery = time.Minute
	// sourceBits is the part of an IPv6 address that one owner has.
	sourceBits = 64
)

// GateConfig is what a Gate is made of.
type GateConfig struct {
	// Client answers the address of who sent a request: the peer, or whom a
	// trusted proxy names.
	Client func(*http.Request) (client netip.Addr, secure bool)
	Log    *slog.Logger
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Gate is what every receiver asks first. Only refusals are counted: who has
// the secret is let in, also where many at the same address have not. It may
// be used by any number of goroutines.
type Gate struct {
	GateConfig

	mu      sync.Mutex
	sources map[netip.Addr]*source
}

// source is a token bucket of refusals (what was left at a time), and what was
// logged of them.
type source struct {
	left   float64
	at     time.Time
	logged time.Time
	since  int
	busy   bool // a request is looked at although nothing is left
}

// NewGate makes a gate. All receivers of a server share one.
func NewGate(cfg GateConfig) *Gate {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Gate{GateConfig: cfg, sources: map[netip.Addr]*source{}}
}

// errTooOften answers a source that was refused too often, and has not the
// secret now either.
var errTooOften = &portolan.Error{
	Code: "Throttling", Status: http.StatusTooManyRequests,
	Message:    "Too many requests of this address were refused. Wait, and check the registry's id and its secret.",
	RetryAfter: int64(time.Second / time.Millisecond / refusalRate),
}

// admit asks check whether who sent a request to a registry is let in. What it
// refuses with portolan.ErrNoPermission is counted, and logged with the reason,
// which the client is not told. A source that was refused too often is told so
// instead, and looked at one request at a time: a flood costs little, and who
// has the secret still gets in behind the same address.
func (g *Gate) admit(x *exchange, registry int64, check func() error) error {
	key := sourceOf(x.client)
	spent, free := g.enter(key)
	if !free {
		return errTooOften
	}
	defer g.leave(spent)
	err := check()
	if !errors.Is(err, portolan.ErrNoPermission) {
		return err
	}
	x.refused = err
	if n, due := g.count(key); due {
		g.Log.WarnContext(x.r.Context(), "requests to a registry are refused", "peer", x.client, "registry", registry, "requests", n, "reason", err)
	}
	if spent != nil {
		return errTooOften
	}
	return err
}

// enter answers the source if it was refused too often, else nil, and whether
// it may be looked at. leave must follow.
func (g *Gate) enter(key netip.Addr) (spent *source, free bool) {
	now := g.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[key]
	if s == nil || s.refilled(now) >= 1 {
		return nil, true
	}
	free = !s.busy
	s.busy = true
	return s, free
}

func (g *Gate) leave(spent *source) {
	if spent == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	spent.busy = false
}

// count takes a refusal from the bucket, and answers how many there were since
// the last line of the log, and whether a line is due.
func (g *Gate) count(key netip.Addr) (n int, due bool) {
	now := g.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.sources[key]
	if s == nil {
		g.makeRoom(now)
		s = &source{left: refusalBurst, at: now, logged: now.Add(-logEvery)}
		g.sources[key] = s
	}
	s.left, s.at = max(0, s.refilled(now)-1), now
	s.since++
	if now.Sub(s.logged) < logEvery {
		return 0, false
	}
	n, s.since, s.logged = s.since, 0, now
	return n, true
}

func (s *source) refilled(now time.Time) float64 {
	return min(refusalBurst, s.left+max(0, now.Sub(s.at).Seconds())*refusalRate)
}

// makeRoom forgets the sources that are as good as new and, when too many are
// busy, any. A quarter is freed, so that not every new one has to look again.
func (g *Gate) makeRoom(now time.Time) {
	if len(g.sources) < maxSources {
		return
	}
	for key, s := range g.sources {
		if s.refilled(now) >= refusalBurst {
			delete(g.sources, key)
		}
	}
	for key := range g.sources {
		if len(g.sources) <= maxSources*3/4 {
			return
		}
		delete(g.sources, key)
	}
}

// sourceOf is what counts as one source: an IPv4 address, an IPv6 network.
func sourceOf(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if !a.Is6() {
		return a
	}
	p, err := a.Prefix(sourceBits)
	if err != nil {
		return a // every IPv6 address has one
	}
	return p.Addr()
}
