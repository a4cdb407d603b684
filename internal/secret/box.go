package secret

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
)

// Box is a data key: it seals secrets and makes keyed hashes. It may be used by
// any number of goroutines. One Box seals up to 2^32 secrets.
type Box struct {
	aead   cipher.AEAD
	hashes []byte // the key that those of hashes derive from
}

func newBox(raw []byte) (*Box, error) {
	aead, err := newAEAD(raw, "seal secrets")
	if err != nil {
		return nil, err
	}
	hashes, err := derive(raw, "hash tokens")
	if err != nil {
		return nil, err
	}
	return &Box{aead, hashes}, nil
}

// String hides the key.
func (b Box) String() string { return "data key" }

// GoString hides the key from %#v.
func (b Box) GoString() string { return b.String() }

// Seal encrypts a secret for one place, which context names without doubt, such
// as "registry/123/password". The result is 29 bytes longer, and another one
// each time.
func (b *Box) Seal(plaintext []byte, context string) []byte {
	return seal(b.aead, plaintext, context)
}

// Open decrypts what Seal made for the same context; else it is ErrOpen. The
// caller may clear the result when it is used up.
func (b *Box) Open(sealed []byte, context string) ([]byte, error) {
	return open(b.aead, sealed, context)
}

// Hasher makes the keyed hashes of one purpose, such as "ci-token". The same
// text has different hashes for different purposes and Boxes.
func (b *Box) Hasher(purpose string) (*Hasher, error) {
	key, err := derive(b.hashes, "hash "+purpose)
	if err != nil {
		return nil, err
	}
	return &Hasher{key}, nil
}

// Hasher makes keyed hashes, for secrets that need to be recognised and never
// read again. It may be used by any number of goroutines.
type Hasher struct{ key []byte }

// String hides the key.
func (h Hasher) String() string { return "hash key" }

// GoString hides the key from %#v.
func (h Hasher) GoString() string { return h.String() }

// Sum is the HMAC-SHA256 of a text.
func (h *Hasher) Sum(text string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, h.key)
	mac.Write([]byte(text))
	return [sha256.Size]byte(mac.Sum(nil))
}

// Match reports, in constant time, whether sum is the hash of a text.
func (h *Hasher) Match(text string, sum []byte) bool {
	got := h.Sum(text)
	return Equal(got[:], sum)
}
