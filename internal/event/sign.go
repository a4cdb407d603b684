package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// The form of messages is that of Standard Webhooks 1.0
// (github.com/standard-webhooks/standard-webhooks).
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
	secretPrefix    = "whsec_"
	// secretSize is within the 24 to 64 bytes that the specification asks for.
	secretSize = 32
)

// secretText is a secret as receivers are given it.
func secretText(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }

// sign signs a message for one attempt.
func sign(h http.Header, key []byte, id string, at time.Time, body []byte) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + stamp + "."))
	_, _ = mac.Write(body) // a hash takes all
	// Receivers look for these names in lower case; HTTP does not care.
	h.Set(headerID, id)
	h.Set(headerTimestamp, stamp)
	h.Set(headerSignature, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
