// Package sign knows how RPC requests of Alibaba Cloud are signed: in their
// parameters (version 1.0, HMAC-SHA1 and HMAC-SHA256) and in their headers
// (version 3, ACS3-HMAC-SHA256 and ACS3-HMAC-SM3). It reads, verifies and makes
// signatures, and decodes the parameters that they cover.
//
// It is pure: no clock, no randomness, no input or output. It must not know
// keys, accounts, operations or a server; whether a key exists, a time is near
// or a nonce is new is decided elsewhere.
package sign

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"portolan"
)

// Request is an HTTP request as net/http delivers it: with canonical header
// names, and Host apart from them.
type Request struct {
	Method string
	// Path is escaped, as it stands in the request line.
	Path     string
	RawQuery string
	// Host has the port when the request line or Host header has it.
	Host   string
	Header http.Header
	Body   []byte
}

// Signature is the signature of a request with everything it covers that a
// server may believe once Verify has accepted it. Nothing else of the request
// is authentic.
type Signature struct {
	// AccessKeyID is empty for an anonymous request.
	AccessKeyID string
	// SecurityToken comes with the keys of a role's session, else it is empty.
	SecurityToken string
	Algorithm     Algorithm
	// Timestamp is the text of the request, not yet checked; clients send
	// 2006-01-02T15:04:05Z.
	Timestamp string
	Nonce     string
	Action    string
	Version   string
	// Format is "" where the request does not say, as always in version 3.
	Format string
	// Params are the parameters of query and body, sorted by name, no name
	// twice, without those that make up a version 1.0 signature.
	Params []Param

	scheme        scheme
	request       *Request
	decoded       decoded
	signedHeaders string
	value         string
}

// scheme is a place where requests carry their signature. Its two
// implementations are v1 and v3.
type scheme interface {
	// read takes the signature and what it claims from s.request and s.decoded.
	read(s *Signature) error
	// verify compares the signature with the one that the secret gives.
	verify(s *Signature, secret string) error
	// sign completes r with all that the scheme wants, the signature included.
	sign(r *Request, key Key, call Call) error
}

// Parse finds the signature of a request and decodes what it covers. It
// verifies nothing. Errors are *portolan.Error with status 400: Missing<Name>,
// InvalidSignatureMethod, InvalidSignatureVersion, IncompleteSignature, and
// those of Decode.
//
// A request without any signature (no ACS3 Authorization header, no parameter
// AccessKeyId or Signature) is anonymous, and no error: some operations are
// called so.
func Parse(r *Request, limits Limits) (*Signature, error) {
	params, err := decode(r.RawQuery, r.Header.Get("Content-Type"), r.Body, limits)
	if err != nil {
		return nil, err
	}
	s := &Signature{request: r, decoded: params}
	s.scheme = s.findScheme()
	if err := s.scheme.read(s); err != nil {
		return nil, err
	}
	return s, nil
}

// findScheme prefers the Authorization header. Anonymous calls of the clients
// of version 3 are known by having their action in a header only.
func (s *Signature) findScheme() scheme {
	if s.request.authorized() {
		return v3{}
	}
	isParam := s.decoded.has("Action") || s.decoded.has("AccessKeyId") || s.decoded.has("Signature")
	if !isParam && s.request.Header.Get(headerAction) != "" {
		return v3{}
	}
	return v1{}
}

// Anonymous reports whether the request has no signature at all. Nothing of it
// is authentic, and Verify refuses it.
func (s *Signature) Anonymous() bool { return s.value == "" }

// V3 reports whether the request is made in the way of version 3: such clients
// send no Format and expect JSON.
func (s *Signature) V3() bool { return s.scheme == v3{} }

// Verify reports whether the request was signed with the secret. It answers nil
// or *portolan.Error with status 400: SignatureDoesNotMatch, or
// MissingAccessKeyId for an anonymous request. An empty secret matches nothing.
//
// The message of SignatureDoesNotMatch ends in the string to sign, which
// clients compare with their own. In version 1.0 that string holds every
// parameter of the request: send it to the client, but never log it.
func (s *Signature) Verify(secret string) error {
	if s.Anonymous() {
		return portolan.Missing("AccessKeyId")
	}
	return s.scheme.verify(s, secret)
}

// compare compares signatures as text: decoding base64 first would accept a
// changed last character.
func (s *Signature) compare(secret, want string, stringToSign []byte) error {
	if secret != "" && subtle.ConstantTimeCompare([]byte(want), []byte(s.value)) == 1 {
		return nil
	}
	return portolan.Refused("SignatureDoesNotMatch",
		"Specified signature is not matched with our calculation. server string to sign is:%s", stringToSign)
}

// field is something that a request must have; header is where version 3 has it.
type field struct{ name, header, value string }

// require answers an error for the first of the fields that is empty.
func require(fields ...field) error {
	i := slices.IndexFunc(fields, func(f field) bool { return f.value == "" })
	if i < 0 {
		return nil
	}
	missing := portolan.Missing(fields[i].name)
	if header := fields[i].header; header != "" {
		missing.Message += " Send it in header " + header + "."
	}
	return missing
}

// authorized reports whether the Authorization header is one of version 3.
// Others, as a proxy may add them, are not looked at.
func (r *Request) authorized() bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "ACS3-")
}
