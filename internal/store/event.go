package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"portolan"
)

// Events that webhooks can be told of, as the wire spells them.
const (
	EventImageAdded         = "image.added"
	EventImageGone          = "image.gone"
	EventImageRetagged      = "image.retagged"
	EventReadingFailing     = "reading.failing"
	EventReadingStale       = "reading.stale"
	EventCredentialExpiring = "credential.expiring"
)

// Events lists all events.
func Events() []string {
	return []string{EventImageAdded, EventImageGone, EventImageRetagged, EventReadingFailing, EventReadingStale, EventCredentialExpiring}
}

// EventWebhook is a receiver of events.
type EventWebhook struct {
	ID        string
	AccountID int64
	// RegistryID is 0 for those of all registries.
	RegistryID int64
	// URL is what may be shown of it; all of it in a webhook of an older version,
	// until that is called.
	URL    string
	Events []string
	// Secret is sealed: the signing key, and the URL.
	Secret  []byte
	Created time.Time
	// Failing is since when nothing arrives, zero while all is well.
	Failing time.Time
	// Dropped counts events for which there was no place in the queue, Queued
	// those that wait in it.
	Dropped, Queued int
	// LastAt, LastEvent and LastOutcome tell of the last attempt.
	LastAt                 time.Time
	LastEvent, LastOutcome string
}

// event is what webhooks are told.
type event struct {
	kind              string
	account, registry int64
	// set is that of the changes which the event tells of; facts is JSON.
	set   string
	facts any
}

const (
	// MaxEventWebhooks is how many an account may have.
	MaxEventWebhooks = 100
	// MaxQueuedEvents is how many messages to one may wait.
	MaxQueuedEvents = 100
	// EventDays is how long messages are remembered that have ended.
	EventDays = 7
)

// announce makes the messages of an event, in the transaction of what it tells
// of, so that none is lost or doubled.
func (tx *Tx) announce(ctx context.Context, e *event) error {
	hooks, err := collect(ctx, tx, scanEventWebhook, eventWebhooks+` WHERE account_id = $1 AND (registry_id = 0 OR registry_id = $2)`, e.account, e.registry)
	if err != nil {
		return err
	}
	facts, err := json.Marshal(e.facts)
	if err != nil {
		return err
	}
	for _, h := range hooks {
		if !slices.Contains(h.Events, e.kind) {
			continue
		}
		if h.Queued >= MaxQueuedEvents {
			if _, err := tx.exec(ctx, `UPDATE event_webhooks SET dropped = dropped + 1 WHERE id = $1`, h.ID); err != nil {
				return err
			}
			continue
		}
		_, err := tx.exec(ctx, `INSERT INTO event_deliveries (id, webhook_id, account_id, registry_id, event, set_id, facts, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			"msg_"+rand.Text(), h.ID, e.account, e.registry, e.kind, e.set, string(facts), millis(tx.Now()))
		if err != nil {
			return err
		}
	}
	return nil
}

const eventWebhooks = `SELECT id, account_id, registry_id, url, events, secret, created, failing, dropped, last_at, last_event, last_outcome,
	(SELECT count(*) FROM event_deliveries d WHERE d.webhook_id = event_webhooks.id AND d.ended = 0) FROM event_webhooks`

func scanEventWebhook(row scanner) (h EventWebhook, err error) {
	var events string
	var created, failing, lastAt int64
	err = row.Scan(&h.ID, &h.AccountID, &h.RegistryID, &h.URL, &events, &h.Secret, &created, &failing, &h.Dropped, &lastAt, &h.LastEvent, &h.LastOutcome, &h.Queued)
	h.Events = strings.Split(events, ",")
	h.Created, h.Failing, h.LastAt = instant(created), instant(failing), instant(lastAt)
	return h, err
}

// ErrTooMany is returned when an account has as many of a thing as it may have.
var ErrTooMany = portolan.Refused("LimitExceeded.EventWebhook", "An account has up to %d event webhooks.", MaxEventWebhooks)

// AddEventWebhook makes a webhook, whose Created is set. ErrTooMany if the
// account has MaxEventWebhooks.
func (db *DB) AddEventWebhook(ctx context.Context, h *EventWebhook) error {
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.LockAccount(ctx, h.AccountID); err != nil {
			return err
		}
		var n int
		if err := tx.one(ctx, `SELECT count(*) FROM event_webhooks WHERE account_id = $1`, []any{h.AccountID}, &n); err != nil {
			return err
		}
		if n >= MaxEventWebhooks {
			return ErrTooMany
		}
		h.Created = instant(millis(tx.Now()))
		_, err := tx.exec(ctx, `INSERT INTO event_webhooks (id, account_id, registry_id, url, events, secret, created) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			h.ID, h.AccountID, h.RegistryID, h.URL, strings.Join(h.Events, ","), h.Secret, millis(h.Created))
		return err
	})
}

