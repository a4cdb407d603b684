package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"portolan/internal/secret"
)

const place = "registry/123/password"

// masterKey is the key of 32 bytes of this value.
func masterKey(tb testing.TB, value byte) *secret.MasterKey {
	tb.Helper()
	key, err := secret.ParseMasterKey(hex.EncodeToString(bytes.Repeat([]byte{value}, 32)))
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func newBox(tb testing.TB) *secret.Box {
	tb.Helper()
	box, _, err := masterKey(tb, 1).NewDataKey()
	if err != nil {
		tb.Fatal(err)
	}
	return box
}

func newHasher(t *testing.T, box *secret.Box, purpose string) *secret.Hasher {
	t.Helper()
	h, err := box.Hasher(purpose)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	for _, plaintext := range []string{"", "hunter2", strings.Repeat("x", 1<<16)} {
		sealed := box.Seal([]byte(plaintext), place)
		if len(sealed) != len(plaintext)+29 {
			t.Errorf("%d bytes are sealed as %d", len(plaintext), len(sealed))
		}
		if plaintext != "" && bytes.Contains(sealed, []byte(plaintext)) {
			t.Error("the sealed form holds the secret")
		}
		if got, err := box.Open(sealed, place); err != nil || string(got) != plaintext {
			t.Errorf("Open = %q, %v", got, err)
		}
	}
	if bytes.Equal(box.Seal([]byte("hunter2"), place), box.Seal([]byte("hunter2"), place)) {
		t.Error("the same secret is sealed the same twice")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	sealed := box.Seal([]byte("hunter2"), place)
	refuses := func(what string, box *secret.Box, sealed []byte, context string) {
		t.Helper()
		if got, err := box.Open(sealed, context); !errors.Is(err, secret.ErrOpen) || got != nil {
			t.Errorf("%s: Open = %q, %v, want ErrOpen", what, got, err)
		}
	}
	for bit := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		refuses(fmt.Sprintf("bit %d", bit), box, changed, place)
	}
	for n := range sealed {
		refuses(fmt.Sprintf("first %d bytes", n), box, sealed[:n], place)
	}
	refuses("more bytes", box, append(bytes.Clone(sealed), 0), place)
	refuses("another key", newBox(t), sealed, place)
	for _, context := range []string{"", "registry/124/password", "registry/123/passwor", place + "/"} {
		refuses("context "+context, box, sealed, context)
	}
}

// TestSealedForm holds what is stored to what was stored: bytes of an earlier
// build still open, and hashes are still recognised.
func TestSealedForm(t *testing.T) {
	t.Parallel()
	const (
		fingerprint = "97714604f07d1c2dc82381a4dd032d4b"
		dataKey     = "017dd3787f49b36c5cab908de7e46b0ad14f917b3da9066ad428dce848e7f119510b88e9851c14f5f9306ee08e7257af86e0ef6d69c1d3b78dccc2ac1a"
		password    = "01c201f3066b783d208c37ea2c93dc2a82aaf62706b016a11f7e243582bc44ad3a2aa7fe"
		token       = "6d3c26724a727d1e08bad103d9921e54ebdc70d1941795b4457399cf376c4cfa"
	)
	key := masterKey(t, 1)
	if key.Fingerprint() != fingerprint {
		t.Errorf("fingerprint %s, want %s", key.Fingerprint(), fingerprint)
	}
	box, err := key.OpenDataKey(unhex(t, dataKey))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := box.Open(unhex(t, password), place); err != nil || string(got) != "hunter2" {
		t.Errorf("Open = %q, %v", got, err)
	}
	if !newHasher(t, box, "ci-token").Match("hunter2", unhex(t, token)) {
		t.Error("the hash of a token is another than it was")
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	raw, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestDataKeys(t *testing.T) {
	t.Parallel()
	old, next := masterKey(t, 1), masterKey(t, 2)
	box, sealedKey, err := old.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed := box.Seal([]byte("hunter2"), place)
	moved, err := old.Rewrap(sealedKey, next)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*secret.Box, error){
		"as made":       func() (*secret.Box, error) { return old.OpenDataKey(sealedKey) },
		"after rewraps": func() (*secret.Box, error) { return next.OpenDataKey(moved) },
	} {
		again, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := again.Open(sealed, place); err != nil || string(got) != "hunter2" {
			t.Errorf("%s: Open = %q, %v", name, got, err)
		}
	}

	refused := map[string]func() error{
		"another master key":     func() error { _, err := next.OpenDataKey(sealedKey); return err },
		"the old one, rewrapped": func() error { _, err := old.OpenDataKey(moved); return err },
		"nothing":                func() error { _, err := old.OpenDataKey(nil); return err },
		"a secret":               func() error { _, err := old.OpenDataKey(sealed); return err },
		"rewrap by another":      func() error { _, err := next.Rewrap(sealedKey, old); return err },
		"data key as a secret":   func() error { _, err := box.Open(sealedKey, "data key"); return err },
	}
	for name, f := range refused {
		if err := f(); !errors.Is(err, secret.ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
}

func TestHasher(t *testing.T) {
	t.Parallel()
	box := newBox(t)
	h := newHasher(t, box, "ci-token")
	sum := h.Sum("hunter2")
	for name, other := range map[string][32]byte{
		"another text":    h.Sum("hunter3"),
		"another purpose": newHasher(t, box, "hook-secret").Sum("hunter2"),
		"another box":     newHasher(t, newBox(t), "ci-token").Sum("hunter2"),
	} {
		if other == sum {
			t.Errorf("%s has the same hash", name)
		}
	}
	if again := newHasher(t, box, "ci-token"); !again.Match("hunter2", sum[:]) {
		t.Error("the same text does not match")
	}
	if h.Match("hunter3", sum[:]) || h.Match("hunter2", sum[:31]) || h.Match("hunter2", nil) {
		t.Error("something else matches")
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	if !secret.Equal([]byte("a"), []byte("a")) || secret.Equal([]byte("a"), []byte("b")) || secret.Equal([]byte("a"), []byte("ab")) {
		t.Error("Equal is wrong")
	}
}

// TestNothingPrintsASecret prints everything in every way there is.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xAB}, 32)
	key := masterKey(t, 0xAB)
	box, _, err := key.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	h := newHasher(t, box, "ci-token")
	for _, value := range []any{key, *key, box, *box, h, *h, []any{*h}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			text := strings.ToLower(fmt.Sprintf(verb, value))
			if strings.Contains(text, hex.EncodeToString(raw)) || strings.Contains(text, "[") && !strings.HasPrefix(text, "[") || len(text) > 200 {
				t.Errorf("%s of %T prints %s", verb, value, text)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	key := masterKey(t, 1)
	box, sealedKey, err := key.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	h := newHasher(t, box, "nonce")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			text := fmt.Sprint(i)
			if got, err := box.Open(box.Seal([]byte(text), text), text); err != nil || string(got) != text {
				t.Errorf("Open = %q, %v", got, err)
			}
			if sum := h.Sum(text); !h.Match(text, sum[:]) {
				t.Error("a hash does not match")
			}
			if _, err := key.OpenDataKey(sealedKey); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestParseMasterKey(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xFB}, 32) // has both + and / in base64
	want := masterKey(t, 0xFB).Fingerprint()
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"hex":                  {hex.EncodeToString(raw), true},
		"upper-case hex":       {strings.ToUpper(hex.EncodeToString(raw)), true},
		"base64":               {base64.StdEncoding.EncodeToString(raw), true},
		"base64, unpadded":     {base64.RawStdEncoding.EncodeToString(raw), true},
		"URL base64":           {base64.URLEncoding.EncodeToString(raw), true},
		"URL base64, unpadded": {base64.RawURLEncoding.EncodeToString(raw), true},
		"white space around":   {" " + base64.StdEncoding.EncodeToString(raw) + "\r\n", true},
		"empty":                {"", false},
		"31 bytes":             {base64.StdEncoding.EncodeToString(raw[1:]), false},
		"33 bytes":             {base64.StdEncoding.EncodeToString(append(raw, 1)), false},
		"48 bytes of base64":   {base64.StdEncoding.EncodeToString(append(raw, raw[:16]...)), false},
		"hex, short":           {hex.EncodeToString(raw[1:]), false},
		"passphrase":           {"hunter2", false},
		"two lines":            {hex.EncodeToString(raw[:16]) + "\n" + hex.EncodeToString(raw[16:]), false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := secret.ParseMasterKey(tt.text)
			if !tt.ok {
				if !errors.Is(err, secret.ErrKeyText) || tt.text != "" && strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v, want ErrKeyText without the text", err)
				}
				return
			}
			if err != nil || key.Fingerprint() != want {
				t.Errorf("ParseMasterKey = %v, %v, want %s", key, err, want)
			}
		})
	}
	if masterKey(t, 1).Fingerprint() == masterKey(t, 2).Fingerprint() {
		t.Error("two keys have one fingerprint")
	}
}

func FuzzOpen(f *testing.F) {
	box := newBox(f)
	sealed := box.Seal([]byte("hunter2"), place)
	f.Add(sealed, place)
	f.Add(sealed, "registry/124/password")
	f.Add(sealed[:29], place)
	f.Add([]byte{1}, "")
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, raw []byte, context string) {
		got, err := box.Open(raw, context)
		genuine := bytes.Equal(raw, sealed) && context == place
		if genuine != (err == nil) {
			t.Fatalf("Open(%x, %q) = %q, %v", raw, context, got, err)
		}
		if again, err := box.Open(box.Seal(raw, context), context); err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("Open of Seal(%x) = %x, %v", raw, again, err)
		}
	})
}

func FuzzParseMasterKey(f *testing.F) {
	f.Add(strings.Repeat("ab", 32))
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Add(strings.Repeat("=", 44))
	f.Fuzz(func(t *testing.T, text string) {
		key, err := secret.ParseMasterKey(text)
		if (key == nil) != (err != nil) {
			t.Fatalf("ParseMasterKey(%q) = %v, %v", text, key, err)
		}
	})
}
