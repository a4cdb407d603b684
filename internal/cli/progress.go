package cli

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// progress is the one line that says how a wait goes. Nobody sees it unless
// standard error is a terminal.
type progress struct {
	to io.Writer
	on bool

	mu    sync.Mutex
	width int
}

// say replaces the line.
func (p *progress) say(text string) {
	if p == nil || !p.on {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(text)
}

func (p *progress) write(text string) {
	blank := max(0, p.width-len([]rune(text)))
	_, _ = p.to.Write([]byte("\r" + text + strings.Repeat(" ", blank)))
	p.width = len([]rune(text))
}

// done takes the line away.
func (p *progress) done() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		p.write("")
		_, _ = p.to.Write([]byte("\r"))
	}
}

// noticeable is how long a wait may go without a line.
const noticeable = time.Second

// wait says what is waited for once that takes noticeably long, and how long
// it has taken, until the answer is called. A line that others have written
// stays: they know more.
func (p *progress) wait(what string) (over func()) {
	if p == nil || !p.on {
		return func() {}
	}
	started, stop := time.Now(), make(chan struct{})
	var wg sync.WaitGroup
	said := false
	wg.Go(func() {
		tick := time.NewTicker(noticeable)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				said = p.sayIfFree(what+" … "+time.Since(started).Round(time.Second).String(), said)
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
		if said {
			p.done()
		}
	}
}

// sayIfFree writes the line unless another holds it, and reports whether it is
// the caller's.
func (p *progress) sayIfFree(text string, held bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 && !held {
		return false
	}
	p.write(text)
	return true
}

// pause waits, or answers why it was cut short.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
