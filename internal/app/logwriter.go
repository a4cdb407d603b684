package app

import (
	"io"
	"sync"
	"time"
)

const (
	// logDelay is how long a line may wait for others to be written with it.
	logDelay = 10 * time.Millisecond
	// maxLogBuffer bounds the lines that wait; who logs more waits with them.
	maxLogBuffer = 1 << 20
)

// LogWriter writes a log's lines in the background, many at a time: under load
// a system call for each line of the access log would cost as much as
// verifying a signature. A process that is killed loses the lines of the last
// hundredth of a second.
type LogWriter struct {
	w     io.Writer
	ended sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // lines came, room was made, or it was closed
	lines   []byte
	closed  bool
	written bool // all of it, and run has ended
}

// NewLogWriter starts a writer; Close ends it.
func NewLogWriter(w io.Writer) *LogWriter {
	l := &LogWriter{w: w}
	l.changed.L = &l.mu
	l.ended.Go(l.run)
	return l
}

// Write takes a line. What the underlying writer answers is not known by then,
// so it never fails; after Close lines are written at once.
func (l *LogWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lines) >= maxLogBuffer && !l.closed {
		l.changed.Wait()
	}
	for l.closed && !l.written {
		l.changed.Wait()
	}
	if l.closed {
		return l.w.Write(line)
	}
	if l.lines = append(l.lines, line...); len(l.lines) == len(line) {
		l.changed.Broadcast()
	}
	return len(line), nil
}

func (l *LogWriter) run() {
	var batch []byte
	for l.wait() {
		<-time.After(logDelay)
		l.mu.Lock()
		batch, l.lines = l.lines, batch[:0]
		l.changed.Broadcast()
		l.mu.Unlock()
		_, _ = l.w.Write(batch) // a log that cannot be written has nowhere to say so
	}
	l.mu.Lock()
	l.written = true
	l.changed.Broadcast()
	l.mu.Unlock()
}

// wait waits for lines, and answers false when no more will come.
func (l *LogWriter) wait() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lines) == 0 && !l.closed {
		l.changed.Wait()
	}
	return len(l.lines) > 0
}

// Close writes what waits.
func (l *LogWriter) Close() error {
	l.mu.Lock()
	l.closed = true
	l.changed.Broadcast()
	l.mu.Unlock()
	l.ended.Wait()
	return nil
}
