package gateway

import (
	"math"
	"net/http"
	"sync"
	"time"

	"portolan"
)

// maxThrottled is how many keys are watched at once. Only keys that were
// authenticated get here.
const maxThrottled = 10_000

// throttle allows each key so many calls a second, and as many at once.
type throttle struct {
	rate float64
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]allowance
}

// allowance is a token bucket: what was left at a time.
type allowance struct {
	left float64
	at   time.Time
}

func newThrottle(perSecond int, now func() time.Time) *throttle {
	return &throttle{rate: float64(perSecond), now: now, keys: make(map[string]allowance)}
}

// take uses one call of the key. The error tells when there is the next one.
func (t *throttle) take(key string) error {
	if t.rate <= 0 {
		return nil
	}
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	a, known := t.keys[key]
	if !known {
		t.makeRoom(now)
		a.left = t.rate
	}
	a.left = t.refilled(a, now)
	a.at = now
	var err error
	if a.left >= 1 {
		a.left--
	} else {
		err = throttled((1 - a.left) / t.rate)
	}
	t.keys[key] = a
	return err
}

func (t *throttle) refilled(a allowance, now time.Time) float64 {
	return min(t.rate, a.left+max(0, now.Sub(a.at).Seconds())*t.rate)
}

// makeRoom forgets the keys that are as good as new and, when too many are
// busy, any. A quarter is freed, so that not every new key has to look again.
func (t *throttle) makeRoom(now time.Time) {
	if len(t.keys) < maxThrottled {
		return
	}
	for key, a := range t.keys {
		if t.refilled(a, now) >= t.rate {
			delete(t.keys, key)
		}
	}
	for key := range t.keys {
		if len(t.keys) <= maxThrottled*3/4 {
			return
		}
		delete(t.keys, key)
	}
}

func throttled(seconds float64) *portolan.Error {
	return &portolan.Error{
		Code: "Throttling.User", Status: http.StatusBadRequest,
		Message:    "Request was denied due to user flow control.",
		RetryAfter: int64(math.Ceil(seconds * 1000)),
	}
}
