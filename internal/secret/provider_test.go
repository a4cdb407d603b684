package secret_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"portolan/internal/secret"
)

func TestEnvironmentKey(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		value string
		set   bool
		want  error
	}{
		"key":       {strings.Repeat("01", 32), true, nil},
		"not set":   {"", false, fs.ErrNotExist},
		"empty":     {"", true, fs.ErrNotExist},
		"something": {"hunter2", true, secret.ErrKeyText},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var provider secret.KeyProvider = secret.EnvironmentKey{Name: "MASTER_KEY", Lookup: func(name string) (string, bool) {
				return tt.value, tt.set && name == "MASTER_KEY"
			}}
			key, err := provider.MasterKey()
			if tt.want != nil {
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "MASTER_KEY") || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %v, want %v that names the variable", err, tt.want)
				}
				return
			}
			if err != nil || key.Fingerprint() != masterKey(t, 1).Fingerprint() {
				t.Errorf("MasterKey = %v, %v", key, err)
			}
		})
	}
}

func TestFileKeyCreates(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "master.key")
	_, err := secret.FileKey{Path: path}.MasterKey()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error %v, want one of a missing file", err)
	}
	// Many at once agree on one key.
	var wg sync.WaitGroup
	prints := make([]string, 8)
	for i := range prints {
		wg.Go(func() {
			key, err := secret.FileKey{Path: path, Create: true}.MasterKey()
			if err != nil {
				t.Error(err)
				return
			}
			prints[i] = key.Fingerprint()
		})
	}
	wg.Wait()
	key, err := secret.FileKey{Path: path}.MasterKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range prints {
		if p != key.Fingerprint() {
			t.Errorf("fingerprint %s, want %s", p, key.Fingerprint())
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v, want mode 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFileKeyReads(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("01", 32) + "\n"
	tests := map[string]struct {
		content string
		mode    fs.FileMode
		want    string // in the error, "" for none
	}{
		"private":      {good, 0o600, ""},
		"read-only":    {good, 0o400, ""},
		"group":        {good, 0o640, "mode 0640"},
		"everybody":    {good, 0o604, "run chmod 600"},
		"group writes": {good, 0o620, "mode 0620"},
		"no key":       {"hunter2\n", 0o600, "not a master key"},
		"empty":        {"", 0o600, "not a master key"},
		"key and more": {good + good, 0o600, "not a master key"},
		"large":        {strings.Repeat("01", 1<<16), 0o600, "not a master key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "master.key")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			key, err := secret.FileKey{Path: path, Create: true}.MasterKey()
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %v, want %q and the path", err, tt.want)
				}
			} else if err != nil || key.Fingerprint() != masterKey(t, 1).Fingerprint() {
				t.Errorf("MasterKey = %v, %v", key, err)
			}
			if now, _ := os.ReadFile(path); string(now) != tt.content {
				t.Errorf("the file was changed to %q", now)
			}
		})
	}
}

func TestFileKeyRefuses(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := (secret.FileKey{Path: folder, Create: true}).MasterKey(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
	if _, err := (secret.FileKey{Path: filepath.Join(folder, "missing", "key"), Create: true}).MasterKey(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}
