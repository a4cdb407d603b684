package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"portolan"
)

// ErrLeaseLost is returned to a worker whose reading another one has taken
// over, or that has ended: whatever it was about to write is dropped.
var ErrLeaseLost = errors.New("another worker has taken over this reading")

const syncColumns = `id, account_id, registry_id, cause, status, whole, confirm_vanished, generation, created, started, ended, ledger`

func scanSync(row scanner) (*portolan.Sync, error) {
	var s portolan.Sync
	var whole, confirm, created, started, ended int64
	var ledger string
	err := row.Scan(&s.ID, &s.AccountID, &s.RegistryID, &s.Cause, &s.Status, &whole, &confirm, &s.Generation, &created, &started, &ended, &ledger)
	if err != nil {
		return nil, err
	}
	s.Full, s.ConfirmVanished = whole != 0, confirm != 0
	s.Created, s.Started, s.Ended = instant(created), instant(started), instant(ended)
	if err := json.Unmarshal([]byte(ledger), &s.Ledger); err != nil {
		return nil, fmt.Errorf("sync %s: read its ledger: %w", s.ID, err)
	}
	return &s, nil
}

// SyncRequest asks for a reading.
type SyncRequest struct {
	AccountID, RegistryID int64
	Cause                 string
	Full                  bool
	ConfirmVanished       bool
	// Fresh asks for a reading that starts after now: one that is running is
	// not joined.
	Fresh bool
	// NewID is the id if a new reading is made.
	NewID string
}

// RequestSync makes a waiting reading or joins one. start tells that a job has
// to be made for it: not when it was joined, nor while another one runs, whose
// end starts it. A paused registry gets none: the id is "" then.
func (tx *Tx) RequestSync(ctx context.Context, q SyncRequest) (id string, start bool, err error) {
	if err := tx.LockAccount(ctx, q.AccountID); err != nil {
		return "", false, err
	}
	if paused, err := tx.paused(ctx, q.RegistryID); err != nil || paused {
		return "", false, err
	}
	open, err := collect(ctx, tx, scanSync,
		`SELECT `+syncColumns+` FROM syncs WHERE registry_id = $1 AND status IN ('pending', 'running') ORDER BY status @LOCK`, q.RegistryID)
	if err != nil {
		return "", false, err
	}
	running := false
	for _, s := range open {
		joins, err := tx.joins(ctx, s, &q)
		if err != nil {
			return "", false, err
		}
		if joins {
			_, err := tx.exec(ctx, `UPDATE syncs SET whole = CASE WHEN status = 'pending' AND $1 = 1 THEN 1 ELSE whole END,
				confirm_vanished = CASE WHEN $2 = 1 THEN 1 ELSE confirm_vanished END WHERE id = $3`, flag(q.Full), flag(q.ConfirmVanished), s.ID)
			return s.ID, false, err
		}
		running = true
	}
	_, err = tx.exec(ctx, `INSERT INTO syncs (id, seq, account_id, registry_id, cause, status, whole, confirm_vanished, created)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM syncs WHERE registry_id = $2), $3, $2, $4, 'pending', $5, $6, $7)`,
		q.NewID, q.RegistryID, q.AccountID, q.Cause, flag(q.Full), flag(q.ConfirmVanished), millis(tx.Now()))
	return q.NewID, !running, err
}

// joins reports whether an open reading does what a request asks for. One of
// marked repositories never does, and one that runs does not if it is too late
// for it to confirm anything.
func (tx *Tx) joins(ctx context.Context, s *portolan.Sync, q *SyncRequest) (bool, error) {
	if s.Cause == portolan.CauseWebhook {
		return false, nil
	}
	if s.Status == portolan.SyncPending {
		return true, nil
	}
	if q.Fresh || q.Full && !s.Full {
		return false, nil
	}
	if !q.ConfirmVanished || s.ConfirmVanished {
		return true, nil
	}
	var decided int64
	err := tx.one(ctx, `SELECT decided FROM syncs WHERE id = $1`, []any{s.ID}, &decided)
	return decided == 0, err
}

