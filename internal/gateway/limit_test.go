package gateway

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"portolan"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	now := clock
	th := newThrottle(3, func() time.Time { return now })
	for range 3 {
		if err := th.take("a"); err != nil {
			t.Fatal(err)
		}
	}
	refused, ok := errors.AsType[*portolan.Error](th.take("a"))
	if !ok || refused.Code != "Throttling.User" || refused.Status != 400 || refused.RetryAfter != 334 {
		t.Fatalf("got %+v", refused)
	}
	if err := th.take("b"); err != nil {
		t.Errorf("another key is throttled: %v", err)
	}
	now = now.Add(time.Duration(refused.RetryAfter) * time.Millisecond)
	if err := th.take("a"); err != nil {
		t.Errorf("throttled after the time that was told: %v", err)
	}
	if err := th.take("a"); err == nil {
		t.Error("one call's time allowed two calls")
	}
	now = now.Add(-time.Hour)
	if err := th.take("a"); err == nil {
		t.Error("a clock that is set back gives calls")
	}
	now = now.Add(time.Second)
	if err := th.take("a"); err != nil {
		t.Errorf("a clock that is set back locks the key: %v", err)
	}
}

func TestThrottleOff(t *testing.T) {
	t.Parallel()
	th := newThrottle(0, func() time.Time { return clock })
	for range 10_000 {
		if err := th.take("a"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	now := clock
	th := newThrottle(1, func() time.Time { return now })
	for i := range 3 * maxThrottled {
		_ = th.take(fmt.Sprint(i))
	}
	if len(th.keys) > maxThrottled {
		t.Errorf("%d keys are kept", len(th.keys))
	}
	busy := fmt.Sprint(3*maxThrottled - 1)
	for key, a := range th.keys {
		if key != busy {
			a.at = a.at.Add(-time.Hour)
			th.keys[key] = a
		}
	}
	_ = th.take("new")
	if err := th.take(busy); err == nil {
		t.Error("a busy key was forgotten before idle ones")
	}
	if len(th.keys) > 3 {
		t.Errorf("%d idle keys are kept", len(th.keys))
	}
}
