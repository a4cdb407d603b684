package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"portolan/internal/iam"
	"portolan/internal/store"
)

// Store is a store that is open for administration: nothing listens and no
// job runs. It may be that of a running server, where changes act within two
// seconds.
type Store struct {
	DB  *store.DB
	IAM *iam.Service
}

// ErrNoStore is the error for a place where no server has made a store yet.
var ErrNoStore = errors.New("there is no store: start the server once, and it makes one")

// OpenStore opens the store that a server made; it never makes one. The caller
// closes DB.
func OpenStore(ctx context.Context, cfg Config) (_ *Store, err error) {
	cfg.setDefaults()
	if path, isFile := strings.CutPrefix(cfg.databaseURL(), "sqlite:"); isFile {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(path), ErrNoStore)
		}
	}
	db, err := store.Open(ctx, cfg.databaseURL(), store.Options{Now: cfg.Now, KeepSchema: true})
	if errors.Is(err, store.ErrEmpty) {
		return nil, ErrNoStore
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	if _, err := db.Setting(ctx, settingFingerprint); errors.Is(err, store.ErrNotFound) {
		return nil, ErrNoStore
	}
	box, err := openBox(ctx, &cfg, db)
	if err != nil {
		return nil, err
	}
	return &Store{DB: db, IAM: iam.New(iam.Config{DB: db, Box: box, Now: cfg.Now})}, nil
}
