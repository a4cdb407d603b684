package secret

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// ErrKeyText says that text is not a master key.
var ErrKeyText = errors.New("not a master key: want 32 bytes as base64 (44 characters) or hex (64 characters), such as openssl rand -base64 32 prints")

// MasterKey seals data keys. It may be used by any number of goroutines.
type MasterKey struct {
	aead        cipher.AEAD
	fingerprint string
}

// dataKeyContext binds sealed data keys to being just that.
const dataKeyContext = "data key"

// ParseMasterKey reads 32 bytes as base64 (standard or URL alphabet, with or
// without padding) or hex. White space around it is ignored.
func ParseMasterKey(text string) (*MasterKey, error) {
	raw, ok := decodeKey(strings.TrimSpace(text))
	defer clear(raw)
	if !ok {
		return nil, ErrKeyText
	}
	return newMasterKey(raw)
}

// decodeKey decides by the length: 32 bytes are 64 digits of hex and never 64
// of base64.
func decodeKey(text string) ([]byte, bool) {
	if len(text) == hex.EncodedLen(keySize) {
		raw, err := hex.DecodeString(text)
		return raw, err == nil
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	raw, err := base64.RawStdEncoding.DecodeString(text)
	return raw, err == nil && len(raw) == keySize
}

func newMasterKey(raw []byte) (*MasterKey, error) {
	aead, err := newAEAD(raw, "seal data keys")
	if err != nil {
		return nil, err
	}
	identity, err := derive(raw, "recognise the master key")
	if err != nil {
		return nil, err
	}
	defer clear(identity)
	mac := hmac.New(sha256.New, identity)
	mac.Write([]byte("master key"))
	return &MasterKey{aead, hex.EncodeToString(mac.Sum(nil)[:16])}, nil
}

// Fingerprint tells master keys apart, 32 hex digits. It is no secret: kept
// with the store, it lets a server with another key refuse to start.
func (k *MasterKey) Fingerprint() string { return k.fingerprint }

// String shows the fingerprint, so that a key can be printed by mistake
// without harm.
func (k MasterKey) String() string { return "master key " + k.fingerprint }

// GoString hides the key from %#v.
func (k MasterKey) GoString() string { return k.String() }

// NewDataKey makes a data key. The caller keeps the sealed form, which
// OpenDataKey opens again.
func (k *MasterKey) NewDataKey() (box *Box, sealed []byte, err error) {
	raw := make([]byte, keySize)
	defer clear(raw)
	rand.Read(raw)
	if box, err = newBox(raw); err != nil {
		return nil, nil, err
	}
	return box, seal(k.aead, raw, dataKeyContext), nil
}

// OpenDataKey opens a data key that was sealed under this master key. For any
// other the error is ErrOpen.
func (k *MasterKey) OpenDataKey(sealed []byte) (*Box, error) {
	raw, err := open(k.aead, sealed, dataKeyContext)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	if len(raw) != keySize {
		return nil, ErrOpen
	}
	return newBox(raw)
}

// Rewrap seals a data key under the next master key: what a change of the
// master key does with each of them. Secrets sealed under the data key stay.
func (k *MasterKey) Rewrap(sealed []byte, next *MasterKey) ([]byte, error) {
	raw, err := open(k.aead, sealed, dataKeyContext)
	if err != nil {
		return nil, err
	}
	defer clear(raw)
	return seal(next.aead, raw, dataKeyContext), nil
}
