package store

import (
	"context"
	"time"

	"portolan"
)

// readingFacts are the facts of EventReadingFailing.
type readingFacts struct {
	SyncID       string `json:"SyncId"`
	Status       portolan.SyncStatus
	ErrorCode    portolan.ErrorClass
	ErrorMessage string
}

// announceFailing tells that a registry's readings fail, once until one is ok.
func (tx *Tx) announceFailing(ctx context.Context, s *portolan.Sync) error {
	n, err := tx.exec(ctx, `UPDATE registries SET failing = 1 WHERE id = $1 AND failing = 0 AND deleted = 0`, s.RegistryID)
	if err != nil || n == 0 {
		return err
	}
	return tx.announce(ctx, &event{
		kind: EventReadingFailing, account: s.AccountID, registry: s.RegistryID,
		facts: readingFacts{s.ID, s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage},
	})
}

// watched is a registry with something to tell.
type watched struct {
	account, registry int64
	since             time.Time
}

func (db *DB) watched(ctx context.Context, query string, args ...any) (list []watched, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		list, err = collect(ctx, tx, func(row scanner) (w watched, err error) {
			var since int64
			err = row.Scan(&w.account, &w.registry, &since)
			w.since = instant(since)
			return w, err
		}, query, args...)
		return err
	})
	return list, err
}

// staleFacts are the facts of EventReadingStale.
type staleFacts struct {
	LastComplete string `json:",omitempty"`
	Hours        int
}

// TellStale tells of up to limit registries that no reading of the whole was ok
// of since a time, each once until one is, and answers how many.
func (db *DB) TellStale(ctx context.Context, since time.Time, limit int) (told int, err error) {
	list, err := db.watched(ctx, `SELECT account_id, id, last_ok FROM registries WHERE deleted = 0 AND paused = 0 AND stale = 0 AND type <> 'CI/CD'
		AND CASE WHEN last_ok > 0 THEN last_ok ELSE created END < $1 ORDER BY id LIMIT $2`, millis(since), limit)
	for _, w := range list {
		err := db.Update(ctx, func(tx *Tx) error {
			n, err := tx.exec(ctx, `UPDATE registries SET stale = 1 WHERE id = $1 AND stale = 0 AND last_ok = $2 AND paused = 0`, w.registry, millis(w.since))
			if err != nil || n == 0 {
				return err
			}
			facts := staleFacts{Hours: int(tx.Now().Sub(since) / time.Hour)}
			if !w.since.IsZero() {
				facts.LastComplete = w.since.Format(time.RFC3339)
			}
			return tx.announce(ctx, &event{kind: EventReadingStale, account: w.account, registry: w.registry, facts: facts})
		})
		if err != nil {
			return told, err
		}
		told++
	}
	return told, err
}

// expiryFacts are the facts of EventCredentialExpiring.
type expiryFacts struct {
	CredentialExpires string
	Days              int
}

// TellExpiring tells of up to limit registries whose credential ends within so
// many days, each once for that number, and answers how many. It is called with
// the smallest number first.
func (db *DB) TellExpiring(ctx context.Context, days, limit int) (told int, err error) {
	until := db.now().Add(time.Duration(days) * 24 * time.Hour)
	list, err := db.watched(ctx, `SELECT account_id, id, credential_expires FROM registries WHERE credential_expires > 0 AND credential_expires <= $1
		AND deleted = 0 AND paused = 0 AND (credential_warned = 0 OR credential_warned > $2) ORDER BY id LIMIT $3`, millis(until), days, limit)
	for _, w := range list {
		err := db.Update(ctx, func(tx *Tx) error {
			n, err := tx.exec(ctx, `UPDATE registries SET credential_warned = $1 WHERE id = $2 AND credential_expires = $3 AND (credential_warned = 0 OR credential_warned > $1)`,
				days, w.registry, millis(w.since))
			if err != nil || n == 0 {
				return err
			}
			return tx.announce(ctx, &event{
				kind: EventCredentialExpiring, account: w.account, registry: w.registry,
				facts: expiryFacts{w.since.Format(time.RFC3339), days},
			})
		})
		if err != nil {
			return told, err
		}
		told++
	}
	return told, err
}
