package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

func openSmall(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "portolan.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// number reads back a number, in a transaction or without one.
func number(ctx context.Context, db *DB, alone bool, query string, want int) error {
	read := func(tx *Tx) error {
		var got int
		if err := tx.one(ctx, query, []any{want}, &got); err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s answers %d, want %d", query, got, want)
		}
		return nil
	}
	if alone {
		return db.look(ctx, read)
	}
	return db.View(ctx, read)
}

// A statement is kept when it is run for the second time, and then used.
func TestPreparedOnSecondRun(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"in a transaction": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := openSmall(t)
			const query = `SELECT CAST($1 AS BIGINT)`
			text := db.dialect.text(query)
			for run, kept := range []bool{false, true, true} {
				if err := number(t.Context(), db, alone, query, run); err != nil {
					t.Fatal(err)
				}
				if _, ok := db.reading.statements[text]; ok != kept {
					t.Errorf("after run %d it is kept: %t", run, ok)
				}
			}
		})
	}
}

// What is kept is bounded, and what is not kept is run as it is.
func TestPreparedBounds(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	for n := range maxSeen + maxPrepared {
		query := fmt.Sprintf(`SELECT CAST($1 AS BIGINT) + %d - %[1]d`, n)
		runs := 1
		if n < maxPrepared+10 {
			runs = 3
		}
		for range runs {
			if err := number(t.Context(), db, true, query, n); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(db.reading.statements); n != maxPrepared {
		t.Errorf("%d statements are kept, want %d", n, maxPrepared)
	}
	if n := len(db.reading.seen); n > maxSeen {
		t.Errorf("%d texts are remembered", n)
	}
}

// A text that cannot be prepared fails when it is run, each time.
func TestPreparedWrong(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	for range 3 {
		if err := number(t.Context(), db, false, `SELECT $1 FROM nowhere`, 1); err == nil {
			t.Error("there is no such table")
		}
	}
	if len(db.reading.statements) != 0 {
		t.Error("it is kept")
	}
}

// A statement that was kept before a table changed sees the table as it is.
func TestPreparedAfterChange(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	columns := func() (n int) {
		err := db.View(t.Context(), func(tx *Tx) error {
			rows, err := tx.query(t.Context(), `SELECT * FROM settings`, nil)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			names, err := rows.Columns()
			n = len(names)
			return errors.Join(err, rows.Err())
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := 0
	for range 3 {
		before = columns()
	}
	err := db.Update(t.Context(), func(tx *Tx) error {
		_, err := tx.exec(t.Context(), `ALTER TABLE settings ADD COLUMN more BIGINT NOT NULL DEFAULT 0`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := columns(); n != before+1 {
		t.Errorf("%d columns, then %d", before, n)
	}
}

// Connections share what is kept.
func TestPreparedTogether(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for n := range 50 {
				query := fmt.Sprintf(`SELECT CAST($1 AS BIGINT) + %d - %[1]d`, n%10)
				if err := number(t.Context(), db, worker%2 == 0, query, n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(db.reading.statements); n != 10 {
		t.Errorf("%d statements are kept", n)
	}
}

// However the end of a context shows in a transaction, it is told as that.
func TestContextEnds(t *testing.T) {
	t.Parallel()
	db := openSmall(t)
	insert := func(ctx context.Context, tx *Tx, n int) error {
		_, err := tx.insertMany(ctx, `INSERT INTO settings (name, value)`, [][]any{{fmt.Sprint(n), []byte{1}}}, "")
		return err
	}
	for name, fn := range map[string]func(ctx context.Context, tx *Tx, end func()) error{
		"between two runs": func(ctx context.Context, tx *Tx, end func()) error {
			const query = `SELECT 1 + $1`
			for n := range 3 {
				if n == 2 {
					end()
				}
				if err := tx.one(ctx, query, []any{n}, new(int)); err != nil {
					return err
				}
			}
			return nil
		},
		"between rows": func(ctx context.Context, tx *Tx, end func()) error {
			for n := range 3 {
				if n == 2 {
					end()
				}
				if err := insert(ctx, tx, n); err != nil {
					return err
				}
			}
			return nil
		},
		"before the commit": func(ctx context.Context, tx *Tx, end func()) error {
			err := insert(ctx, tx, 9)
			end()
			return err
		},
	} {
		for range 3 { // the statements are prepared
			ctx, cancel := context.WithCancel(t.Context())
			err := db.Update(ctx, func(tx *Tx) error {
				return fn(ctx, tx, func() {
					cancel()
					for err := error(nil); err == nil; { // until it is rolled back, which others do
						_, err = tx.SQL().ExecContext(t.Context(), `SELECT 1`)
					}
				})
			})
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	var n int
	if err := db.View(t.Context(), func(tx *Tx) error { return tx.one(t.Context(), `SELECT count(*) FROM settings`, nil, &n) }); err != nil || n != 0 {
		t.Errorf("%d rows were kept, %v", n, err)
	}
}
