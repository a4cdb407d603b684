package store

import (
	"context"
	"time"
)

// User is a RAM user of an account.
type User struct {
	ID        int64
	AccountID int64
	Name      string
	Created   time.Time
}

// AccessKey is a key of a user, or of the account itself when UserID is 0.
// Secret is sealed.
type AccessKey struct {
	ID        string
	AccountID int64
	UserID    int64
	Secret    []byte
	Active    bool
	Created   time.Time
}

// Policy is a custom policy of an account.
type Policy struct {
	AccountID   int64
	Name        string
	Description string
	Document    string
	Created     time.Time
	Modified    time.Time
}

// Policy types.
const (
	PolicyCustom = "Custom"
	PolicySystem = "System"
)

// Attachment ties a policy to a user. Document is empty for a system policy.
type Attachment struct {
	Type, Name, Document string
}

// Access is all that is needed to authenticate and authorise the bearer of a
// key.
type Access struct {
	Key         AccessKey
	UserName    string
	Suspended   bool
	Generation  int64
	Attachments []Attachment
}

// Access reads the key and everything that its bearer may do; ErrNotFound for
// an unknown key.
func (db *DB) Access(ctx context.Context, keyID string) (Access, error) {
	var a Access
	err := db.View(ctx, func(tx *Tx) error {
		var active, created, suspended int64
		err := tx.one(ctx, `SELECT k.id, k.account_id, k.user_id, k.secret, k.active, k.created, COALESCE(u.name, ''), a.suspended, a.access_generation
			FROM access_keys k JOIN accounts a ON a.id = k.account_id LEFT JOIN users u ON u.id = k.user_id
			WHERE k.id = $1`, []any{keyID},
			&a.Key.ID, &a.Key.AccountID, &a.Key.UserID, &a.Key.Secret, &active, &created, &a.UserName, &suspended, &a.Generation)
		if err != nil {
			return err
		}
		a.Key.Active, a.Key.Created, a.Suspended = active != 0, instant(created), suspended != 0
		a.Attachments, err = tx.attachments(ctx, a.Key.AccountID, a.Key.UserID)
		return err
	})
	return a, err
}

func (tx *Tx) attachments(ctx context.Context, account, user int64) ([]Attachment, error) {
	return collect(ctx, tx, func(row scanner) (a Attachment, err error) {
		return a, row.Scan(&a.Type, &a.Name, &a.Document)
	}, `SELECT t.policy_type, COALESCE(p.name, t.policy_name), COALESCE(p.document, '')
		FROM policy_attachments t
		LEFT JOIN policies p ON p.account_id = t.account_id AND p.name_folded = t.policy_name AND t.policy_type = 'Custom'
		WHERE t.account_id = $1 AND t.user_id = $2
		ORDER BY t.policy_type, t.policy_name`, account, user)
}

// Attachments lists what is attached to a user.
func (db *DB) Attachments(ctx context.Context, account, user int64) ([]Attachment, error) {
	var list []Attachment
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = tx.attachments(ctx, account, user)
		return err
	})
	return list, err
}

// AddUser makes a user; ErrConflict if the account has one of that name.
func (tx *Tx) AddUser(ctx context.Context, u User, folded string) error {
	_, err := tx.exec(ctx, `INSERT INTO users (id, account_id, name, name_folded, created) VALUES ($1, $2, $3, $4, $5)`,
		u.ID, u.AccountID, u.Name, folded, millis(tx.Now()))
	return err
}

// Users lists the users of an account by name.
func (db *DB) Users(ctx context.Context, account int64) ([]User, error) {
	var list []User
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanUser, `SELECT id, account_id, name, created FROM users WHERE account_id = $1 ORDER BY name_folded`, account)
		return err
	})
	return list, err
}

func scanUser(row scanner) (User, error) {
	var u User
	var created int64
	err := row.Scan(&u.ID, &u.AccountID, &u.Name, &created)
	u.Created = instant(created)
	return u, err
}

// User finds a user by the folded name; ErrNotFound if there is none.
func (tx *Tx) User(ctx context.Context, account int64, folded string) (User, error) {
	var u User
	var created int64
	err := tx.one(ctx, `SELECT id, account_id, name, created FROM users WHERE account_id = $1 AND name_folded = $2`,
		[]any{account, folded}, &u.ID, &u.AccountID, &u.Name, &created)
	u.Created = instant(created)
	return u, err
}

// DeleteUser deletes a user with its keys and attachments.
func (tx *Tx) DeleteUser(ctx context.Context, account, user int64) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM access_keys WHERE account_id = $1 AND user_id = $2`,
		`DELETE FROM policy_attachments WHERE account_id = $1 AND user_id = $2`,
		`DELETE FROM users WHERE account_id = $1 AND id = $2`,
	} {
		if _, err := tx.exec(ctx, q, account, user); err != nil {
			return err
		}
	}
	return nil
}

// AddAccessKey makes a key.
func (tx *Tx) AddAccessKey(ctx context.Context, k AccessKey) error {
	if err := tx.accessChanged(ctx, k.AccountID); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO access_keys (id, account_id, user_id, secret, active, created) VALUES ($1, $2, $3, $4, 1, $5)`,
		k.ID, k.AccountID, k.UserID, k.Secret, millis(tx.Now()))
	return err
}

// AccessKeys lists the keys of a user, or of the account itself for user 0.
// The secrets are left out.
func (db *DB) AccessKeys(ctx context.Context, account, user int64) ([]AccessKey, error) {
	var list []AccessKey
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanAccessKey,
			`SELECT id, account_id, user_id, active, created FROM access_keys WHERE account_id = $1 AND user_id = $2 ORDER BY created, id`, account, user)
		return err
	})
	return list, err
}

