// Package event tells others what happened: it keeps the webhooks that an
// account has made, and delivers signed messages to them, again and again
// until they arrive or hours have passed.
//
// It knows the store's outbox and the form of the messages. It must not know
// what makes an event, the wire of the API, or who may call.
package event

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"portolan"
	"portolan/internal/job"
	"portolan/internal/store"
)

// Config of a Service.
type Config struct {
	DB *store.DB
	// AddJob makes the job of a message in a transaction.
	AddJob func(ctx context.Context, tx *store.Tx, id string) error
	// Seal and Unseal keep the secrets of a webhook, by its id.
	Seal   func(id string, secret []byte) []byte
	Unseal func(id string, sealed []byte) ([]byte, error)
	// CheckAddress refuses a literal host that must not be dialled.
	CheckAddress func(host string) error
	// Client makes the client for a receiver, which dials by the address rules.
	// The caller closes its idle connections.
	Client func(u *url.URL) (*http.Client, error)
	// StaleAfter is how long a registry may be without a complete reading.
	StaleAfter time.Duration
	Now        func() time.Time
	Log        *slog.Logger
}

// Service keeps webhooks and delivers messages.
type Service struct {
	Config

	wg   sync.WaitGroup
	stop context.CancelFunc
}

// New makes a Service. Start starts its schedule.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c}
}

// maxURL bounds the URL of a webhook.
const maxURL = 2_048

// Add makes a webhook and answers its signing secret, which is shown this once.
// The webhook's account, registry, URL and events are given.
func (s *Service) Add(ctx context.Context, h *store.EventWebhook) (secret string, err error) {
	if err := s.check(h); err != nil {
		return "", err
	}
	key := make([]byte, secretSize)
	_, _ = rand.Read(key) // never fails
	h.ID = newID()
	h.Secret, h.URL = s.seal(h.ID, key, h.URL), ShownURL(h.URL)
	if err := s.DB.AddEventWebhook(ctx, h); err != nil {
		return "", fmt.Errorf("add an event webhook: %w", err)
	}
	return secretText(key), nil
}

// seal keeps the signing key and the URL of a webhook, which may hold a secret of
// its receiver.
func (s *Service) seal(id string, key []byte, text string) []byte {
	plain := slices.Concat(key, []byte(text))
	defer clear(plain)
	return s.Seal(id, plain)
}

// unseal answers what was sealed. A webhook of an older version has its URL in
// clear, which ends here.
func (s *Service) unseal(ctx context.Context, h *store.EventWebhook) (key []byte, text string, err error) {
	plain, err := s.Unseal(h.ID, h.Secret)
	if err != nil || len(plain) < secretSize {
		return nil, "", fmt.Errorf("unseal the secret of event webhook %s: %w", h.ID, cmp.Or(err, errShort))
	}
	key, text = plain[:secretSize], string(plain[secretSize:])
	if text != "" {
		return key, text, nil
	}
	text = h.URL
	if err := s.DB.SealEventWebhook(ctx, h.ID, ShownURL(text), s.seal(h.ID, key, text)); err != nil {
		return nil, "", fmt.Errorf("seal the URL of event webhook %s: %w", h.ID, err)
	}
	return key, text, nil
}

var errShort = errors.New("it is too short")

// ShownURL is a webhook's URL as lists show it: receivers know their callers by
// the last part of the path, or by the query, which are masked.
func ShownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return portolan.PasswordMask
	}
	shown := u.Scheme + "://" + u.Host
	path := strings.TrimRight(u.EscapedPath(), "/")
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		shown += path[:i+1] + portolan.PasswordMask
	}
	if u.RawQuery != "" {
		shown += "?" + portolan.PasswordMask
	}
	return shown
}

func newID() string { return "whk-" + strings.ToLower(rand.Text()[:16]) }

func (s *Service) check(h *store.EventWebhook) error {
	u, err := url.Parse(h.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" {
		return portolan.Invalid("Url", "must be a URL such as https://chat.example.com/hooks/portolan")
	}
	switch {
	case len(h.URL) > maxURL:
		return portolan.Invalid("Url", "must be at most %d bytes", maxURL)
	case u.User != nil:
		return portolan.Invalid("Url", "must not hold a user name or password: messages are signed instead")
	case u.Fragment != "":
		return portolan.Invalid("Url", "must not hold a fragment (#): it is never sent")
	case s.CheckAddress(u.Hostname()) != nil:
		return portolan.Refused("AddressForbidden", "Url leads to %s, an address that Portolan does not dial. Start the server with --allow-dial for its network if that is intended.", u.Hostname())
	}
	if len(h.Events) == 0 {
		return portolan.Missing("Events")
	}
	for _, e := range h.Events {
		if !slices.Contains(store.Events(), e) {
			return portolan.Invalid("Events", "holds %q; it may name %s", e, strings.Join(store.Events(), ", "))
		}
	}
	slices.Sort(h.Events)
	h.Events = slices.Compact(h.Events)
	return nil
}

// ErrNotExist is the answer for a webhook that the account does not have.
var ErrNotExist = portolan.Refused("EventWebhookNotExist", "The specified event webhook does not exist.")

// Delete deletes a webhook with its queue.
func (s *Service) Delete(ctx context.Context, account int64, id string) error {
	err := s.DB.DeleteEventWebhook(ctx, account, id)
	if errors.Is(err, store.ErrNotFound) {
		return ErrNotExist
	}
	return err
}

const (
	dispatchEvery = time.Second
	watchEvery    = time.Minute
	batch         = 100
)

// Start runs the schedule until Stop: messages get their jobs, and registries
// that are not read or whose credentials end are told of.
func (s *Service) Start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.wg.Go(func() { job.Every(ctx, 0, dispatchEvery, s.Log, "a scheduled task of events", s.Dispatch) })
	s.wg.Go(func() { job.Every(ctx, job.Housekeeping, watchEvery, s.Log, "a scheduled task of events", s.Watch) })
}

// Stop ends the schedule and waits for it.
func (s *Service) Stop() {
	if s.stop != nil {
		s.stop()
	}
	s.wg.Wait()
}

// Dispatch makes the jobs of messages that have none, each in the transaction
// that notes it.
func (s *Service) Dispatch(ctx context.Context) error {
	ids, err := s.DB.WaitingDeliveries(ctx, batch)
	if err != nil {
		return fmt.Errorf("look for messages: %w", err)
	}
	for _, id := range ids {
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			ours, err := tx.SendOff(ctx, id)
			if err != nil || !ours {
				return err
			}
			return s.AddJob(ctx, tx, id)
		})
		if err != nil {
			return fmt.Errorf("send off message %s: %w", id, err)
		}
	}
	return nil
}

// expiryDays are the days before the end of a credential on which it is told,
// the smallest first.
func expiryDays() []int { return []int{1, 3, 14} }

// Watch tells of registries that are not read to their end for long, and of
// credentials that are about to end.
func (s *Service) Watch(ctx context.Context) error {
	if _, err := s.DB.TellStale(ctx, s.Now().Add(-s.StaleAfter), batch); err != nil {
		return fmt.Errorf("look for registries that are not read: %w", err)
	}
	for _, days := range expiryDays() {
		if _, err := s.DB.TellExpiring(ctx, days, batch); err != nil {
			return fmt.Errorf("look for credentials that end: %w", err)
		}
	}
	return nil
}
