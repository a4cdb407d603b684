// Package storetest hands out real, empty stores to tests: SQLite always, and
// PostgreSQL where PORTOLAN_TEST_POSTGRES names a server. In CI a missing
// server is a failure.
package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"portolan/internal/store"
)

// Kinds of databases.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Each runs a test once with each kind of database, in parallel.
func Each(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, kind := range []string{SQLite, Postgres} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, URL(t, kind))
		})
	}
}

// URL answers the URL of a new, empty database of a kind, which goes with the
// test.
func URL(t testing.TB, kind string) string {
	t.Helper()
	if kind == SQLite {
		return "sqlite:" + filepath.Join(t.TempDir(), "portolan.db")
	}
	server := os.Getenv("PORTOLAN_TEST_POSTGRES")
	if server == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("PORTOLAN_TEST_POSTGRES is not set: in CI no database is skipped")
		}
		t.Skip("PORTOLAN_TEST_POSTGRES is not set")
	}
	return schema(t, server)
}

// schema makes a schema of its own for a test.
func schema(t testing.TB, server string) string {
	t.Helper()
	name := "t_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	db, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(ctx context.Context, statement string) {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(statement, name)); err != nil {
			t.Error(err)
		}
	}
	exec(t.Context(), "CREATE SCHEMA %s")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		exec(ctx, "DROP SCHEMA %s CASCADE")
		_ = db.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// Open opens a new, empty store of the URL's database, which is closed with
// the test.
func Open(t testing.TB, url string, o store.Options) *store.DB {
	t.Helper()
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		Prepare(t, path)
	}
	db, err := store.Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Prepare puts an empty store of SQLite where there is no file: to make its
// tables takes a second under the race detector, in each of hundreds of tests.
func Prepare(t testing.TB, path string) {
	t.Helper()
	_, err := os.Stat(path)
	if err == nil {
		return
	}
	if errors.Is(err, fs.ErrNotExist) {
		var file []byte
		if file, err = empty(); err == nil {
			err = os.WriteFile(path, file, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// empty is the file of an empty store, made once for a process.
var empty = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "portolan-storetest-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "portolan.db")
	db, err := store.Open(context.Background(), "sqlite:"+path, store.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
