package connector

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Everything is done once, by as many at once as the crew has. Who asks while
// others are helped comes on top of that.
func TestCrew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ callers, jobs, least, most int64 }{{1, 20, 4, 4}, {3, 20, 4, 6}, {8, 20, 8, 11}, {1, 1, 1, 1}, {1, 0, 0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			crew := NewCrew(4)
			done := make([]atomic.Int64, max(test.jobs, 1))
			var now, most atomic.Int64
			ended := make(chan error)
			for range test.callers {
				go func() {
					ended <- crew.Each(t.Context(), int(test.jobs), func(_ context.Context, i int) error {
						n := now.Add(1)
						defer now.Add(-1)
						for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
						}
						done[i].Add(1)
						<-time.After(time.Second)
						return nil
					})
				}()
			}
			for range test.callers {
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
			for i := range test.jobs {
				if n := done[i].Load(); n != test.callers {
					t.Errorf("%+v: job %d was done %d times", test, i, n)
				}
			}
			if m := most.Load(); m < test.least || m > test.most || crew.busy.Load() != 0 {
				t.Errorf("%+v: %d at once, %d are left", test, m, crew.busy.Load())
			}
		})
	}
}

// The first error ends it, and so does the caller's context.
func TestCrewStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		crew, mine := NewCrew(4), errors.New("mine")
		var begun atomic.Int64
		err := crew.Each(t.Context(), 100, func(ctx context.Context, i int) error {
			begun.Add(1)
			if i == 2 {
				return mine
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, mine) || begun.Load() > 4 {
			t.Errorf("%v after %d", err, begun.Load())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = crew.Each(ctx, 100, func(context.Context, int) error {
			<-time.After(400 * time.Millisecond)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || crew.busy.Load() != 0 {
			t.Errorf("%v, %d are left", err, crew.busy.Load())
		}
		begun.Store(0)
		err = crew.Each(ctx, 100, func(context.Context, int) error {
			begun.Add(1)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || begun.Load() != 0 {
			t.Errorf("%v after %d", err, begun.Load())
		}
	})
}
