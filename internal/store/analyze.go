package store

import (
	"context"
	"strings"
	"sync/atomic"
)

// growth counts the rows that readings have written, to tell PostgreSQL in time.
// Its planner plans for tables as they were when it last looked at them, or
// guesses, and keeps plans until it looks again. By itself it does so after a
// minute, in which a first reading would search tables that it believes empty,
// from end to end.
type growth struct{ rows, looked atomic.Int64 }

const (
	analyzeFirst = 400
	analyzeEvery = 5 // times as many rows
	analyzeLast  = 50_000
)

// grown has PostgreSQL look at tables when the first of them has grown. It does
// so later by itself, so a failure is none.
func (db *DB) grown(ctx context.Context, g *growth, rows int, tables ...string) {
	if !db.Postgres() || rows == 0 {
		return
	}
	have, looked := g.rows.Add(int64(rows)), g.looked.Load()
	if have < max(analyzeFirst, looked*analyzeEvery) || looked > analyzeLast || !g.looked.CompareAndSwap(looked, have) {
		return
	}
	var known float64
	err := db.read.QueryRowContext(ctx, `SELECT reltuples FROM pg_class WHERE oid = $1::regclass`, tables[0]).Scan(&known)
	if err == nil && known < float64(have) {
		_, _ = db.write.ExecContext(ctx, `ANALYZE `+strings.Join(tables, ", "))
	}
}
