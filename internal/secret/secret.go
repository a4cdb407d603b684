// Package secret keeps secrets by envelope encryption: a master key, from a
// file or the environment, seals data keys; a data key (a Box) seals secrets
// and keys the hashes of tokens that only need to be recognised. Changing the
// master key seals the data keys anew and leaves all else as it is.
//
// It must not know where sealed bytes are kept, nor what the secrets open. No
// secret appears in its errors or in what its types print.
//
// # Sealed form
//
// One version byte (1), a random nonce of 12 bytes, the ciphertext of
// AES-256-GCM and its tag of 16 bytes. The context of a secret ("registry/123/
// password") and the version are authenticated and not stored, so that what
// was sealed in one place does not open in another. Keys of single purposes
// are derived by HKDF-SHA256.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
)

const (
	keySize = 32
	version = 1
	// overhead is what sealing adds: version, nonce and tag.
	overhead = 1 + 12 + 16
)

// ErrOpen says that sealed bytes cannot be opened: they were changed, belong to
// another context, or were sealed under another key. It does not say which.
var ErrOpen = errors.New("sealed data cannot be opened: it was changed, is of another place, or was sealed under another key")

// Equal compares in constant time for a length. Lengths may show.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }

// derive makes the key of one purpose.
func derive(key []byte, purpose string) ([]byte, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, "portolan "+purpose+" v1", keySize)
	if err != nil {
		return nil, fmt.Errorf("derive the key to %s: %w", purpose, err)
	}
	return derived, nil
}

// newAEAD makes the cipher of one purpose. Its nonces are random, from
// crypto/rand and nowhere else: a repeated one would give secrets away.
func newAEAD(key []byte, purpose string) (cipher.AEAD, error) {
	derived, err := derive(key, purpose)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, fmt.Errorf("make the cipher to %s: %w", purpose, err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func seal(aead cipher.AEAD, plaintext []byte, context string) []byte {
	sealed := make([]byte, 1, overhead+len(plaintext))
	sealed[0] = version
	return aead.Seal(sealed, nil, plaintext, additional(context)) //nolint:gosec // the cipher draws the nonce itself
}

func open(aead cipher.AEAD, sealed []byte, context string) ([]byte, error) {
	if len(sealed) == 0 || sealed[0] != version {
		return nil, ErrOpen
	}
	plaintext, err := aead.Open(nil, nil, sealed[1:], additional(context))
	if err != nil {
		return nil, ErrOpen
	}
	return plaintext, nil
}

// additional is what a seal authenticates beside the plaintext.
func additional(context string) []byte { return append([]byte{version}, context...) }
