package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

type deadlineKey struct{}

func TestDeadline(t *testing.T) {
	newDeadline := func(ctx context.Context) *deadline {
		return &deadline{parent: ctx, at: time.Now().Add(time.Minute)}
	}
	cases := map[string]struct {
		end  func(d *deadline, cancel context.CancelFunc)
		want error
	}{
		"nothing happens":        {func(*deadline, context.CancelFunc) {}, nil},
		"the time comes":         {func(*deadline, context.CancelFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded}, //nolint:forbidigo // in the bubble's time
		"the time has not come":  {func(*deadline, context.CancelFunc) { time.Sleep(time.Minute - 1) }, nil},                  //nolint:forbidigo // in the bubble's time
		"the call ends":          {func(d *deadline, _ context.CancelFunc) { d.end() }, context.Canceled},
		"the client is gone":     {func(_ *deadline, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"the call ends too late": {func(d *deadline, _ context.CancelFunc) { time.Sleep(time.Hour); d.end() }, context.DeadlineExceeded}, //nolint:forbidigo // in the bubble's time
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.WithValue(t.Context(), deadlineKey{}, "kept"))
				defer cancel()
				d := newDeadline(parent)
				defer d.end()
				child, stop := context.WithCancel(d)
				defer stop()
				c.end(d, cancel)
				synctest.Wait()
				if err := d.Err(); !errors.Is(err, c.want) {
					t.Errorf("Err is %v, want %v", err, c.want)
				}
				if err := child.Err(); !errors.Is(err, c.want) {
					t.Errorf("Err of a child is %v, want %v", err, c.want)
				}
				select {
				case <-d.Done():
					if c.want == nil {
						t.Error("done")
					}
				default:
					if c.want != nil {
						t.Error("not done")
					}
				}
				if v := d.Value(deadlineKey{}); v != "kept" {
					t.Errorf("Value is %v", v)
				}
			})
		})
	}
}

func TestDeadlineEndsBeforeAnyoneWaits(t *testing.T) {
	d := &deadline{parent: t.Context(), at: time.Now().Add(time.Minute)}
	if v := d.Value(deadlineKey{}); v != nil {
		t.Errorf("Value is %v", v)
	}
	d.end()
	if !errors.Is(d.Err(), context.Canceled) {
		t.Errorf("Err is %v after the end", d.Err())
	}
	select {
	case <-d.Done():
	default:
		t.Error("not done after the end")
	}
}

func TestDeadlineIsTheEarlier(t *testing.T) {
	early := time.Now().Add(time.Second)
	parent, cancel := context.WithDeadline(t.Context(), early)
	defer cancel()
	d := &deadline{parent: parent, at: early.Add(time.Minute)}
	if at, ok := d.Deadline(); !ok || !at.Equal(early) {
		t.Errorf("Deadline is %v, %v; want that of the parent, %v", at, ok, early)
	}
	d = &deadline{parent: t.Context(), at: early}
	if at, ok := d.Deadline(); !ok || !at.Equal(early) {
		t.Errorf("Deadline is %v, %v; want %v", at, ok, early)
	}
}
