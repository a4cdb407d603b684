package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"portolan"
	"portolan/internal/iam"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// Names of the store's settings.
const (
	settingFingerprint = "master_key_fingerprint"
	settingDataKey     = "data_key"
)

// Files in the data folder.
const (
	masterKeyFile   = "master.key"
	credentialsFile = "root-credentials.json"
)

const privateMode = 0o600

// openBox answers the store's data key. The master key must be the one that
// the store was made with; for a new store it is remembered.
func openBox(ctx context.Context, cfg *Config, db *store.DB) (*secret.Box, error) {
	fingerprint, err := db.Setting(ctx, settingFingerprint)
	fresh := errors.Is(err, store.ErrNotFound)
	if err != nil && !fresh {
		return nil, err
	}
	master, err := cfg.keyProvider(fresh).MasterKey()
	if err != nil {
		return nil, fmt.Errorf("%w: the store's secrets cannot be read without its master key", err)
	}
	if fresh {
		return newDataKey(ctx, db, master)
	}
	if master.Fingerprint() != string(fingerprint) {
		return nil, fmt.Errorf("the master key is not the one of this store (it has %s, the store wants %s): give the right one with --master-key-file",
			master.Fingerprint(), fingerprint)
	}
	sealed, err := db.Setting(ctx, settingDataKey)
	if err != nil {
		return nil, fmt.Errorf("load the data key: %w", err)
	}
	return master.OpenDataKey(sealed)
}

func (c *Config) keyProvider(create bool) secret.KeyProvider {
	switch {
	case c.MasterKeyFile != "":
		return secret.FileKey{Path: c.MasterKeyFile}
	case c.MasterKey != "":
		return secret.EnvironmentKey{Name: "PORTOLAN_MASTER_KEY", Lookup: func(string) (string, bool) { return c.MasterKey, true }}
	}
	return secret.FileKey{Path: filepath.Join(c.Data, masterKeyFile), Create: create}
}

// newDataKey makes the data key of a new store. Of two servers that start at
// once on one, the slower one opens what the faster one made.
func newDataKey(ctx context.Context, db *store.DB, master *secret.MasterKey) (*secret.Box, error) {
	box, sealed, err := master.NewDataKey()
	if err != nil {
		return nil, err
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		if err := tx.AddSetting(ctx, settingFingerprint, []byte(master.Fingerprint())); err != nil {
			return err
		}
		return tx.AddSetting(ctx, settingDataKey, sealed)
	})
	if errors.Is(err, store.ErrConflict) {
		if sealed, err = db.Setting(ctx, settingDataKey); err != nil {
			return nil, err
		}
		return master.OpenDataKey(sealed)
	}
	return box, err
}

// saveCredentials writes the first credentials where only the owner can read
// them, complete or not at all. Those of another store are never overwritten.
func saveCredentials(folder string, c iam.Credentials) (err error) {
	if have, err := LoadCredentials(folder); err == nil && have == c {
		return nil // saved by an attempt whose transaction was tried again
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, ".root-credentials-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save the root credentials: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, err = temp.Write(append(b, '\n'))
	if err = errors.Join(err, temp.Chmod(privateMode), temp.Sync(), temp.Close()); err != nil {
		return fmt.Errorf("save the root credentials: %w", err)
	}
	path := filepath.Join(folder, credentialsFile)
	err = os.Link(temp.Name(), path)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, and the store is new: it has the root key of another store; move it away, or use another data folder", path)
	}
	if err != nil {
		return fmt.Errorf("save the root credentials: %w", err)
	}
	return syncFolder(folder)
}

// syncFolder makes a new name in a folder last.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// LoadCredentials reads the first credentials of a data folder.
func LoadCredentials(folder string) (iam.Credentials, error) {
	var c iam.Credentials
	b, err := os.ReadFile(filepath.Join(folder, credentialsFile))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, errors.New(credentialsFile + " is not what the server wrote")
	}
	return c, nil
}

// registrySecrets seals the credentials of registries.
type registrySecrets struct{ box *secret.Box }

// place binds a sealed credential to its registry.
func place(r *portolan.Registry) string { return "registry/" + r.InstanceID + "/credential" }

func (s registrySecrets) seal(r *portolan.Registry, c portolan.Credential) ([]byte, error) {
	b, err := json.Marshal(c) //nolint:gosec // it is sealed at once
	if err != nil {
		return nil, errors.New("encode the credential of a registry") // the cause could quote it
	}
	defer clear(b)
	return s.box.Seal(b, place(r)), nil
}

func (s registrySecrets) unseal(r *portolan.Registry, sealed []byte) (portolan.Credential, error) {
	var c portolan.Credential
	b, err := s.box.Open(sealed, place(r))
	if err != nil {
		return c, err
	}
	defer clear(b)
	if err := json.Unmarshal(b, &c); err != nil {
		return c, errors.New("the credential of a registry is not in its form")
	}
	return c, nil
}
