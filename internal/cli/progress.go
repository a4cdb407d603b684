package cli

import (
	"context"
	"strings"
	"time"
)

// progress is one line that says how a wait goes. Nobody sees it unless
// standard error is a terminal.
type progress struct {
	shell *shell
	on    bool
	width int
}

func (s *shell) progress() *progress { return &progress{shell: s, on: terminal(s.err)} }

// say replaces the line.
func (p *progress) say(text string) {
	if !p.on {
		return
	}
	blank := max(0, p.width-len([]rune(text)))
	_, _ = p.shell.err.Write([]byte("\r" + text + strings.Repeat(" ", blank)))
	p.width = len([]rune(text))
}

// done takes the line away.
func (p *progress) done() {
	if p.on && p.width > 0 {
		p.say("")
		_, _ = p.shell.err.Write([]byte("\r"))
	}
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
