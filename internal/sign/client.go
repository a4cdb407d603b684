package sign

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Key is what a client signs with.
type Key struct {
	ID     string
	Secret string `json:"-"`
	// SecurityToken belongs to the key of a role's session, else it is empty.
	SecurityToken string `json:"-"`
}

// String hides the secrets, so that a key can be printed by mistake without
// harm.
func (k Key) String() string { return "access key " + strconv.Quote(k.ID) }

// GoString hides the secrets from %#v.
func (k Key) GoString() string { return k.String() }

// Call is what a client says of a request when it signs it.
type Call struct {
	// Algorithm is ACS3SHA256 when empty.
	Algorithm Algorithm
	Action    string
	Version   string
	// Format is sent by version 1.0 only, if not empty.
	Format string
	// Time and Nonce are those of this very request: a retry needs new ones.
	Time  time.Time
	Nonce string
}

func (c Call) timestamp() string { return c.Time.UTC().Format("2006-01-02T15:04:05Z") }

// unlimited is for requests of our own.
var unlimited = Limits{Params: math.MaxInt, Name: math.MaxInt, Value: math.MaxInt}

// Sign answers the request with its signature: version 1.0 adds parameters to
// RawQuery, version 3 adds headers. A body without Content-Type gets that of a
// form. The request given is not changed, so that it can be signed again.
// A server with the right Host, and for version 3 the same Path, accepts it.
func Sign(r *Request, key Key, call Call) (*Request, error) {
	if call.Algorithm == "" {
		call.Algorithm = ACS3SHA256
	}
	scheme := call.Algorithm.scheme()
	if scheme == nil {
		return nil, fmt.Errorf("sign request: unknown algorithm %q", call.Algorithm)
	}
	if key.Secret == "" {
		return nil, errors.New("sign request: the access key has no secret")
	}
	signed := *r
	if signed.Header = r.Header.Clone(); signed.Header == nil {
		signed.Header = http.Header{}
	}
	if len(r.Body) > 0 && r.Header.Get("Content-Type") == "" {
		signed.Header.Set("Content-Type", formType)
	}
	if err := scheme.sign(&signed, key, call); err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	if _, err := Parse(&signed, unlimited); err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	return &signed, nil
}
