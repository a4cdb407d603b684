package app_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portolan/internal/app"
)

// sink counts how often it is written to.
type sink struct {
	mu     sync.Mutex
	text   bytes.Buffer
	writes int
	hold   chan struct{} // closed to let writes through; nil for none held
}

func (s *sink) Write(p []byte) (int, error) {
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return s.text.Write(p)
}

func (s *sink) state() (string, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String(), s.writes
}

func TestLogLinesAreWrittenTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s sink
		l := app.NewLogWriter(&s)
		var want strings.Builder
		for i := range 100 {
			line := fmt.Sprintf("line %d\n", i)
			want.WriteString(line)
			if n, err := l.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatalf("wrote %d, %v", n, err)
			}
		}
		if text, _ := s.state(); text != "" {
			t.Errorf("%q was written at once", text)
		}
		<-time.After(20 * time.Millisecond) // of the bubble
		synctest.Wait()
		if text, writes := s.state(); text != want.String() || writes != 1 {
			t.Errorf("%d writes of %q", writes, text)
		}
		_, _ = l.Write([]byte("last\n"))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if text, _ := s.state(); !strings.HasSuffix(text, "last\n") {
			t.Error("Close left a line unwritten")
		}
		_, _ = l.Write([]byte("late\n"))
		if text, _ := s.state(); !strings.HasSuffix(text, "last\nlate\n") {
			t.Error("a line after Close is lost")
		}
	})
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sink{hold: make(chan struct{})}
		l := app.NewLogWriter(&s)
		const each, all = 64 << 10, 100
		line := bytes.Repeat([]byte("x"), each)
		taken := 0
		var wg sync.WaitGroup
		wg.Go(func() {
			for range all {
				_, _ = l.Write(line)
				taken++
			}
		})
		<-time.After(time.Second) // of the bubble
		synctest.Wait()
		if taken >= all {
			t.Errorf("%d bytes were taken although none could be written", taken*each)
		}
		close(s.hold)
		wg.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if text, _ := s.state(); len(text) != all*each {
			t.Errorf("%d bytes of %d were written", len(text), all*each)
		}
	})
}
