package sign

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"hash"

	"github.com/emmansun/gmsm/sm3"
)

// Algorithm is a way to sign, exactly as the wire spells it: in the parameter
// SignatureMethod or at the start of the Authorization header.
type Algorithm string

// The algorithms. The first two sign in parameters (version 1.0), the others in
// headers (version 3).
const (
	HMACSHA1   Algorithm = "HMAC-SHA1"
	HMACSHA256 Algorithm = "HMAC-SHA256"
	ACS3SHA256 Algorithm = "ACS3-HMAC-SHA256"
	ACS3SM3    Algorithm = "ACS3-HMAC-SM3"
)

// scheme answers nil for an unknown algorithm.
func (a Algorithm) scheme() scheme {
	switch a {
	case HMACSHA1, HMACSHA256:
		return v1{}
	case ACS3SHA256, ACS3SM3:
		return v3{}
	}
	return nil
}

func (a Algorithm) newHash() hash.Hash {
	switch a {
	case HMACSHA1:
		return sha1.New()
	case ACS3SM3:
		return sm3.New()
	}
	return sha256.New()
}

func (a Algorithm) sum(text []byte) []byte {
	h := a.newHash()
	h.Write(text)
	return h.Sum(nil)
}

func (a Algorithm) mac(key string, text []byte) []byte {
	h := hmac.New(a.newHash, []byte(key))
	h.Write(text)
	return h.Sum(nil)
}