func scanAccessKey(row scanner) (AccessKey, error) {
	var k AccessKey
	var active, created int64
	err := row.Scan(&k.ID, &k.AccountID, &k.UserID, &active, &created)
	k.Active, k.Created = active != 0, instant(created)
	return k, err
}

// CountAccessKeys counts the keys of a user, or of the account itself for user
// 0.
func (tx *Tx) CountAccessKeys(ctx context.Context, account, user int64) (int, error) {
	var n int
	err := tx.one(ctx, `SELECT count(*) FROM access_keys WHERE account_id = $1 AND user_id = $2`, []any{account, user}, &n)
	return n, err
}

// SetAccessKeyActive enables or disables a key; ErrNotFound if the account has
// none of that id.
func (tx *Tx) SetAccessKeyActive(ctx context.Context, account int64, id string, active bool) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE access_keys SET active = $1 WHERE account_id = $2 AND id = $3`, flag(active), account, id)
}

// DeleteAccessKey deletes a key; ErrNotFound if the account has none of that
// id.
func (tx *Tx) DeleteAccessKey(ctx context.Context, account int64, id string) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	return tx.execOne(ctx, `DELETE FROM access_keys WHERE account_id = $1 AND id = $2`, account, id)
}

// PutPolicy makes or replaces a custom policy.
func (tx *Tx) PutPolicy(ctx context.Context, p Policy, folded string) error {
	if err := tx.accessChanged(ctx, p.AccountID); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO policies (account_id, name, name_folded, description, document, created, modified)
		VALUES ($1, $2, $3, $4, $5, $6, $6)
		ON CONFLICT (account_id, name_folded) DO UPDATE SET description = excluded.description, document = excluded.document, modified = excluded.modified`,
		p.AccountID, p.Name, folded, p.Description, p.Document, millis(tx.Now()))
	return err
}

// Policies lists the custom policies of an account by name.
func (db *DB) Policies(ctx context.Context, account int64) ([]Policy, error) {
	var list []Policy
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanPolicy,
			`SELECT account_id, name, description, document, created, modified FROM policies WHERE account_id = $1 ORDER BY name_folded`, account)
		return err
	})
	return list, err
}

func scanPolicy(row scanner) (Policy, error) {
	var p Policy
	var created, modified int64
	err := row.Scan(&p.AccountID, &p.Name, &p.Description, &p.Document, &created, &modified)
	p.Created, p.Modified = instant(created), instant(modified)
	return p, err
}

// DeletePolicy deletes a custom policy; ErrNotFound if there is none,
// ErrConflict while it is attached to a user.
func (tx *Tx) DeletePolicy(ctx context.Context, account int64, folded string) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	var attached int
	if err := tx.one(ctx, `SELECT count(*) FROM policy_attachments WHERE account_id = $1 AND policy_type = 'Custom' AND policy_name = $2`,
		[]any{account, folded}, &attached); err != nil {
		return err
	}
	if attached > 0 {
		return ErrConflict
	}
	return tx.execOne(ctx, `DELETE FROM policies WHERE account_id = $1 AND name_folded = $2`, account, folded)
}

// CountAttachments counts what is attached to a user of one type.
func (tx *Tx) CountAttachments(ctx context.Context, account, user int64, policyType string) (int, error) {
	var n int
	err := tx.one(ctx, `SELECT count(*) FROM policy_attachments WHERE account_id = $1 AND user_id = $2 AND policy_type = $3`, []any{account, user, policyType}, &n)
	return n, err
}

// CountAccess counts the users and the custom policies of an account.
func (tx *Tx) CountAccess(ctx context.Context, account int64) (users, policies int, err error) {
	err = tx.one(ctx, `SELECT (SELECT count(*) FROM users WHERE account_id = $1), (SELECT count(*) FROM policies WHERE account_id = $1)`,
		[]any{account}, &users, &policies)
	return users, policies, err
}

// Attach attaches a policy to a user; ErrConflict if it is attached, and
// ErrNotFound for a custom policy that does not exist. name is folded for a
// custom policy and as spelled by the system for a system policy.
func (tx *Tx) Attach(ctx context.Context, account, user int64, policyType, name string) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	if policyType == PolicyCustom {
		var found string
		if err := tx.one(ctx, `SELECT name FROM policies WHERE account_id = $1 AND name_folded = $2`, []any{account, name}, &found); err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, `INSERT INTO policy_attachments (account_id, user_id, policy_type, policy_name, created) VALUES ($1, $2, $3, $4, $5)`,
		account, user, policyType, name, millis(tx.Now()))
	return err
}

// Detach takes a policy from a user; ErrNotFound if it was not attached.
func (tx *Tx) Detach(ctx context.Context, account, user int64, policyType, name string) error {
	if err := tx.accessChanged(ctx, account); err != nil {
		return err
	}
	return tx.execOne(ctx, `DELETE FROM policy_attachments WHERE account_id = $1 AND user_id = $2 AND policy_type = $3 AND policy_name = $4`,
		account, user, policyType, name)
}

// UseNonce remembers that a key used a nonce, until it expires; ErrConflict if
// it was used before. One acceptance holds over all servers of the store.
func (db *DB) UseNonce(ctx context.Context, keyID string, hash []byte, expires time.Time) error {
	return db.Update(ctx, func(tx *Tx) error {
		_, err := tx.exec(ctx, `INSERT INTO nonces (access_key_id, nonce_hash, expires) VALUES ($1, $2, $3)`, keyID, hash, millis(expires))
		return err
	})
}
