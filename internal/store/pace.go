package store

import (
	"sync"
	"time"
)

const (
	// firstRoom is for a store whose pace is not known yet, leastRoom and
	// mostRoom bound it.
	leastRoom, firstRoom, mostRoom = 100, 200, 1_000
)

// pace adapts how much a transaction writes to how long that takes on this
// machine and in this store.
type pace struct {
	mu   sync.Mutex
	room int
}

// Room is how many rows a reading should write in one transaction.
func (db *DB) Room() int {
	p := &db.pace
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.room == 0 {
		p.room = firstRoom
	}
	return p.room
}

// took learns from a transaction that took so long and should have taken hold.
// It shrinks at once and grows slowly.
func (p *pace) took(rows int, d, hold time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case d > 2*hold:
		p.room = max(leastRoom, p.room/2)
	case d > hold:
		p.room = max(leastRoom, p.room*7/8)
	case rows >= p.room/2:
		p.room = min(mostRoom, p.room*9/8)
	}
}
