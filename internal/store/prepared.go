package store

import (
	"context"
	"database/sql"
	"sync"
)

const (
	maxPrepared = 256
	maxSeen     = 4_096
)

// prepared keeps the statements of a pool that are run again, for SQLite's
// driver would parse each anew, which takes longer than to run it. A statement
// is prepared between transactions: inside one the pool must not be touched.
type prepared struct {
	mu         sync.Mutex
	seen       map[string]bool
	statements map[string]*sql.Stmt
}

func newPrepared() *prepared {
	return &prepared{seen: map[string]bool{}, statements: map[string]*sql.Stmt{}}
}

// find answers the statement of a text, nil if it has none, and whether it is
// worth one: it was run before.
func (p *prepared) find(text string) (s *sql.Stmt, worth bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s = p.statements[text]; s != nil {
		return s, true
	}
	if p.seen[text] {
		return nil, len(p.statements) < maxPrepared
	}
	if len(p.seen) >= maxSeen {
		clear(p.seen)
	}
	p.seen[text] = true
	return nil, false
}

// add prepares texts. One that cannot be is run as it is.
func (p *prepared) add(ctx context.Context, pool *sql.DB, texts []string) {
	for _, text := range texts {
		s, err := pool.PrepareContext(ctx, text)
		if err != nil {
			return
		}
		if !p.keep(text, s) {
			_ = s.Close() //nolint:sqlclosecheck // another one came first; nothing was run
		}
	}
}

func (p *prepared) keep(text string, s *sql.Stmt) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.statements[text] != nil || len(p.statements) >= maxPrepared {
		return false
	}
	p.statements[text] = s
	return true
}

// statement is the prepared statement of a text in this transaction, nil if
// there is none.
func (tx *Tx) statement(ctx context.Context, text string) *sql.Stmt {
	if tx.prepared == nil {
		return nil
	}
	if s := tx.own[text]; s != nil {
		return s
	}
	s, worth := tx.prepared.find(text)
	switch {
	case s != nil && tx.tx != nil:
		s = tx.tx.StmtContext(ctx, s)
		if tx.own == nil {
			tx.own = map[string]*sql.Stmt{}
		}
		tx.own[text] = s
	case s == nil && worth:
		tx.wanted = append(tx.wanted, text)
	}
	return s
}

// runner runs statements: a transaction, or the pool for one that needs none.
type runner interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
}

func (tx *Tx) runner() runner {
	if tx.tx == nil {
		return tx.db.read
	}
	return tx.tx
}

func (tx *Tx) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	text := tx.db.dialect.text(query)
	if s := tx.statement(ctx, text); s != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return s.QueryContext(ctx, args...)
	}
	return tx.runner().QueryContext(ctx, text, args...)
}

func (tx *Tx) queryRow(ctx context.Context, query string, args []any) *sql.Row {
	text := tx.db.dialect.text(query)
	if s := tx.statement(ctx, text); s != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return s.QueryRowContext(ctx, args...)
	}
	return tx.runner().QueryRowContext(ctx, text, args...)
}

func (tx *Tx) run(ctx context.Context, query string, args []any) (sql.Result, error) {
	text := tx.db.dialect.text(query)
	if s := tx.statement(ctx, text); s != nil { //nolint:sqlclosecheck // the end of the transaction closes it
		return s.ExecContext(ctx, args...)
	}
	return tx.runner().ExecContext(ctx, text, args...)
}
