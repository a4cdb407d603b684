package intake

import (
	"crypto/sha256"
	"sync"
	"time"
)

const (
	// seenFor is how long an event is known that comes again.
	seenFor = 10 * time.Minute
	// maxSeen is how many are known at once, about 1 MB; past that the older
	// half is forgotten. An event that comes again then costs one reading.
	maxSeen = 10_000
)

// seen remembers events, in two generations of which the older one is
// forgotten. It may be used by any number of goroutines.
type seen struct {
	now func() time.Time

	mu         sync.Mutex
	young, old map[[sha256.Size]byte]time.Time
}

func newSeen(now func() time.Time) *seen {
	return &seen{now: now, young: map[[sha256.Size]byte]time.Time{}}
}

// has reports whether an event came within the last minutes.
func (s *seen) has(key string) bool {
	sum, now := sha256.Sum256([]byte(key)), s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.young[sum]
	if !ok {
		at, ok = s.old[sum]
	}
	return ok && now.Sub(at) < seenFor
}

// add remembers an event; "" is none.
func (s *seen) add(key string) {
	if key == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.young) >= maxSeen/2 {
		s.old, s.young = s.young, map[[sha256.Size]byte]time.Time{}
	}
	s.young[sha256.Sum256([]byte(key))] = s.now()
}
