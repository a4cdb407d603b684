package connector

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const (
	firstBackoff  = 500 * time.Millisecond
	longestWait   = 30 * time.Second
	longestAsked  = 24 * time.Hour
	throttleTries = 10
	maxDiscard    = 64 << 10
)

// verdict is what becomes of an answer: whether to try again, after how long,
// and whether the registry asked for the wait.
type verdict struct {
	retry, asked bool
	after        time.Duration
	// last is set when no more tries are left for an asked wait: the caller
	// gets a ThrottledError instead of the answer.
	last bool
}

// judge decides about the answer of a try. Only GET and HEAD are sent again;
// a wait that the registry asks for is honoured by every method.
func (t *Transport) judge(req *http.Request, resp *http.Response, err error, try int) verdict {
	if req.Context().Err() != nil {
		return verdict{}
	}
	again := req.Method == http.MethodGet || req.Method == http.MethodHead
	if err == nil && resp.StatusCode < http.StatusBadRequest {
		return verdict{}
	}
	after := t.config.Jitter(min(firstBackoff<<min(try-1, 10), longestWait))
	if err != nil {
		return verdict{retry: again && passing(err) && try < t.config.Tries && t.fits(req.Context(), after), after: after}
	}
	wait, told := retryAfter(resp.Header, t.config.Now())
	after = max(after, wait)
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return verdict{retry: true, asked: true, after: after, last: !again || try >= throttleTries}
	case http.StatusServiceUnavailable:
		if told {
			return verdict{retry: true, asked: true, after: after, last: !again || try >= throttleTries}
		}
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
	default:
		return verdict{}
	}
	return verdict{retry: again && try < t.config.Tries && t.fits(req.Context(), after), after: after}
}

// wait sleeps as the verdict says. An asked wait holds for all requests, and
// is slept by the next turn of each.
func (t *Transport) wait(ctx context.Context, v verdict) error {
	if !v.asked {
		return t.config.Sleep(ctx, v.after)
	}
	now := t.config.Now()
	if more := t.pace.extend(now, now.Add(v.after)); !v.last && t.fits(ctx, v.after) { // else it is the caller's to wait, and to count
		t.meter.throttled.Add(int64(more))
	}
	if v.last {
		return &ThrottledError{Wait: v.after}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// passing reports whether a failure to get an answer may be gone at the next
// try: a connection cut off, or a timeout that was not the caller's.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	for _, cut := range []error{syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, cut) {
			return true
		}
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// retryAfter reads the header's two forms, seconds and a date.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := h.Get("Retry-After")
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, longestAsked), true
	}
	if date, err := http.ParseTime(text); err == nil {
		return min(max(date.Sub(now), 0), longestAsked), true
	}
	return 0, false
}

// discard reads what little is left, so that the connection can be used again.
func discard(resp *http.Response) {
	if resp == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard)
	_ = resp.Body.Close()
}
