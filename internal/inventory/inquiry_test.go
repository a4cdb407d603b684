package inventory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// asker asks, and keeps what the store was asked.
type asker struct {
	inquiry
	mu    sync.Mutex
	asked [][]portolan.Digest
	gates chan error // each answer waits for one
}

func (a *asker) look(_ context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	a.mu.Lock()
	a.asked = append(a.asked, digests)
	a.mu.Unlock()
	found := map[portolan.Digest]connector.Facts{}
	for _, d := range digests {
		found[d] = connector.Facts{MediaType: string(d)}
	}
	return found, <-a.gates
}

// start asks for a digest and answers where the outcome will be.
func (a *asker) start(ctx context.Context, d portolan.Digest) <-chan error {
	done := make(chan error, 1)
	go func() {
		found, err := a.ask(ctx, []portolan.Digest{d}, a.look)
		if err == nil && found[d].MediaType != string(d) {
			err = errors.New("the answer lacks " + string(d))
		}
		done <- err
	}()
	synctest.Wait()
	return done
}

// questions are what the store was asked until now.
func (a *asker) questions() [][]portolan.Digest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// moment lets a question that waits for others be asked.
func moment() {
	<-time.After(time.Millisecond)
	synctest.Wait()
}

// A question waits a moment for others, but not when there are enough. It waits
// longer where many may ask.
func TestInquiryLingers(t *testing.T) {
	t.Parallel()
	for name, listings := range map[string]int64{"one listing": 1, "many": readers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { lingers(t, listings) })
		})
	}
}

func lingers(t *testing.T, listings int64) {
	a := &asker{gates: make(chan error, 2)}
	a.listings.Store(listings)
	linger, enough := a.patience()
	if long := listings > 1; long != (linger > time.Millisecond) || enough != map[bool]int{false: firstReaders, true: readers / 2}[long] {
		t.Errorf("with %d listings it waits %s for %d", listings, linger, enough)
	}
	a.gates <- nil
	a.gates <- nil
	began := time.Now()
	joined := []<-chan error{a.start(t.Context(), "a"), a.start(t.Context(), "b")}
	if len(a.questions()) != 0 {
		t.Error("the store was asked at once")
	}
	<-time.After(linger)
	synctest.Wait()
	if len(a.questions()) != 1 || time.Since(began) != linger {
		t.Errorf("the store was asked %v after %s", a.questions(), time.Since(began))
	}
	began = time.Now()
	for n := range enough {
		joined = append(joined, a.start(t.Context(), portolan.Digest('c'+rune(n))))
	}
	for _, done := range joined {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if len(a.questions()) != 2 || len(a.questions()[1]) != enough || time.Since(began) != 0 {
		t.Errorf("the store was asked %v after %s", a.questions(), time.Since(began))
	}
}

// What is asked while a question is being answered becomes one question.
func TestInquiryJoins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &asker{gates: make(chan error)}
		first := a.start(t.Context(), "a")
		moment()
		joined := []<-chan error{a.start(t.Context(), "b"), a.start(t.Context(), "c"), a.start(t.Context(), "d")}
		a.gates <- nil
		a.gates <- nil
		for _, done := range append(joined, first) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if len(a.asked) != 2 || !slices.Equal(a.asked[1], []portolan.Digest{"b", "c", "d"}) {
			t.Errorf("the store was asked %v", a.asked)
		}
	})
}

// The failure of a question is only that of who asked it first.
func TestInquiryFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &asker{gates: make(chan error)}
		first := a.start(t.Context(), "a")
		moment()
		leads, joins := a.start(t.Context(), "b"), a.start(t.Context(), "c")
		broken := errors.New("broken")
		a.gates <- nil
		a.gates <- broken
		a.gates <- nil // c asks for itself
		if <-first != nil || !errors.Is(<-leads, broken) || <-joins != nil {
			t.Error("the wrong one failed")
		}
	})
}

// Who joins a question need not wait for it.
func TestInquiryEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &asker{gates: make(chan error)}
		first := a.start(t.Context(), "a")
		moment()
		leads := a.start(t.Context(), "b")
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		joins := a.start(ctx, "c")
		cancel(gone)
		if err := <-joins; !errors.Is(err, gone) {
			t.Error(err)
		}
		a.gates <- nil
		a.gates <- nil
		if <-first != nil || <-leads != nil {
			t.Error("the others are not answered")
		}
	})
}

// What the store has come to know is not remembered any longer, and the rest is.
func TestLearntUntilKept(t *testing.T) {
	t.Parallel()
	var l learnt
	rows := make([]connector.Row, 4)
	for i := range rows {
		rows[i] = connector.Row{Digest: portolan.Digest('a' + rune(i)), Facts: connector.Facts{Kind: portolan.KindImage, MediaType: "m"}}
		l.add(&rows[i])
	}
	other, byTag := rows[1], connector.Row{Digest: rows[3].Digest}
	other.Kind = portolan.KindOther
	l.forget(&found{
		images:    map[portolan.Digest]*connector.Row{rows[0].Digest: &rows[0]},
		artifacts: map[portolan.Digest]*connector.Row{other.Digest: &other, rows[2].Digest: &rows[2], byTag.Digest: &byTag},
	})
	// The store keeps nothing of an image that has only the tag of an accessory,
	// nor of one whose manifest was not read.
	if len(l.facts) != 2 || l.facts[rows[2].Digest].MediaType != "m" || l.facts[byTag.Digest].MediaType != "m" {
		t.Errorf("%v", l.facts)
	}
}
