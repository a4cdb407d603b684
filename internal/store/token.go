package store

import (
	"context"
	"errors"
	"time"

	"portolan"
)

// Tokens is what the store has of a registry's tokens: keyed hashes, nil for
// none.
type Tokens struct {
	Hash     []byte
	OldHash  []byte
	OldUntil time.Time
}

// Holder is a CI/CD registry that has a token.
type Holder struct {
	// Registry is nil unless the token is the registry's; Known tells that there
	// is one.
	Registry  *portolan.Registry
	Known     bool
	Suspended bool // its account is
}

// SetToken gives a CI/CD registry a token: the characters that may be shown,
// and the hash. The one before stays valid until a time, zero for not at all.
// ErrNotFound if there is no such registry of that type.
func (tx *Tx) SetToken(ctx context.Context, account, id int64, prefix string, hash []byte, oldUntil time.Time) error {
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE registries SET revision = $1, modified = $2, token_prefix = $3,
			old_token_hash = CASE WHEN CAST($4 AS BIGINT) > 0 THEN token_hash ELSE NULL END, old_token_until = $4, token_hash = $5
		WHERE account_id = $6 AND id = $7 AND type = 'CI/CD' AND deleted = 0`,
		revision, millis(tx.Now()), prefix, millis(oldUntil), hash, account, id)
}

// Holder answers the CI/CD registry of an id, of any account, if has says that
// its tokens are right. has is asked once, also for an id of no registry, and
// before anything else is read: how long an answer takes tells nobody which ids
// there are.
func (db *DB) Holder(ctx context.Context, id int64, has func(Tokens) bool) (Holder, error) {
	var h Holder
	err := db.View(ctx, func(tx *Tx) error {
		var t Tokens
		var account, suspended, oldUntil int64
		err := tx.one(ctx, `SELECT r.account_id, a.suspended, r.token_hash, r.old_token_hash, r.old_token_until
			FROM registries r JOIN accounts a ON a.id = r.account_id WHERE r.id = $1 AND r.type = 'CI/CD' AND r.deleted = 0`,
			[]any{id}, &account, &suspended, &t.Hash, &t.OldHash, &oldUntil)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		h.Known, h.Suspended, t.OldUntil = err == nil, suspended != 0, instant(oldUntil)
		if !has(t) || !h.Known {
			return nil
		}
		h.Registry, err = tx.Registry(ctx, account, id)
		return err
	})
	return h, err
}

// HolderOf answers the CI/CD registry of an account that has a token, by its
// hash; ErrNotFound if none has it now.
func (db *DB) HolderOf(ctx context.Context, account int64, hash []byte) (*portolan.Registry, error) {
	var r *portolan.Registry
	err := db.View(ctx, func(tx *Tx) error {
		var id int64
		err := tx.one(ctx, `SELECT id FROM registries WHERE account_id = $1 AND token_hash = $2 AND deleted = 0`, []any{account, hash}, &id)
		if errors.Is(err, ErrNotFound) {
			err = tx.one(ctx, `SELECT id FROM registries WHERE account_id = $1 AND old_token_hash = $2 AND old_token_until > $3 AND deleted = 0`,
				[]any{account, hash, millis(tx.Now())}, &id)
		}
		if err != nil {
			return err
		}
		r, err = tx.Registry(ctx, account, id)
		return err
	})
	return r, err
}
