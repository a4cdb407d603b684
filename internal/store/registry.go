package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"portolan"
)

// registryColumns begin with the listedColumns.
const (
	registryColumns = listedColumns + `, account_id, domain_name, host_ip, port, protocol, net_type, vpc_id, version,
	user_name, has_password, jenkins_env, white_list, black_list, token_prefix, trans_per_hour, persistence_day,
	modified, sync_status, sync_error, sync_message, last_sync, paused, last_event, credential_expires`

	noExtra = "{}" // the extra settings of most
)

func scanRegistry(row scanner) (*portolan.Registry, error) {
	var r portolan.Registry
	var created, modified, deleted, lastSync, lastEvent, hasPassword, paused, expires int64
	var extra string
	err := row.Scan(&r.ID, &r.Type, &r.Name, &r.RegionID, &r.InstanceID, &created, &deleted, &r.ImageCount, &r.RepositoryCount, &extra,
		&r.AccountID, &r.DomainName, &r.HostIP, &r.Port, &r.Protocol, &r.NetType, &r.VpcID, &r.Version,
		&r.UserName, &hasPassword, &r.JenkinsEnv, &r.WhiteList, &r.BlackList, &r.TokenPrefix, &r.TransPerHour, &r.PersistenceDay,
		&modified, &r.SyncStatus, &r.SyncError, &r.SyncMessage, &lastSync, &paused, &lastEvent, &expires)
	if err != nil {
		return nil, err
	}
	r.HasPassword, r.Paused = hasPassword != 0, paused != 0
	r.LastEvent, r.CredentialExpires = instant(lastEvent), instant(expires)
	r.Created, r.Modified, r.Deleted, r.LastSync = instant(created), instant(modified), instant(deleted), instant(lastSync)
	if extra == noExtra {
		return &r, nil
	}
	if err := json.Unmarshal([]byte(extra), &r.Extra); err != nil {
		return nil, fmt.Errorf("registry %d: read its extra settings: %w", r.ID, err)
	}
	return &r, nil
}

// Registry answers an entry that has not been deleted; ErrNotFound otherwise,
// also for one of another account.
func (db *DB) Registry(ctx context.Context, account, id int64) (*portolan.Registry, error) {
	var r *portolan.Registry
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		r, err = tx.Registry(ctx, account, id)
		return err
	})
	return r, err
}

// Registry is DB.Registry inside a transaction. In a writing one nobody else
// changes a registry of the account until it ends.
func (tx *Tx) Registry(ctx context.Context, account, id int64) (*portolan.Registry, error) {
	if tx.writes {
		if err := tx.LockAccount(ctx, account); err != nil {
			return nil, err
		}
	}
	list, err := collect(ctx, tx, scanRegistry,
		`SELECT `+registryColumns+` FROM registries WHERE account_id = $1 AND id = $2 AND deleted = 0`, account, id)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// AddRegistry makes an entry and answers its id. The credential is sealed, nil
// for none. ErrConflict if the account has the same registry already: SameRegistry
// tells which.
func (tx *Tx) AddRegistry(ctx context.Context, r *portolan.Registry, credential []byte) (int64, error) {
	revision, err := tx.nextRevision(ctx, r.AccountID)
	if err != nil {
		return 0, err
	}
	extra, err := json.Marshal(r.Extra)
	if err != nil {
		return 0, err
	}
	var id int64
	err = tx.one(ctx, `INSERT INTO registries (account_id, revision, type, name, domain_name, host_ip, port, protocol, net_type, vpc_id, region_id, version,
			user_name, credential, has_password, white_list, black_list, trans_per_hour, persistence_day, extra, instance_id, created, modified, published)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $22, $23) RETURNING id`,
		[]any{
			r.AccountID, revision, r.Type, r.Name, r.DomainName, r.HostIP, r.Port, r.Protocol, r.NetType, r.VpcID, r.RegionID, r.Version,
			r.UserName, credential, flag(r.HasPassword), r.WhiteList, r.BlackList, r.TransPerHour, r.PersistenceDay, string(extra), r.InstanceID, millis(tx.Now()),
			reportedGeneration * flag(!r.Type.Pull()),
		}, &id)
	return id, err
}

// SameRegistry answers the id of the visible entry that AddRegistry would
// conflict with; ErrNotFound if there is none.
func (db *DB) SameRegistry(ctx context.Context, r *portolan.Registry) (int64, error) {
	var id int64
	err := db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT id FROM registries WHERE account_id = $1 AND type = $2 AND domain_name = $3 AND port = $4
			AND user_name = $5 AND vpc_id = $6 AND host_ip = $7 AND deleted = 0`,
			[]any{r.AccountID, r.Type, r.DomainName, r.Port, r.UserName, r.VpcID, r.HostIP}, &id)
	})
	return id, err
}

// CountRegistries counts an account's entries, deleted ones that can still be
// restored included. In a writing transaction the number stays until it ends.
func (tx *Tx) CountRegistries(ctx context.Context, account int64) (int, error) {
	if tx.writes {
		if err := tx.LockAccount(ctx, account); err != nil {
			return 0, err
		}
	}
	var n int
	err := tx.one(ctx, `SELECT count(*) FROM registries WHERE account_id = $1`, []any{account}, &n)
	return n, err
}

// SetRegistry writes all fields of an entry that a call may change. A nil
// credential leaves the stored one.
func (tx *Tx) SetRegistry(ctx context.Context, r *portolan.Registry, credential []byte) error {
	revision, err := tx.nextRevision(ctx, r.AccountID)
	if err != nil {
		return err
	}
	extra, err := json.Marshal(r.Extra)
	if err != nil {
		return err
	}
	err = tx.execOne(ctx, `UPDATE registries SET revision = $1, name = $2, domain_name = $3, host_ip = $4, port = $5, protocol = $6, net_type = $7,
			vpc_id = $8, region_id = $9, version = $10, user_name = $11, has_password = $12, white_list = $13, black_list = $14,
			trans_per_hour = $15, persistence_day = $16, extra = $17, modified = $18
		WHERE account_id = $19 AND id = $20 AND deleted = 0`,
		revision, r.Name, r.DomainName, r.HostIP, r.Port, r.Protocol, r.NetType, r.VpcID, r.RegionID, r.Version, r.UserName, flag(r.HasPassword),
		r.WhiteList, r.BlackList, r.TransPerHour, r.PersistenceDay, string(extra), millis(tx.Now()), r.AccountID, r.ID)
	if err != nil || credential == nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE registries SET credential = $1, credential_version = credential_version + 1, credential_expires = 0, credential_warned = 0 WHERE id = $2`, credential, r.ID)
}

