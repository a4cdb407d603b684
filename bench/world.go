package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // makes the databases to measure on

	"portolan/internal/app"
	"portolan/internal/sign"
)

// world is a filled store with the key to it.
type world struct {
	spec   spec
	key    sign.Key
	scale  scale
	filled time.Duration
	drop   func() error
}

// world makes the store of a Portolan and fills it, or takes the one that an
// earlier run has kept. from, if not nil, is copied, and empty registries are
// added.
func (b *bench) world(ctx context.Context, postgres bool, s scale, from *world) (*world, error) {
	kind := "sqlite"
	if postgres {
		kind = "postgres"
	}
	name := fmt.Sprintf("%s-%d-%d-%d-%d", kind, s.registries, s.repositories, s.images, s.empty)
	w := &world{scale: s, drop: func() error { return nil }}
	w.spec.Data = filepath.Join(b.folder, name)
	_, err := os.Stat(filepath.Join(w.spec.Data, "filled"))
	kept := err == nil
	if !kept {
		if err := w.folder(from); err != nil {
			return w, err
		}
	}
	if postgres {
		if err := w.createDatabase(ctx, b.postgres, "portolan-bench-"+name, from, kept, b.keep); err != nil {
			return w, err
		}
	}
	a, err := app.New(ctx, app.Config{Data: w.spec.Data, Database: w.spec.Database, Listen: "127.0.0.1:0", MetricsListen: app.Off, Log: app.Discard()})
	if err != nil {
		return w, err
	}
	c, err := app.LoadCredentials(w.spec.Data)
	if err != nil {
		return w, errors.Join(err, a.Close())
	}
	w.key = sign.Key{ID: c.AccessKeyID, Secret: c.AccessKeySecret}
	if kept {
		return w, a.Close()
	}
	started := time.Now()
	f := &filler{db: a.DB(), account: c.AccountID, scale: s}
	if from == nil {
		err = f.fill(ctx)
	} else {
		_, err = f.add(ctx, s.registries, s.all())
	}
	if err := errors.Join(err, a.Close()); err != nil {
		return w, fmt.Errorf("fill: %w", err)
	}
	w.filled = time.Since(started)
	b.say("%s: %d registries with %d images made in %s\n", kind, s.all(), s.total(), w.filled.Round(time.Millisecond))
	if postgres {
		err = execute(ctx, w.spec.Database, "VACUUM ANALYZE") // as it does by itself some time after so many rows
	}
	return w, errors.Join(err, os.WriteFile(filepath.Join(w.spec.Data, "filled"), nil, 0o600))
}

// folder makes the data folder, or copies that of another world.
func (w *world) folder(from *world) error {
	if err := os.RemoveAll(w.spec.Data); err != nil {
		return err
	}
	if from == nil {
		return os.Mkdir(w.spec.Data, 0o700)
	}
	if err := os.CopyFS(w.spec.Data, os.DirFS(from.spec.Data)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(w.spec.Data, "filled")); err != nil {
		return err
	}
	files, err := os.ReadDir(w.spec.Data)
	for _, f := range files {
		err = errors.Join(err, os.Chmod(filepath.Join(w.spec.Data, f.Name()), 0o600)) // CopyFS opens them to others
	}
	return errors.Join(err, os.Chmod(w.spec.Data, 0o700)) //nolint:gosec // a folder
}

// createDatabase makes a database beside the one of the URL.
func (w *world) createDatabase(ctx context.Context, text, name string, from *world, kept, keep bool) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("the URL of PostgreSQL cannot be read")
	}
	u.Path = "/" + name
	w.spec.Database = u.String()
	drop := fmt.Sprintf("DROP DATABASE IF EXISTS %q WITH (FORCE)", name)
	if !keep {
		w.drop = func() error { return execute(context.WithoutCancel(ctx), text, drop) }
	}
	if kept {
		return nil
	}
	if err := execute(ctx, text, drop); err != nil {
		return err
	}
	create := fmt.Sprintf("CREATE DATABASE %q", name)
	if from != nil {
		create += fmt.Sprintf(" TEMPLATE %q", "portolan-bench-"+filepath.Base(from.spec.Data))
	}
	return execute(ctx, text, create)
}

func execute(ctx context.Context, database, statement string) error {
	db, err := sql.Open("pgx", database)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}
