package connector

import (
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// How a pace is lost and found again.
const (
	// paceBurst is how many requests may go at once after a rest.
	paceBurst = 10
	// slowestPace is the rate below which no registry brings us, a second.
	slowestPace = 0.5
	// firstPace is the rate that a registry without a limit is believed to have
	// been asked at, at least, when it complains for the first time.
	firstPace = 10
	// freePace is the rate above which a pace that was learnt is let go.
	freePace = 200
	// growEvery is after how long a pace grows by growBy.
	growEvery = 30 * time.Second
	growBy    = 1.25
	// failuresInRow is how many answers in a row may say that the server
	// failed, before it is believed to have too much to do.
	failuresInRow = 5
	measureOver   = 10 * time.Second
)

// PaceConfig says how a pace starts. The zero value has no limit but that of
// requests at once.
type PaceConfig struct {
	// PerSecond is how many requests a second are sent at first, and at most;
	// 0 for any number.
	PerSecond float64
	// Concurrent is how many requests run at once, DefaultConcurrent if 0.
	Concurrent int
}

// Pace is how fast a registry is asked with one credential. It is shared by
// everybody who asks it with that: readings, tests, other entries. It slows
// down when the registry says or shows that it is asked too much, and recovers
// slowly. A request that gets in a word of that counts once, however many were
// under way. It may be used at once.
type Pace struct {
	config PaceConfig
	slots  chan struct{}

	mu      sync.Mutex
	tokens  float64 // requests that may be sent at once; below 0 some wait for theirs
	filled  time.Time
	until   time.Time // no request before it: the registry asked for a pause
	learnt  float64   // requests a second, infinite where none was learnt
	cut     time.Time // when learnt was last cut
	grown   time.Time // since when it can grow
	caps    []int     // requests a minute, of the transports in use; 0 for any number
	failed  int       // answers in a row
	counted int       // requests since began
	began   time.Time
	last    float64 // requests a second in the last full measure
}

// NewPace makes a Pace.
func NewPace(c PaceConfig) *Pace {
	if c.Concurrent <= 0 {
		c.Concurrent = DefaultConcurrent
	}
	return &Pace{config: c, slots: make(chan struct{}, c.Concurrent), tokens: paceBurst, learnt: math.Inf(1)}
}

// Used reports whether somebody's transport has the pace.
func (p *Pace) Used() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.caps) > 0
}

// Idle reports whether nobody uses the pace and no pause runs: to forget it
// costs nothing but what was learnt.
func (p *Pace) Idle(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.caps) == 0 && !p.until.After(now)
}

// join adds a user whose registry allows so many requests a minute, 0 for any
// number. The lowest number of all users holds for all.
func (p *Pace) join(perMinute int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.caps = append(p.caps, perMinute)
}

func (p *Pace) leave(perMinute int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.caps, perMinute); i >= 0 {
		p.caps = slices.Delete(p.caps, i, i+1)
	}
}

// pause is how long no request may be sent.
func (p *Pace) pause(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until.Sub(now)
}

// extend makes a pause last until a time and answers by how much that prolongs
// it.
func (p *Pace) extend(now, until time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	more := until.Sub(later(p.until, now))
	if more > 0 {
		p.until = until
		p.grown = later(p.grown, until)
	}
	return max(more, 0)
}

// turn answers how long the next request has to wait for its turn. A wait that
// is longer than what the caller accepts takes no turn: it then answers how
// long it takes until some requests can be sent in a row.
func (p *Pace) turn(now time.Time, accepts func(time.Duration) bool) (wait time.Duration, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow(now)
	if elapsed := now.Sub(p.began); elapsed >= measureOver {
		p.last = float64(p.counted) / elapsed.Seconds()
		p.began, p.counted = now, 0
	}
	limit := p.fill(now)
	if short := 1 - p.tokens; short > 0 {
		if wait = seconds(short / limit); !accepts(wait) {
			return seconds(max(short, paceBurst) / limit), false
		}
	}
	p.tokens--
	p.counted++
	return wait, true
}

// giveBack is for a turn in which no request was sent.
func (p *Pace) giveBack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = min(paceBurst, p.tokens+1)
	p.counted--
}

// fill adds what may be sent since the last time, and answers the rate.
func (p *Pace) fill(now time.Time) (limit float64) {
	limit = p.limit()
	if elapsed := now.Sub(p.filled).Seconds(); elapsed > 0 {
		p.tokens = min(paceBurst, p.tokens+elapsed*limit)
		p.filled = now
	}
	if math.IsInf(limit, 1) {
		p.tokens = paceBurst
	}
	return limit
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// limit is the number of requests a second that may be sent on average.
func (p *Pace) limit() float64 {
	limit := p.learnt
	if p.config.PerSecond > 0 {
		limit = min(limit, p.config.PerSecond)
	}
	for _, perMinute := range p.caps {
		if perMinute > 0 { // the burst counts too, so that no minute has more
			limit = min(limit, max(float64(perMinute-paceBurst), float64(perMinute)/2)/60)
		}
	}
	return limit
}

// measured is how many requests a second were sent of late.
func (p *Pace) measured(now time.Time) float64 {
	elapsed := now.Sub(p.began).Seconds()
	if elapsed > 2*measureOver.Seconds() {
		return 0
	}
	return max(p.last, float64(p.counted)/max(elapsed, 1))
}

// grow gives back what was lost, a little for each time without a complaint.
func (p *Pace) grow(now time.Time) {
	since := now.Sub(p.grown)
	if math.IsInf(p.learnt, 1) || since < growEvery {
		return
	}
	p.learnt *= math.Pow(growBy, float64(since/growEvery))
	p.grown = now.Add(-since % growEvery)
	if p.learnt >= freePace || p.config.PerSecond > 0 && p.learnt >= p.config.PerSecond {
		p.learnt = math.Inf(1)
	}
}

// heard takes notice of an answer to a request that was sent at a time.
func (p *Pace) heard(status int, asked bool, sent, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case asked || status == http.StatusTooManyRequests:
		p.slower(sent, now)
	case status >= http.StatusInternalServerError:
		if p.failed++; p.failed >= failuresInRow {
			p.slower(sent, now)
			p.failed = 0
		}
	default:
		p.failed = 0
	}
}

// slower halves the rate, unless that has been done since the request that
// shows the need of it was sent.
func (p *Pace) slower(sent, now time.Time) {
	if sent.Before(p.cut) {
		return
	}
	limit := p.limit()
	if math.IsInf(limit, 1) {
		limit = max(p.measured(now), firstPace) // who has hardly begun has measured nothing
	}
	p.learnt = max(limit/2, slowestPace)
	p.cut, p.grown = now, later(p.grown, now)
}
