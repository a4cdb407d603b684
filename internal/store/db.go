// Package store keeps everything that must survive: accounts, registries,
// repositories, images, readings and their ledgers. It is the only package
// with SQL, written once for SQLite and PostgreSQL.
//
// It knows rows and the rules that make them agree with each other (what is
// visible, what a count counts). It must not know HTTP, registries' protocols,
// or who may do what.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"portolan"
)

// ErrNotFound is returned when a row that was asked for by its key is absent.
var ErrNotFound = errors.New("not found")

// ErrConflict is returned when a row with the same key exists.
var ErrConflict = errors.New("already exists")

// ErrEmpty is returned by Open for a database without a store that is not to
// be made.
var ErrEmpty = errors.New("there is no store in the database")

// ErrDiskFull is returned when the database has no room left. Nothing of the
// transaction was kept.
var ErrDiskFull error = portolan.ErrNoRoom

// DB is a store. Its methods may be called at the same time.
type DB struct {
	dialect *dialect
	write   *sql.DB
	read    *sql.DB
	now     func() time.Time
	held    func(time.Duration)

	registries snapshots
	trails     remembered[[]mark]
	matches    remembered[matched]
	pace       pace
	growth     growth

	checkpoints checkpoints
	sieve       *sieve   // nil on PostgreSQL
	durable     *durable // nil on PostgreSQL
	recent      int      // recentImages
	verified    int      // maxVerified
	manyChanges int64    // manyChanges
	// The statements of the pools, nil on PostgreSQL, whose driver keeps them.
	writing, reading *prepared
}

// Options of a store.
type Options struct {
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// KeepSchema refuses a store that is not up to date instead of bringing it
	// there: an older server may be working on it.
	KeepSchema bool
	// Held, if set, is told how long each writing transaction took from its
	// begin, at which SQLite locks out other writers, to its end.
	Held func(time.Duration)
}

