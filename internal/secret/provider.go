package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// KeyProvider is where the master key comes from.
type KeyProvider interface {
	// MasterKey reads the key. Its errors say where it was looked for, and
	// never what was found.
	MasterKey() (*MasterKey, error)
}

// EnvironmentKey has the master key in an environment variable.
type EnvironmentKey struct {
	Name string
	// Lookup is os.LookupEnv.
	Lookup func(name string) (string, bool)
}

// MasterKey implements KeyProvider.
func (e EnvironmentKey) MasterKey() (*MasterKey, error) {
	text, ok := e.Lookup(e.Name)
	if !ok || text == "" {
		return nil, fmt.Errorf("environment variable %s has no master key: %w", e.Name, fs.ErrNotExist)
	}
	key, err := ParseMasterKey(text)
	if err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", e.Name, err)
	}
	return key, nil
}

// FileKey has the master key in a file that only its owner can read.
type FileKey struct {
	Path string
	// Create makes the file, with a new key, if it is missing. It is meant for
	// a store that has no secrets yet: they cannot be read with a new key.
	Create bool
}

// maxKeyFile is far more than a key needs.
const maxKeyFile = 1 << 10

// MasterKey implements KeyProvider. The error of a missing file is
// fs.ErrNotExist.
func (f FileKey) MasterKey() (*MasterKey, error) {
	key, err := f.read()
	if f.Create && errors.Is(err, fs.ErrNotExist) {
		if err := f.create(); err != nil {
			return nil, fmt.Errorf("create the master key file: %w", err)
		}
		key, err = f.read()
	}
	if err != nil {
		return nil, fmt.Errorf("master key file: %w", err)
	}
	return key, nil
}

func (f FileKey) read() (*MasterKey, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", f.Path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s is open to others than its owner (mode %04o): run chmod 600 %[1]s", f.Path, mode)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	defer clear(text)
	if err != nil {
		return nil, err
	}
	key, err := ParseMasterKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	return key, nil
}

// create writes a new key beside the file and links it into place, so that of
// several servers that start at once one makes the key and none reads half of
// it.
func (f FileKey) create() error {
	temp, err := os.CreateTemp(filepath.Dir(f.Path), ".master-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	if err := writeNewKey(temp); err != nil {
		return errors.Join(err, temp.Close())
	}
	if err := temp.Close(); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), f.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(f.Path))
}

func writeNewKey(file *os.File) error {
	raw := make([]byte, keySize)
	defer clear(raw)
	rand.Read(raw)
	text := base64.StdEncoding.AppendEncode(nil, raw)
	defer clear(text)
	if _, err := file.Write(append(text, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// syncFolder makes a new name in a folder last: a key that is lost with the
// power takes all secrets along.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
