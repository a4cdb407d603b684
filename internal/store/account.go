package store

import (
	"context"
	"time"
)

// Account is a tenant.
type Account struct {
	ID        int64
	Name      string
	Suspended bool
	Created   time.Time
}

const accountColumns = `id, name, suspended, created`

func scanAccount(row scanner) (Account, error) {
	var a Account
	var suspended, created int64
	err := row.Scan(&a.ID, &a.Name, &suspended, &created)
	a.Suspended, a.Created = suspended != 0, instant(created)
	return a, err
}

// Accounts lists all accounts by id.
func (db *DB) Accounts(ctx context.Context) ([]Account, error) {
	var list []Account
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanAccount, `SELECT `+accountColumns+` FROM accounts ORDER BY id`)
		return err
	})
	return list, err
}

// AddAccount makes an account; ErrConflict if the id is taken.
func (tx *Tx) AddAccount(ctx context.Context, id int64, name string) error {
	_, err := tx.exec(ctx, `INSERT INTO accounts (id, name, created) VALUES ($1, $2, $3)`, id, name, millis(tx.Now()))
	return err
}

// SuspendAccount suspends or resumes an account; ErrNotFound if there is none.
func (tx *Tx) SuspendAccount(ctx context.Context, id int64, suspended bool) error {
	return tx.execOne(ctx, `UPDATE accounts SET suspended = $1, access_generation = access_generation + 1 WHERE id = $2`, flag(suspended), id)
}

// LockAccount keeps other writers of the account's registries out until the
// transaction ends; ErrNotFound for an unknown account. It comes before every
// other lock but that of images, so that no two transactions wait for each other.
func (tx *Tx) LockAccount(ctx context.Context, id int64) error {
	return tx.one(ctx, `SELECT id FROM accounts WHERE id = $1 @LOCK`, []any{id}, new(int64))
}

// nextRevision raises the account's count of registry changes. It holds the
// account's row until the transaction ends, so that revisions become visible
// in their order.
func (tx *Tx) nextRevision(ctx context.Context, account int64) (int64, error) {
	if tx.touched == nil {
		tx.touched = map[int64]bool{}
	}
	tx.touched[account] = true
	var revision int64
	err := tx.one(ctx, `UPDATE accounts SET registry_generation = registry_generation + 1 WHERE id = $1 RETURNING registry_generation`, []any{account}, &revision)
	return revision, err
}

// AccessGeneration counts changes of the account's keys, users and policies.
func (db *DB) AccessGeneration(ctx context.Context, account int64) (int64, error) {
	var generation int64
	err := db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT access_generation FROM accounts WHERE id = $1`, []any{account}, &generation)
	})
	return generation, err
}

// accessChanged raises the account's count of access changes. It comes before
// the change, whose account it locks.
func (tx *Tx) accessChanged(ctx context.Context, account int64) error {
	return tx.execOne(ctx, `UPDATE accounts SET access_generation = access_generation + 1 WHERE id = $1`, account)
}