// Open opens the store at a URL: postgres://… or sqlite:PATH. It brings the
// schema up to date and refuses one that a newer version has written.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	d, err := dialectOf(url)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: d, now: o.Now, held: o.Held, recent: recentImages, verified: maxVerified, manyChanges: manyChanges}
	db.trails.max, db.matches.max = maxTrails, maxMatches
	if db.now == nil {
		db.now = time.Now
	}
	if db.write, db.read, err = d.open(ctx, url); err != nil {
		return nil, err
	}
	if d == sqliteDialect {
		db.writing, db.reading = newPrepared(), newPrepared()
		db.sieve = newSieve()
		if db.durable, err = newDurable(ctx, db.write, url); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if err := db.migrate(ctx, o.KeepSchema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close ends all connections.
func (db *DB) Close() error {
	if db.read == db.write {
		return db.write.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}

// Ping tells whether the database answers.
func (db *DB) Ping(ctx context.Context) error { return db.read.PingContext(ctx) }

// Writer is the pool that jobs are kept through, so that they commit with the
// data they belong to.
func (db *DB) Writer() *sql.DB { return db.write }

// Postgres reports whether the store is PostgreSQL.
func (db *DB) Postgres() bool { return db.dialect == postgres }

// exclusiveLock is the number under which servers of one PostgreSQL take turns.
const exclusiveLock = 7160417232

// Exclusive runs fn while no other server of the same PostgreSQL does. A SQLite
// store has one server.
func (db *DB) Exclusive(ctx context.Context, fn func(context.Context) error) (err error) {
	if !db.Postgres() {
		return fn(ctx)
	}
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return fmt.Errorf("take the lock of the store: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, exclusiveLock); err != nil {
		return fmt.Errorf("take the lock of the store: %w", err)
	}
	defer func() {
		_, e := conn.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock($1)`, exclusiveLock)
		err = errors.Join(err, e)
	}()
	return fn(ctx)
}

// Tx is a transaction. It must not be used after the function that got it
// returns.
type Tx struct {
	db      *DB
	tx      *sql.Tx // nil for one statement that needs none
	writes  bool
	touched map[int64]bool
	blocks  map[int64]*changedBlocks // by registry, of those that are locked

	blocksPut int // how many blocks were written, to be read when it has ended

	prepared *prepared
	own      map[string]*sql.Stmt // prepared statements of the transaction
	wanted   []string             // texts to be prepared
	held     time.Duration        // from its begin to its end, and all that may be read of it then
}

// SQL is the transaction for jobs to be inserted in.
func (tx *Tx) SQL() *sql.Tx { return tx.tx }

// Now is the store's clock.
func (db *DB) Now() time.Time { return db.now() }

// Now is the store's clock.
func (tx *Tx) Now() time.Time { return tx.db.now() }

const maxTries = 5

// Update runs a writing transaction. It is tried again, at most five times,
// when the database asks for that, so fn must not have effects of its own.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	for try := 1; ; try++ {
		err := db.attempt(ctx, db.write, nil, true, fn)
		if err == nil || try == maxTries || !db.dialect.retryable(err) {
			return db.dialect.translate(err)
		}
		if err := pause(ctx, time.Duration(try*try)*5*time.Millisecond); err != nil {
			return err
		}
	}
}

// look runs reading statements that need not see one state, without a
// transaction: on PostgreSQL that spares two of three round trips.
func (db *DB) look(ctx context.Context, fn func(*Tx) error) error {
	tx := &Tx{db: db, prepared: db.reading}
	err := fn(tx)
	if len(tx.wanted) > 0 {
		tx.prepared.add(ctx, db.read, tx.wanted)
	}
	return err
}

// View runs a reading transaction: all its statements see one state.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.attempt(ctx, db.read, db.dialect.viewOptions, false, fn)
}

func (db *DB) attempt(ctx context.Context, pool *sql.DB, o *sql.TxOptions, writes bool, fn func(*Tx) error) error {
	t, err := pool.BeginTx(ctx, o)
	if err != nil {
		return fmt.Errorf("begin a transaction: %w", err)
	}
	began := time.Now()
	tx := &Tx{db: db, tx: t, writes: writes, prepared: db.reading}
	if writes {
		tx.prepared = db.writing
	}
	if err = fn(tx); err == nil {
		err = tx.writeBlocks(ctx)
	}
	err = tx.end(err)
	if tx.held = time.Since(began); writes && db.held != nil {
		db.held(tx.held)
	}
	if err != nil {
		return ended(ctx, err)
	}
	for account := range tx.touched {
		db.registries.expire(account)
	}
	if len(tx.wanted) > 0 {
		tx.prepared.add(ctx, pool, tx.wanted)
	}
	if writes && db.durable != nil {
		return db.durable.wait(ctx)
	}
	return nil
}

// end commits the transaction, unless what it is for has failed.
func (tx *Tx) end(failed error) error {
	if failed == nil {
		if err := tx.tx.Commit(); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		return nil
	}
	if err := tx.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return errors.Join(failed, err)
	}
	return failed
}

// ended says so where a transaction failed because the context ended: it is
// rolled back and its statements are closed meanwhile, which have errors of
// their own.
func ended(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func (tx *Tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := tx.run(ctx, query, args)
	if err != nil {
		return 0, tx.db.dialect.translate(err)
	}
	return res.RowsAffected()
}

// execOne runs a statement that must change exactly one row.
func (tx *Tx) execOne(ctx context.Context, query string, args ...any) error {
	n, err := tx.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// one scans the only row of a query; ErrNotFound if there is none.
func (tx *Tx) one(ctx context.Context, query string, args []any, into ...any) error {
	err := tx.queryRow(ctx, query, args).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return tx.db.dialect.translate(err)
}

// scanner is a row that can be scanned: *sql.Row or *sql.Rows.
type scanner interface{ Scan(...any) error }

// collect runs a query and scans each row.
func collect[T any](ctx context.Context, tx *Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var list []T
	err := each(ctx, tx, func(row scanner) error {
		v, err := scan(row)
		list = append(list, v)
		return err
	}, query, args...)
	return list, err
}

// scanValue scans a row of one column.
func scanValue[T any](row scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// each runs a query and hands each row on.
func each(ctx context.Context, tx *Tx, fn func(scanner) error, query string, args ...any) error {
	rows, err := tx.query(ctx, query, args)
	if err != nil {
		return tx.db.dialect.translate(err)
	}
	defer func() { _ = rows.Close() }() // rows.Err tells what Close would
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return tx.db.dialect.translate(rows.Err())
}

// skipped is the number of rows before a page (from 1), however far it is.
func skipped(page, size int) int {
	if page > math.MaxInt32/max(size, 1) {
		return math.MaxInt32
	}
	return (page - 1) * size
}

// Times are kept as Unix milliseconds, zero for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// guarded is a map that goroutines share.
type guarded[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]V
}

func (g *guarded[K, V]) get(k K, fresh func() V) V {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.m == nil {
		g.m = map[K]V{}
	}
	v, ok := g.m[k]
	if !ok {
		v = fresh()
		g.m[k] = v
	}
	return v
}
