package sign

import (
	"cmp"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"portolan"
)

// v3 signs in the Authorization header: the method, path and query, the headers
// that it lists, and the body by its hash. What a server believes must be among
// the listed headers: the host, the content type, by which the body is read,
// and every header x-acs-*.
type v3 struct{}

const (
	headerPrefix   = "x-acs-"
	headerAction   = "X-Acs-Action"
	headerVersion  = "X-Acs-Version"
	headerDate     = "X-Acs-Date"
	headerNonce    = "X-Acs-Signature-Nonce"
	headerBodyHash = "X-Acs-Content-Sha256" // with SM3, too
	headerToken    = "X-Acs-Security-Token"
	headerKeyID    = "X-Acs-Accesskey-Id"
)

func (v3) read(s *Signature) error {
	h := s.request.Header
	s.Action, s.Version = h.Get(headerAction), h.Get(headerVersion)
	s.Timestamp, s.Nonce, s.SecurityToken = h.Get(headerDate), h.Get(headerNonce), h.Get(headerToken)
	s.Params = s.decoded.all
	if err := require(field{"Action", headerAction, s.Action}, field{"Version", headerVersion, s.Version}); err != nil {
		return err
	}
	if !s.request.authorized() {
		return nil
	}
	a, err := parseAuthorization(h.Get("Authorization"))
	if err != nil {
		return err
	}
	s.AccessKeyID, s.Algorithm, s.value, s.signedHeaders = a.credential, a.algorithm, a.signature, a.signedHeaders
	if err := s.request.checkSignedHeaders(a.signedHeaders); err != nil {
		return err
	}
	if h.Get(headerBodyHash) == "" {
		return incomplete("Header %s is missing.", headerBodyHash)
	}
	return require(field{"Timestamp", headerDate, s.Timestamp}, field{"SignatureNonce", headerNonce, s.Nonce})
}

// checkSignedHeaders refuses a list that leaves out a header which is believed,
// and one whose canonical form is not the only one.
func (r *Request) checkSignedHeaders(list string) error {
	names := strings.Split(list, ";")
	for i, name := range names {
		if i > 0 && name <= names[i-1] {
			return incomplete("SignedHeaders must be sorted and without repetition.")
		}
		if name != "host" && len(r.Header[http.CanonicalHeaderKey(name)]) != 1 {
			return incomplete("SignedHeaders names %q, a header that must then be sent exactly once.", name)
		}
	}
	if _, signed := slices.BinarySearch(names, "host"); !signed {
		return incomplete("SignedHeaders must name host.")
	}
	for key := range r.Header {
		name := strings.ToLower(key)
		if name != "content-type" && !strings.HasPrefix(name, headerPrefix) {
			continue
		}
		if _, signed := slices.BinarySearch(names, name); !signed {
			return incomplete("SignedHeaders must name %q, since that header is sent.", name)
		}
	}
	return nil
}

// verify checks the signature first, since only a caller who has the secret
// should make the server hash a whole body.
func (v3) verify(s *Signature, secret string) error {
	text := s.request.v3StringToSign(s.Algorithm, s.decoded.query, s.signedHeaders)
	if err := s.compare(secret, v3Signature(s.Algorithm, secret, text), text); err != nil {
		return err
	}
	if s.request.Header.Get(headerBodyHash) != bodyHash(s.Algorithm, s.request.Body) {
		return portolan.Refused("SignatureDoesNotMatch",
			"Specified signature is not matched with our calculation: header %s is not the hash of the body.", headerBodyHash)
	}
	return nil
}

// v3StringToSign is the algorithm and the hash of the canonical request.
func (r *Request) v3StringToSign(a Algorithm, query []Param, signedHeaders string) []byte {
	text := make([]byte, 0, 1024)
	text = append(append(text, r.Method...), '\n')
	text = append(append(text, cmp.Or(r.Path, "/")...), '\n')
	text = append(appendQuery(text, query), '\n')
	for name := range strings.SplitSeq(signedHeaders, ";") {
		text = append(append(text, name...), ':')
		text = append(append(text, r.headerValue(name)...), '\n')
	}
	text = append(text, '\n')
	text = append(append(text, signedHeaders...), '\n')
	text = append(text, r.Header.Get(headerBodyHash)...)

	return hex.AppendEncode([]byte(a+"\n"), a.sum(text))
}

// headerValue answers a value without the blanks around it, which HTTP does not
// count.
func (r *Request) headerValue(name string) string {
	if name == "host" {
		return r.Host
	}
	return strings.Trim(r.Header.Get(name), " \t")
}

func v3Signature(a Algorithm, secret string, text []byte) string {
	return hex.EncodeToString(a.mac(secret, text))
}

func bodyHash(a Algorithm, body []byte) string {
	return hex.EncodeToString(a.sum(body))
}

func (v3) sign(r *Request, key Key, call Call) error {
	r.Header.Set(headerAction, call.Action)
	r.Header.Set(headerVersion, call.Version)
	r.Header.Set(headerDate, call.timestamp())
	r.Header.Set(headerNonce, call.Nonce)
	r.Header.Set(headerBodyHash, bodyHash(call.Algorithm, r.Body))
	if key.SecurityToken != "" {
		r.Header.Set(headerToken, key.SecurityToken)
		r.Header.Set(headerKeyID, key.ID)
	}
	params, err := decode(r.RawQuery, "", nil, unlimited)
	if err != nil {
		return err
	}
	a := authorization{algorithm: call.Algorithm, credential: key.ID, signedHeaders: r.headersToSign()}
	a.signature = v3Signature(a.algorithm, key.Secret, r.v3StringToSign(a.algorithm, params.query, a.signedHeaders))
	r.Header.Set("Authorization", a.String())
	return nil
}

func (r *Request) headersToSign() string {
	names := []string{"host"}
	for key := range r.Header {
		name := strings.ToLower(key)
		if name == "content-type" || strings.HasPrefix(name, headerPrefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ";")
}
