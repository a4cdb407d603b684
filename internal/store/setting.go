package store

import "context"

// Setting answers a setting of the whole store; ErrNotFound if it was never
// made.
func (db *DB) Setting(ctx context.Context, name string) ([]byte, error) {
	var value []byte
	err := db.View(ctx, func(tx *Tx) error {
		return tx.one(ctx, `SELECT value FROM settings WHERE name = $1`, []any{name}, &value)
	})
	return value, err
}

// AddSetting makes a setting; ErrConflict if it exists.
func (tx *Tx) AddSetting(ctx context.Context, name string, value []byte) error {
	_, err := tx.exec(ctx, `INSERT INTO settings (name, value) VALUES ($1, $2)`, name, value)
	return err
}