// SealEventWebhook changes what is sealed of a webhook, and what may be shown of
// its URL.
func (db *DB) SealEventWebhook(ctx context.Context, id, shown string, secret []byte) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE event_webhooks SET url = $1, secret = $2 WHERE id = $3`, shown, secret, id)
		return err
	})
}

// EventWebhooks answers a page (from 1) of an account's webhooks, the newest
// first, and their number.
func (db *DB) EventWebhooks(ctx context.Context, account int64, page, size int) (list []EventWebhook, total int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		if err := tx.one(ctx, `SELECT count(*) FROM event_webhooks WHERE account_id = $1`, []any{account}, &total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanEventWebhook, eventWebhooks+` WHERE account_id = $1 ORDER BY created DESC, id DESC LIMIT $2 OFFSET $3`,
			account, size, skipped(page, size))
		return err
	})
	return list, total, err
}

// EventWebhook answers a webhook of an account; ErrNotFound if it has none of
// that id.
func (db *DB) EventWebhook(ctx context.Context, account int64, id string) (h EventWebhook, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		h, err = tx.eventWebhook(ctx, account, id)
		return err
	})
	return h, err
}

func (tx *Tx) eventWebhook(ctx context.Context, account int64, id string) (EventWebhook, error) {
	list, err := collect(ctx, tx, scanEventWebhook, eventWebhooks+` WHERE account_id = $1 AND id = $2`, account, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return EventWebhook{}, err
	}
	return list[0], nil
}

// DeleteEventWebhook deletes a webhook with its queue; ErrNotFound if the
// account has none of that id.
func (db *DB) DeleteEventWebhook(ctx context.Context, account int64, id string) error {
	return db.Update(ctx, func(tx *Tx) error {
		if err := tx.execOne(ctx, `DELETE FROM event_webhooks WHERE account_id = $1 AND id = $2`, account, id); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `DELETE FROM event_deliveries WHERE webhook_id = $1`, id)
		return err
	})
}

// Delivery is a message to a webhook.
type Delivery struct {
	ID        string
	Event     string
	AccountID int64
	// Registry is nil when it was deleted and purged.
	Registry *portolan.Registry
	Webhook  EventWebhook
	SetID    string
	// Facts is a JSON object, or null.
	Facts    json.RawMessage
	Created  time.Time
	Attempts int
}

// Delivery answers a message that has not ended; ErrNotFound otherwise.
func (db *DB) Delivery(ctx context.Context, id string) (d Delivery, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		var webhook, facts string
		var registry, created int64
		err := tx.one(ctx, `SELECT id, event, account_id, registry_id, webhook_id, set_id, facts, created, attempts FROM event_deliveries WHERE id = $1 AND ended = 0`,
			[]any{id}, &d.ID, &d.Event, &d.AccountID, &registry, &webhook, &d.SetID, &facts, &created, &d.Attempts)
		if err != nil {
			return err
		}
		d.Facts, d.Created = json.RawMessage(facts), instant(created)
		if d.Webhook, err = tx.eventWebhook(ctx, d.AccountID, webhook); err != nil {
			return err
		}
		list, err := collect(ctx, tx, scanRegistry, `SELECT `+registryColumns+` FROM registries WHERE id = $1`, registry)
		if len(list) > 0 {
			d.Registry = list[0]
		}
		return err
	})
	return d, err
}

// WaitingDeliveries answers up to limit messages for which there is no job yet.
func (db *DB) WaitingDeliveries(ctx context.Context, limit int) (ids []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		ids, err = collect(ctx, tx, scanValue[string],
			`SELECT id FROM event_deliveries WHERE sent_off = 0 ORDER BY created, id LIMIT $1`, limit)
		return err
	})
	return ids, err
}

// SendOff notes that a message gets its job in this transaction; false if it
// has one.
func (tx *Tx) SendOff(ctx context.Context, id string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE event_deliveries SET sent_off = 1 WHERE id = $1 AND sent_off = 0`, id)
	return n > 0, err
}

// Attempt is what became of one attempt to deliver a message.
type Attempt struct {
	// Outcome says it for people.
	Outcome string
	// Arrived tells that the receiver took it, Over that it is not tried again.
	Arrived, Over bool
}

// NoteAttempt notes an attempt with the webhook's state.
func (db *DB) NoteAttempt(ctx context.Context, d *Delivery, a Attempt) error {
	return db.Update(ctx, func(tx *Tx) error {
		now := millis(tx.Now())
		if _, err := tx.exec(ctx, `UPDATE event_deliveries SET attempts = attempts + 1, ended = CASE WHEN $1 = 1 THEN $2 ELSE ended END WHERE id = $3`,
			flag(a.Over || a.Arrived), now, d.ID); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE event_webhooks SET last_at = $1, last_event = $2, last_outcome = $3,
			failing = CASE WHEN $4 = 1 THEN 0 WHEN $5 = 1 AND failing = 0 THEN $1 ELSE failing END WHERE id = $6`,
			now, d.Event, a.Outcome, flag(a.Arrived), flag(a.Over), d.Webhook.ID)
		return err
	})
}