// Sync answers a reading of a registry, the latest of the whole registry for
// id ""; ErrNotFound if there is none.
func (db *DB) Sync(ctx context.Context, account, registry int64, id string) (*portolan.Sync, error) {
	where, args := wholeSyncs, []any{account, registry}
	if id != "" {
		where, args = `account_id = $1 AND registry_id = $2 AND id = $3`, append(args, id)
	}
	list, _, err := db.syncs(ctx, where, args, 1, 0)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Syncs answers a page of a registry's readings, the latest first, and their
// number.
func (db *DB) Syncs(ctx context.Context, account, registry int64, page, size int) ([]*portolan.Sync, int, error) {
	return db.syncs(ctx, `account_id = $1 AND registry_id = $2`, []any{account, registry}, size, skipped(page, size))
}

// wholeSyncs are the readings of a registry but those of marked repositories.
const wholeSyncs = `account_id = $1 AND registry_id = $2 AND cause <> 'webhook'`

// WholeSyncs answers up to limit readings of the whole registry, the latest
// first.
func (db *DB) WholeSyncs(ctx context.Context, account, registry int64, limit int) ([]*portolan.Sync, error) {
	list, _, err := db.syncs(ctx, wholeSyncs, []any{account, registry}, limit, 0)
	return list, err
}

func (db *DB) syncs(ctx context.Context, where string, args []any, limit, offset int) (list []*portolan.Sync, total int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		if err := tx.one(ctx, `SELECT count(*) FROM syncs WHERE `+where, args, &total); err != nil {
			return err
		}
		n := len(args)
		list, err = collect(ctx, tx, scanSync, fmt.Sprintf(`SELECT %s FROM syncs WHERE %s ORDER BY seq DESC LIMIT $%d OFFSET $%d`, syncColumns, where, n+1, n+2),
			append(args[:n:n], limit, offset)...)
		return err
	})
	return list, total, err
}

// Lease is a worker's hold on a running reading. All that it writes goes
// through the lease, so that a twin that woke up late changes nothing.
type Lease struct {
	Sync *portolan.Sync
	// Plan is the engine's own record of where it is.
	Plan []byte
	// Failures counts slices in a row that failed for Portolan's own reasons.
	Failures int
	// First tells that no reading of the registry has brought anything yet.
	First bool
	owner string
	ttl   time.Duration
	stale bool
	// staged counts the repositories that were staged through it.
	staged growth
}

// Stale reports whether a write through the lease failed. What the worker has
// in memory may then differ from what the store has, and is not written any
// more: the next slice starts from the store.
func (l *Lease) Stale() bool { return l.stale }

var errStale = errors.New("an earlier write of this slice failed")

// leased runs a writing transaction of a reading: it proves that the lease is
// still held, and saves the plan and the ledger with whatever fn writes.
func (db *DB) leased(ctx context.Context, l *Lease, fn func(*Tx) error) error {
	return db.holding(ctx, l, (*Tx).hold, fn)
}

// leasedImages is leased for what writes images of the registry.
func (db *DB) leasedImages(ctx context.Context, l *Lease, fn func(*Tx) error) error {
	return db.holding(ctx, l, (*Tx).holdImages, fn)
}

func (db *DB) holding(ctx context.Context, l *Lease, hold func(*Tx, context.Context, *Lease) error, fn func(*Tx) error) error {
	err := db.Update(ctx, func(tx *Tx) error {
		if err := hold(tx, ctx, l); err != nil {
			return err
		}
		return fn(tx)
	})
	l.stale = l.stale || err != nil
	return err
}

