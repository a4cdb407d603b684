package sign

import (
	"encoding/base64"
	"slices"

	"portolan"
)

// v1 is SignatureVersion 1.0: everything is a parameter, of the query or the
// form, and the signature covers the method and all parameters but itself.
// Neither headers nor host nor path are signed, so none of them is believed.
type v1 struct{}

const signatureVersion = "1.0"

func (v1) read(s *Signature) error {
	p := s.decoded
	s.AccessKeyID, s.SecurityToken = p.get("AccessKeyId"), p.get("SecurityToken")
	s.Timestamp, s.Nonce = p.get("Timestamp"), p.get("SignatureNonce")
	s.Action, s.Version, s.Format = p.get("Action"), p.get("Version"), p.get("Format")
	s.Algorithm, s.value = Algorithm(p.get("SignatureMethod")), p.get("Signature")
	s.Params = withoutSystem(p.all)
	if err := require(field{"Action", "", s.Action}, field{"Version", "", s.Version}); err != nil {
		return err
	}
	if !p.has("AccessKeyId") && !p.has("Signature") {
		return nil
	}
	return s.checkV1(p.get("SignatureVersion"))
}

func (s *Signature) checkV1(version string) error {
	if err := require(
		field{"AccessKeyId", "", s.AccessKeyID},
		field{"Signature", "", s.value},
		field{"SignatureMethod", "", string(s.Algorithm)},
		field{"SignatureVersion", "", version},
		field{"Timestamp", "", s.Timestamp},
		field{"SignatureNonce", "", s.Nonce},
	); err != nil {
		return err
	}
	if s.Algorithm.scheme() != (v1{}) {
		return portolan.Refused("InvalidSignatureMethod", "Specified signature method is not valid.")
	}
	if version != signatureVersion {
		return portolan.Refused("InvalidSignatureVersion", "Specified parameter SignatureVersion is not valid.")
	}
	return nil
}

// withoutSystem leaves out what every call has. RegionId stays: some operations
// take it.
func withoutSystem(all []Param) []Param {
	params := make([]Param, 0, len(all))
	for _, p := range all {
		switch p.Name {
		case "AccessKeyId", "Action", "Format", "SecurityToken", "Signature", "SignatureMethod",
			"SignatureNonce", "SignatureType", "SignatureVersion", "Timestamp", "Version":
		default:
			params = append(params, p)
		}
	}
	return params
}

func (v1) verify(s *Signature, secret string) error {
	text := v1StringToSign(s.request.Method, s.decoded.all)
	return s.compare(secret, v1Signature(s.Algorithm, secret, text), text)
}

// v1StringToSign is the method, the escaped path "/", which is a constant, and
// the escaped query of all sorted parameters, joined by "&".
func v1StringToSign(method string, params []Param) []byte {
	const perParam = len("%26") + len("%3D")
	size := len(method) + len("&%2F&")
	for _, p := range params {
		size += perParam + len(p.Name) + len(p.Value)
	}
	text := make([]byte, 0, size+size/2)
	text = append(append(text, method...), "&%2F&"...)
	separator := ""
	for _, p := range params {
		if p.Name == "Signature" {
			continue
		}
		text = append(text, separator...)
		text = appendEscaped(text, p.Name, twice)
		text = append(text, "%3D"...)
		text = appendEscaped(text, p.Value, twice)
		separator = "%26"
	}
	return text
}

func v1Signature(a Algorithm, secret string, text []byte) string {
	return base64.StdEncoding.EncodeToString(a.mac(secret+"&", text))
}

// sign puts all that it adds into the query, as most clients do.
func (v1) sign(r *Request, key Key, call Call) error {
	system := []Param{
		{"AccessKeyId", key.ID},
		{"Action", call.Action},
		{"Format", call.Format},
		{"SecurityToken", key.SecurityToken},
		{"SignatureMethod", string(call.Algorithm)},
		{"SignatureNonce", call.Nonce},
		{"SignatureVersion", signatureVersion},
		{"Timestamp", call.timestamp()},
		{"Version", call.Version},
	}
	r.addQuery(slices.DeleteFunc(system, func(p Param) bool { return p.Value == "" })...)
	params, err := decode(r.RawQuery, r.Header.Get("Content-Type"), r.Body, unlimited)
	if err != nil {
		return err
	}
	text := v1StringToSign(r.Method, params.all)
	r.addQuery(Param{"Signature", v1Signature(call.Algorithm, key.Secret, text)})
	return nil
}

func (r *Request) addQuery(params ...Param) {
	query := []byte(r.RawQuery)
	if len(query) > 0 {
		query = append(query, '&')
	}
	r.RawQuery = string(appendQuery(query, params))
}