// DeleteRegistry hides an entry; ErrNotFound if there is no visible one.
func (tx *Tx) DeleteRegistry(ctx context.Context, account, id int64) error {
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE registries SET revision = $1, deleted = $2, next_sync = 0 WHERE account_id = $3 AND id = $4 AND deleted = 0`,
		revision, millis(tx.Now()), account, id)
}

// RestoreRegistry brings back an entry deleted at or after since; ErrNotFound
// if there is none, ErrConflict if the same registry was added meanwhile.
func (tx *Tx) RestoreRegistry(ctx context.Context, account, id int64, since time.Time) error {
	revision, err := tx.nextRevision(ctx, account)
	if err != nil {
		return err
	}
	return tx.execOne(ctx, `UPDATE registries SET revision = $1, deleted = 0, modified = $2 WHERE account_id = $3 AND id = $4 AND deleted >= $5`,
		revision, millis(tx.Now()), account, id, max(millis(since), 1))
}

// DeletedRegistries answers a page (from 1) of the entries that were deleted at
// or after since, the last deleted first, and their number.
func (db *DB) DeletedRegistries(ctx context.Context, account int64, since time.Time, page, size int) (list []*portolan.Registry, total int, err error) {
	const where = ` FROM registries WHERE account_id = $1 AND deleted > 0 AND deleted >= $2`
	err = db.View(ctx, func(tx *Tx) error {
		if err := tx.one(ctx, `SELECT count(*)`+where, []any{account, millis(since)}, &total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanRegistry, `SELECT `+registryColumns+where+` ORDER BY deleted DESC, id DESC LIMIT $3 OFFSET $4`,
			account, millis(since), size, skipped(page, size))
		return err
	})
	return list, total, err
}

// Source is what a reading needs to know of a registry beyond its entry.
type Source struct {
	Registry *portolan.Registry
	// Credential is sealed, nil for none.
	Credential        []byte
	CredentialVersion int64
	// WorkedWith is the version of the credential that worked last, 0 for none.
	WorkedWith int64
	Published  int64
	// Guard is the engine's own record of images that are held.
	Guard string
}

// Source answers what is needed to read a registry; ErrNotFound when it was
// deleted.
func (db *DB) Source(ctx context.Context, account, id int64) (Source, error) {
	var s Source
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		s, err = tx.Source(ctx, account, id)
		return err
	})
	return s, err
}

// Source is DB.Source inside a transaction.
func (tx *Tx) Source(ctx context.Context, account, id int64) (Source, error) {
	var s Source
	var err error
	if s.Registry, err = tx.Registry(ctx, account, id); err != nil {
		return s, err
	}
	return s, tx.one(ctx, `SELECT credential, credential_version, worked_with, published, guard FROM registries WHERE id = $1`,
		[]any{id}, &s.Credential, &s.CredentialVersion, &s.WorkedWith, &s.Published, &s.Guard)
}

// Due is a registry whose next reading is due.
type Due struct {
	AccountID, RegistryID int64
	// Extra has the window that the reading has to start in.
	Extra portolan.Extra
}

// DueRegistries lists up to limit registries whose next reading is due, the
// longest waiting first.
func (db *DB) DueRegistries(ctx context.Context, limit int) ([]Due, error) {
	var list []Due
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, scanDue, `SELECT account_id, id, extra FROM registries WHERE deleted = 0 AND next_sync > 0 AND next_sync <= $1 ORDER BY next_sync LIMIT $2`,
			millis(tx.Now()), limit)
		return err
	})
	return list, err
}

func scanDue(row scanner) (d Due, err error) {
	var extra string
	if err := row.Scan(&d.AccountID, &d.RegistryID, &extra); err != nil || extra == "{}" {
		return d, err
	}
	if err := json.Unmarshal([]byte(extra), &d.Extra); err != nil {
		return d, fmt.Errorf("registry %d: read its extra settings: %w", d.RegistryID, err)
	}
	return d, nil
}

// HastenSync has a registry read at a time, unless it is to be read sooner or
// is paused.
func (tx *Tx) HastenSync(ctx context.Context, id int64, at time.Time) error {
	_, err := tx.exec(ctx, `UPDATE registries SET next_sync = $1 WHERE id = $2 AND deleted = 0 AND paused = 0 AND (next_sync = 0 OR next_sync > $1)`, millis(at), id)
	return err
}

// SetNextSync says when a registry is to be read next, unless it is paused.
func (tx *Tx) SetNextSync(ctx context.Context, id int64, at time.Time) error {
	_, err := tx.exec(ctx, `UPDATE registries SET next_sync = $1 WHERE id = $2 AND deleted = 0 AND paused = 0`, millis(at), id)
	return err
}