// Claim takes a waiting or running reading for a worker. The first claim
// starts it. ErrLeaseLost if another worker holds it or it waits for another
// reading, ErrNotFound if it has ended.
func (db *DB) Claim(ctx context.Context, id, owner string, ttl time.Duration) (*Lease, error) {
	l := &Lease{owner: owner, ttl: ttl}
	err := db.Update(ctx, func(tx *Tx) error {
		now := millis(tx.Now())
		var plan, status string
		var account, registry, workedWith int64
		err := tx.one(ctx, `SELECT s.account_id, s.registry_id, s.status, r.worked_with FROM syncs s JOIN registries r ON r.id = s.registry_id
			WHERE s.id = $1 AND s.status IN ('pending', 'running')`, []any{id}, &account, &registry, &status, &workedWith)
		if err != nil {
			return err
		}
		l.First = workedWith == 0
		if status == string(portolan.SyncPending) {
			if err := tx.LockAccount(ctx, account); err != nil {
				return err
			}
		}
		started, err := tx.exec(ctx, `UPDATE syncs SET status = 'running', started = $1, staging = 1,
				generation = (SELECT published + 1 FROM registries WHERE id = syncs.registry_id)
			WHERE id = $2 AND status = 'pending' AND NOT EXISTS (SELECT 1 FROM syncs o WHERE o.registry_id = syncs.registry_id AND o.status = 'running')`, now, id)
		if err != nil {
			return err
		}
		err = tx.one(ctx, `UPDATE syncs SET lease_owner = $1, lease_until = $2
			WHERE id = $3 AND status = 'running' AND (lease_owner = $1 OR lease_until < $4) RETURNING plan, failures`,
			[]any{owner, now + ttl.Milliseconds(), id, now}, &plan, &l.Failures)
		if errors.Is(err, ErrNotFound) {
			return ErrLeaseLost
		}
		if err != nil {
			return err
		}
		l.Plan = []byte(plan)
		if started > 0 {
			if err := tx.showSyncing(ctx, account, registry); err != nil {
				return err
			}
		}
		list, err := collect(ctx, tx, scanSync, `SELECT `+syncColumns+` FROM syncs WHERE id = $1`, id)
		if err == nil && len(list) == 1 {
			l.Sync = list[0]
		}
		return err
	})
	return l, err
}

func (tx *Tx) showSyncing(ctx context.Context, account, registry int64) error {
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE registries SET revision = $1, sync_status = 'syncing' WHERE id = $2`, revision, registry)
	return err
}

// hold proves that the lease is still held, prolongs it and saves the plan and
// the ledger.
func (tx *Tx) hold(ctx context.Context, l *Lease) error { return tx.holdAnd(ctx, l, ``) }

// holdImages is hold and lockImages, in one round trip.
func (tx *Tx) holdImages(ctx context.Context, l *Lease) error {
	tx.noteBlocks(l.Sync.RegistryID)
	return tx.holdAnd(ctx, l, `@HOLDIMAGES`)
}

func (tx *Tx) holdAnd(ctx context.Context, l *Lease, and string) error {
	if l.stale {
		return errStale
	}
	ledger, err := json.Marshal(l.Sync.Ledger)
	if err != nil {
		return err
	}
	n, err := tx.exec(ctx, `UPDATE syncs SET lease_until = $1, plan = $2, ledger = $3 WHERE id = $4 AND lease_owner = $5 AND status = 'running' `+and,
		millis(tx.Now().Add(l.ttl)), string(l.Plan), string(ledger), l.Sync.ID, l.owner)
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

// Release gives the lease back, so that the next slice need not wait for it to
// run out.
func (db *DB) Release(ctx context.Context, l *Lease) error {
	return db.leased(ctx, l, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE syncs SET lease_until = 0, failures = 0 WHERE id = $1`, l.Sync.ID)
		return err
	})
}

// NoteFailure counts a slice that failed and gives the lease back.
func (db *DB) NoteFailure(ctx context.Context, l *Lease) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `UPDATE syncs SET lease_until = 0, failures = failures + 1 WHERE id = $1 AND lease_owner = $2`, l.Sync.ID, l.owner)
		return err
	})
}

// Decide reports whether somebody has asked this reading to believe that images
// are gone. It can be asked while the reading runs, until this call: a later
// request makes another reading.
func (db *DB) Decide(ctx context.Context, l *Lease) (confirmed bool, err error) {
	err = db.leased(ctx, l, func(tx *Tx) error {
		var confirm int64
		err := tx.one(ctx, `UPDATE syncs SET decided = 1 WHERE id = $1 RETURNING confirm_vanished`, []any{l.Sync.ID}, &confirm)
		confirmed = confirm != 0
		return err
	})
	return confirmed, err
}

