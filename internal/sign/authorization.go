package sign

import (
	"strings"

	"portolan"
)

// authorization is the Authorization header of version 3:
//
//	ACS3-HMAC-SHA256 Credential=<key id>,SignedHeaders=<a;b;c>,Signature=<hex>
type authorization struct {
	algorithm     Algorithm
	credential    string
	signedHeaders string
	signature     string
}

func (a authorization) String() string {
	return string(a.algorithm) + " Credential=" + a.credential + ",SignedHeaders=" + a.signedHeaders + ",Signature=" + a.signature
}

func parseAuthorization(text string) (authorization, error) {
	algorithm, parts, _ := strings.Cut(text, " ")
	a := authorization{algorithm: Algorithm(algorithm)}
	if a.algorithm.scheme() != (v3{}) {
		return a, portolan.Refused("InvalidSignatureMethod", "Specified signature method is not valid.")
	}
	for part := range strings.SplitSeq(parts, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		field := a.field(name)
		if field == nil || *field != "" || value == "" {
			return a, incomplete(wantAuthorization)
		}
		*field = value
	}
	if a.credential == "" || a.signedHeaders == "" || a.signature == "" {
		return a, incomplete(wantAuthorization)
	}
	return a, nil
}

const wantAuthorization = "Authorization must have each of Credential, SignedHeaders and Signature once, and nothing else."

// field answers nil for a name that does not belong into the header.
func (a *authorization) field(name string) *string {
	switch name {
	case "Credential":
		return &a.credential
	case "SignedHeaders":
		return &a.signedHeaders
	case "Signature":
		return &a.signature
	}
	return nil
}

func incomplete(format string, args ...any) error {
	return portolan.Refused("IncompleteSignature", "The request signature does not conform to Aliyun standards. "+format, args...)
}
