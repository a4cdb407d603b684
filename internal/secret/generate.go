package secret

import (
	"encoding/hex"
	"fmt"
	"io"
)

const alphanumerics = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Alphanumeric reads n random characters of A-Z, a-z and 0-9, each equally
// likely, from a source such as crypto/rand.Reader.
func Alphanumeric(random io.Reader, n int) (string, error) {
	// A byte at or above the largest multiple of 62 would favour the first
	// characters and is drawn again.
	const limit = 256 - 256%len(alphanumerics)
	text := make([]byte, 0, n)
	buffer := make([]byte, n)
	for len(text) < n {
		draw := buffer[:n-len(text)]
		if _, err := io.ReadFull(random, draw); err != nil {
			return "", fmt.Errorf("read randomness: %w", err)
		}
		for _, b := range draw {
			if int(b) < limit {
				text = append(text, alphanumerics[int(b)%len(alphanumerics)])
			}
		}
	}
	return string(text), nil
}

// NewAccessKeyID makes the id of an access key: "LTAI5t" and 18 alphanumerics.
func NewAccessKeyID(random io.Reader) (string, error) {
	text, err := Alphanumeric(random, 18)
	if err != nil {
		return "", err
	}
	return "LTAI5t" + text, nil
}

// NewAccessKeySecret makes the secret of an access key: 30 alphanumerics.
func NewAccessKeySecret(random io.Reader) (string, error) { return Alphanumeric(random, 30) }

// NewToken makes a token in the form of a random UUID (RFC 9562, version 4):
// 36 characters, 122 random bits.
func NewToken(random io.Reader) (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	raw[6] = raw[6]&0x0f | 0x40
	raw[8] = raw[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", raw[:4], raw[4:6], raw[6:8], raw[8:10], raw[10:]), nil
}

// NewHookSecret makes the secret part of a webhook's address: 32 hex digits,
// 128 random bits.
func NewHookSecret(random io.Reader) (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return hex.EncodeToString(raw[:]), nil
}