// Finish is how a reading ends.
type Finish struct {
	// CountDelta is by how much the generation changes the number of images.
	CountDelta int
	// NextSync is when the registry is to be read next; zero leaves that as it
	// is.
	NextSync time.Time
	Guard    string
	// CredentialVersion is the version that worked, 0 if it did not.
	CredentialVersion int64
	// CredentialExpires is when the credential ends, zero for never; nil if the
	// source does not tell.
	CredentialExpires *time.Time
	// Changes counts what CollectChanges wrote down.
	Changes ChangeCounts
	// Early tells that the registry's settings ended the reading: that is no
	// failure.
	Early bool
}

// expires is CredentialExpires in milliseconds, -1 for nil.
func (f *Finish) expires() int64 {
	if f.CredentialExpires == nil {
		return -1
	}
	return millis(*f.CredentialExpires)
}

// Finish publishes the generation with its count and ends the reading, in one
// transaction whose size does not depend on the number of images. waiting is
// the id of a reading that was waiting for this one to end, or "".
func (tx *Tx) Finish(ctx context.Context, l *Lease, f Finish) (waiting string, err error) {
	s := l.Sync
	revision, err := tx.nextRevision(ctx, s.AccountID)
	if err != nil {
		return "", err
	}
	if err := tx.hold(ctx, l); err != nil {
		return "", err
	}
	s.Ended = tx.Now()
	if _, err := tx.exec(ctx, `UPDATE syncs SET status = $1, ended = $2, lease_owner = '', lease_until = 0 WHERE id = $3`,
		s.Status, millis(s.Ended), s.ID); err != nil {
		return "", err
	}
	if s.Cause == portolan.CauseWebhook {
		err = tx.publishHinted(ctx, s, &f, revision)
	} else {
		err = tx.publishWhole(ctx, s, &f, revision)
	}
	if err != nil {
		return "", err
	}
	if err := tx.publishChanges(ctx, changeSet{s.ID, s.AccountID, s.RegistryID, s.Generation, f.Changes}); err != nil {
		return "", err
	}
	err = tx.one(ctx, `SELECT id FROM syncs WHERE registry_id = $1 AND status = 'pending'`, []any{s.RegistryID}, &waiting)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	return waiting, err
}

// publishWhole publishes what a reading of the whole registry found, and how
// it ended.
func (tx *Tx) publishWhole(ctx context.Context, s *portolan.Sync, f *Finish, revision int64) error {
	_, err := tx.exec(ctx, `UPDATE registries SET revision = $1, published = $2, image_count = image_count + $3, sync_status = $4,
			repository_count = (SELECT count(*) FROM repositories p WHERE p.registry_id = registries.id AND p.born <= $2 AND (p.gone = 0 OR p.gone > $2)),
			sync_error = $5, sync_message = $6, last_sync = $7, guard = $9,
			next_sync = CASE WHEN deleted > 0 OR paused > 0 THEN 0 WHEN CAST($8 AS BIGINT) > 0 THEN CAST($8 AS BIGINT) ELSE next_sync END,
			worked_with = CASE WHEN CAST($10 AS BIGINT) > 0 THEN CAST($10 AS BIGINT) ELSE worked_with END,
			credential_warned = CASE WHEN CAST($12 AS BIGINT) >= 0 AND credential_expires <> $12 THEN 0 ELSE credential_warned END,
			credential_expires = CASE WHEN CAST($12 AS BIGINT) >= 0 THEN $12 ELSE credential_expires END,
			last_ok = CASE WHEN CAST($13 AS BIGINT) = 1 THEN $7 ELSE last_ok END, stale = CASE WHEN CAST($13 AS BIGINT) = 1 THEN 0 ELSE stale END,
			failing = CASE WHEN CAST($13 AS BIGINT) = 1 THEN 0 ELSE failing END
		WHERE id = $11`,
		revision, s.Generation, f.CountDelta, s.Status, s.Ledger.ErrorCode, s.Ledger.ErrorMessage, millis(s.Ended), millis(f.NextSync), f.Guard,
		f.CredentialVersion, s.RegistryID, f.expires(), flag(s.Status == portolan.SyncOK))
	if err != nil {
		return err
	}
	if s.Status != portolan.SyncOK && !f.Early {
		if err := tx.announceFailing(ctx, s); err != nil {
			return err
		}
	}
	return tx.dropSatisfied(ctx, s)
}
