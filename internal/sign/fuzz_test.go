package sign

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func FuzzSignVerify(f *testing.F) {
	f.Add(uint8(0), "RegistryNameLike", "镜像 a+b*c~d%e \"q's/ñ&=!()🚀", "PageSize", "20", "nonce", true)
	f.Add(uint8(2), "A", "", "B", "\x00\n", "n", false)
	f.Add(uint8(3), "a=b&c", "=", "a", "b&c==", "\t", true)
	algorithms := []Algorithm{HMACSHA1, HMACSHA256, ACS3SHA256, ACS3SM3}
	f.Fuzz(func(t *testing.T, a uint8, name1, value1, name2, value2, nonce string, form bool) {
		params := []Param{{name1, value1}, {name2, value2}}
		text := string(appendQuery(nil, params))
		r := &Request{Method: "POST", Path: "/", Host: "h", RawQuery: text}
		if form {
			r.RawQuery, r.Body = "", []byte(text)
		}
		out, err := Sign(r, testKey, Call{
			Algorithm: algorithms[int(a)%len(algorithms)], Action: "X", Version: "1", Time: testTime, Nonce: nonce,
		})
		if err != nil {
			return
		}
		s, err := Parse(out, unlimited)
		if err != nil {
			t.Fatalf("signed, but cannot be parsed: %v", err)
		}
		if err := s.Verify(testKey.Secret); err != nil {
			t.Fatalf("signed, but not accepted: %v", err)
		}
		if s.Verify("another") == nil {
			t.Fatal("accepted with another secret")
		}
		byName(params)
		if diff := cmp.Diff(withoutSystem(params), withoutSystem(s.Params)); diff != "" || s.Nonce != nonce {
			t.Fatalf("nonce %q, parameters %s", s.Nonce, diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add("A=1&B=%2f+&C", "", "D=%E9%95%9C&E")
	f.Add("A=%&%zz=", formType, "=&&A=\xff")
	f.Add("", "application/json", `{"A":[1,{"B":null}],"C":{"D":true},"":1} x`)
	f.Fuzz(func(t *testing.T, query, contentType, body string) {
		limits := Limits{Params: 100, Name: 16, Value: 64}
		params, err := Decode(query, contentType, []byte(body), limits)
		if err != nil {
			if c := code(err); c != "InvalidParameter" && c != "RequestTooLarge" {
				t.Fatalf("error %v", err)
			}
			return
		}
		if len(params) > limits.Params {
			t.Fatalf("%d parameters", len(params))
		}
		for i, p := range params {
			if p.Name == "" || len(p.Name) > limits.Name || len(p.Value) > limits.Value || !utf8.ValidString(p.Name+p.Value) {
				t.Fatalf("parameter %q", p)
			}
			if i > 0 && params[i-1].Name >= p.Name {
				t.Fatalf("%q after %q", p, params[i-1])
			}
		}
		again, err := Decode(string(appendQuery(nil, params)), "", nil, limits)
		if err != nil || !slices.Equal(params, again) {
			t.Fatalf("canonical form is decoded as %q, %v, want %q", again, err, params)
		}
	})
}

func FuzzEscape(f *testing.F) {
	f.Add("镜像 a+b*c~d%e \"q's/ñ&=!()🚀")
	f.Fuzz(func(t *testing.T, s string) {
		single := string(appendEscaped(nil, s, once))
		if got, err := url.QueryUnescape(single); err != nil || got != s {
			t.Fatalf("%q escaped is %s, and unescaped %q, %v", s, single, got, err)
		}
		if got, want := string(appendEscaped(nil, s, twice)), string(appendEscaped(nil, single, once)); got != want {
			t.Fatalf("escaped twice %s, want %s", got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, v := range readVectors(f, "testdata/vectors.json") {
		r := v.request()
		f.Add(r.Method, r.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), r.Header.Get(headerDate), string(r.Body))
	}
	f.Fuzz(func(t *testing.T, method, query, authorization, contentType, date, body string) {
		r := &Request{Method: method, Path: "/", RawQuery: query, Host: "h", Body: []byte(body), Header: http.Header{
			"Authorization": {authorization}, "Content-Type": {contentType}, headerAction: {"X"}, headerVersion: {"1"},
			headerDate: {date}, headerNonce: {"n"}, headerBodyHash: {bodyHash(ACS3SHA256, []byte(body))},
		}}
		s, err := Parse(r, limits)
		if err != nil {
			if c := code(err); strings.Contains(c, " ") {
				t.Fatal(c)
			}
			return
		}
		if s.Anonymous() != (s.AccessKeyID == "") {
			t.Fatalf("Anonymous() = %v with access key %q", s.Anonymous(), s.AccessKeyID)
		}
		for _, secret := range []string{"", "a secret that no input was signed with"} {
			if s.Verify(secret) == nil {
				t.Fatalf("accepted with secret %q", secret)
			}
		}
	})
}

func FuzzAuthorization(f *testing.F) {
	f.Add("ACS3-HMAC-SHA256 Credential=LTAI5tTest,SignedHeaders=host;x-acs-date,Signature=0a")
	f.Add("ACS3-HMAC-SM3 Signature=0a, SignedHeaders=host, Credential=a=b")
	f.Add("ACS3-HMAC-SHA256 Credential=,Credential=x,,=")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAuthorization(text)
		if err != nil {
			if c := code(err); c != "IncompleteSignature" && c != "InvalidSignatureMethod" {
				t.Fatalf("error %v", err)
			}
			return
		}
		if a.credential == "" || a.signedHeaders == "" || a.signature == "" {
			t.Fatalf("accepted %q as %v", text, a)
		}
		if again, err := parseAuthorization(a.String()); err != nil || again != a {
			t.Fatalf("%v written and read is %v, %v", a, again, err)
		}
	})
}
