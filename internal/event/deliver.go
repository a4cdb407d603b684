package event

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"portolan"
	"portolan/internal/netguard"
	"portolan/internal/store"
)

const (
	// attemptTimeout is how long one attempt may take; maxAnswer is what is read
	// of an answer, and thrown away.
	attemptTimeout = 15 * time.Second
	maxAnswer      = 64 << 10
)

// waits are the times between attempts: after the last one, some seven hours
// after the event, a message is given up.
func waits() []time.Duration {
	return []time.Duration{
		5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour,
	}
}

// Deliver tries to deliver a message. It answers how long to wait before the
// next attempt, and whether there is one. A receiver that does not take it is
// no error.
func (s *Service) Deliver(ctx context.Context, id string) (wait time.Duration, more bool, err error) {
	d, err := s.DB.Delivery(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, nil // it has ended, or its webhook is gone
	}
	if err != nil {
		return 0, false, fmt.Errorf("load message %s: %w", id, err)
	}
	body, err := s.body(ctx, &d)
	if err != nil {
		return 0, false, err
	}
	got, err := s.send(ctx, &d.Webhook, d.ID, body)
	if err != nil {
		return 0, false, err
	}
	if ctx.Err() != nil {
		return waits()[0], true, nil // the server stops; this was no attempt
	}
	a := store.Attempt{Outcome: got.String(), Arrived: got.ok(), Over: got.status == http.StatusGone || d.Attempts >= len(waits())}
	if err := s.DB.NoteAttempt(ctx, &d, a); err != nil {
		return 0, false, fmt.Errorf("note the attempt to deliver message %s: %w", id, err)
	}
	if a.Arrived || a.Over {
		return 0, false, nil
	}
	return waits()[d.Attempts], true, nil
}

// reply is what became of one attempt. What the receiver wrote is not kept: it
// is not ours to show.
type reply struct {
	status int // 0 if there was no answer
	took   time.Duration
	reason string // why there was no answer
}

func (r reply) ok() bool { return r.status >= 200 && r.status <= 299 }

// String says it for people.
func (r reply) String() string {
	switch {
	case r.status == 0:
		return r.reason
	case r.ok():
		return fmt.Sprintf("taken with status %d", r.status)
	case r.status >= 300 && r.status <= 399:
		return fmt.Sprintf("status %d: redirects are not followed; give the URL where it ends", r.status)
	case r.status == http.StatusGone:
		return fmt.Sprintf("status %d: the receiver wants no more messages", r.status)
	}
	return fmt.Sprintf("refused with status %d", r.status)
}

// send makes one attempt. An error is Portolan's own.
func (s *Service) send(ctx context.Context, h *store.EventWebhook, id string, body []byte) (reply, error) {
	key, address, err := s.unseal(ctx, h)
	if err != nil {
		return reply{}, err
	}
	defer clear(key)
	u, err := url.Parse(address)
	if err != nil {
		return reply{}, fmt.Errorf("event webhook %s has a URL that cannot be read", h.ID)
	}
	client, err := s.Client(u)
	if err != nil {
		return reply{}, err
	}
	defer client.CloseIdleConnections()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return reply{}, fmt.Errorf("event webhook %s has a URL that cannot be called", h.ID)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", portolan.UserAgent())
	sign(req.Header, key, id, s.Now(), body)
	return exchange(client, req), nil
}

func exchange(client *http.Client, req *http.Request) reply {
	began := time.Now()
	resp, err := client.Do(req)
	r := reply{took: time.Since(began)}
	if err != nil {
		r.reason = reason(err)
		return r
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer)) // the status has said it
	_ = resp.Body.Close()
	r.status, r.took = resp.StatusCode, time.Since(began)
	return r
}

// reason says why there was no answer. Texts of libraries are not shown: they
// quote the URL, which may hold a secret.
func reason(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %s", attemptTimeout)
	}
	if e, ok := netguard.Classify(err); ok {
		return e.Error()
	}
	return "no answer that HTTP knows"
}

// Tested is what a receiver made of a test.
type Tested struct {
	Success bool
	Status  int
	Took    time.Duration
	Message string
}

// Test sends a test event now, and answers what became of it. It is not tried
// again.
func (s *Service) Test(ctx context.Context, account int64, id string) (Tested, error) {
	h, err := s.DB.EventWebhook(ctx, account, id)
	if errors.Is(err, store.ErrNotFound) {
		return Tested{}, ErrNotExist
	}
	if err != nil {
		return Tested{}, err
	}
	d := &store.Delivery{
		ID: "msg_" + rand.Text(), Event: EventTest, AccountID: account, Webhook: h, Created: s.Now(),
		Facts: json.RawMessage(`{"Message":"This is a test."}`),
	}
	body, err := s.body(ctx, d)
	if err != nil {
		return Tested{}, err
	}
	got, err := s.send(ctx, &h, d.ID, body)
	if err != nil {
		return Tested{}, err
	}
	if err := s.DB.NoteAttempt(ctx, d, store.Attempt{Outcome: got.String(), Arrived: got.ok()}); err != nil {
		return Tested{}, err
	}
	return Tested{Success: got.ok(), Status: got.status, Took: got.took, Message: got.String()}, nil
}
