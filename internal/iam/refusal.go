package iam

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

const (
	// refusalEvery is how often refusals of one address and key are logged.
	refusalEvery = time.Minute
	maxRefusals  = 10_000
)

// refusals counts calls that could not be authenticated, by address and key,
// and logs the first at once and the number of the others once a minute: a
// stranger must not fill the log, nor lock a key out.
type refusals struct {
	mu     sync.Mutex
	counts map[refusal]*refused
}

type refusal struct {
	peer netip.Addr
	key  string
}

type refused struct {
	logged time.Time
	since  int
}

// maxKeyShown bounds what a stranger can have logged as a key.
const maxKeyShown = 32

func (f *refusals) note(ctx context.Context, log *slog.Logger, peer netip.Addr, key string, now time.Time, code string) {
	n, due := f.count(refusal{peer, key[:min(len(key), maxKeyShown)]}, now)
	if due && log != nil {
		log.WarnContext(ctx, "calls are refused", "peer", peer, "access_key", key[:min(len(key), maxKeyShown)], "calls", n, "code", code)
	}
}

// count answers how many refusals there were since the last line, and whether
// a line is due.
func (f *refusals) count(r refusal, now time.Time) (n int, due bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counts == nil || len(f.counts) >= maxRefusals {
		f.counts = make(map[refusal]*refused)
	}
	c := f.counts[r]
	if c == nil {
		f.counts[r] = &refused{logged: now}
		return 1, true
	}
	c.since++
	if now.Sub(c.logged) < refusalEvery {
		return 0, false
	}
	n, c.since, c.logged = c.since, 0, now
	return n, true
}
