package sign

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"portolan"
)

// claims compares what a signature shows, not how it was read.
var claims = cmpopts.IgnoreUnexported(Signature{})

// code answers the wire code of an error, and "" for none.
func code(err error) string {
	if e, ok := errors.AsType[*portolan.Error](err); ok {
		return e.Code
	}
	if err != nil {
		return "not a portolan.Error: " + err.Error()
	}
	return ""
}

var (
	testKey  = Key{ID: "LTAI5tTest", Secret: "TestSecret"}
	testTime = time.Date(2026, 11, 24, 10, 26, 55, 0, time.FixedZone("", 8*3600))
)

// signed answers a request that is signed by testKey.
func signed(t testing.TB, algorithm Algorithm) *Request {
	t.Helper()
	r, err := Sign(
		&Request{Method: "POST", Path: "/", Host: "localhost:8080", RawQuery: "SourceIp=203.0.113.9", Body: []byte("RegistryTypeInList.1=CI%2FCD")},
		testKey,
		Call{Algorithm: algorithm, Action: "PageImageRegistry", Version: "2018-12-03", Time: testTime, Nonce: "n-1"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPublishedExample is the example of the vendor's documentation.
func TestPublishedExample(t *testing.T) {
	t.Parallel()
	r := &Request{Method: "GET", RawQuery: "Timestamp=2016-02-23T12%3A46%3A24Z&Format=XML&AccessKeyId=testid&Action=DescribeRegions" +
		"&SignatureMethod=HMAC-SHA1&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&Version=2014-05-26&SignatureVersion=1.0" +
		"&Signature=OLeaidS1JvxuMvnyHOwuJ%2BuX5qY%3D"}
	s, err := accept(r, "testid", "testsecret")
	if err != nil {
		t.Fatal(err)
	}
	want := &Signature{
		AccessKeyID: "testid", Algorithm: HMACSHA1, Timestamp: "2016-02-23T12:46:24Z",
		Nonce: "3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf", Action: "DescribeRegions", Version: "2014-05-26", Format: "XML",
	}
	if diff := cmp.Diff(want, s, claims, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestMismatchShowsStringToSign(t *testing.T) {
	t.Parallel()
	const prefix = "Specified signature is not matched with our calculation. server string to sign is:"
	tests := map[Algorithm]string{
		HMACSHA256: "POST&%2F&AccessKeyId%3DLTAI5tTest%26Action%3DPageImageRegistry%26RegistryTypeInList.1%3DCI%252FCD" +
			"%26SignatureMethod%3DHMAC-SHA256%26SignatureNonce%3Dn-1%26SignatureVersion%3D1.0%26SourceIp%3D203.0.113.9" +
			"%26Timestamp%3D2026-11-24T02%253A26%253A55Z%26Version%3D2018-12-03",
		ACS3SHA256: "ACS3-HMAC-SHA256\n@",
		ACS3SM3:    "ACS3-HMAC-SM3\n@",
	}
	for algorithm, want := range tests {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			_, err := accept(signed(t, algorithm), testKey.ID, "another")
			e, ok := errors.AsType[*portolan.Error](err)
			if !ok || e.Code != "SignatureDoesNotMatch" || e.Status != http.StatusBadRequest {
				t.Fatalf("error %v, want SignatureDoesNotMatch 400", err)
			}
			got, found := strings.CutPrefix(e.Message, prefix)
			if start, isHash := strings.CutSuffix(want, "@"); isHash {
				found = found && strings.HasPrefix(got, start) && len(got) == len(start)+64
			} else {
				found = found && got == want
			}
			if !found {
				t.Errorf("message %q, want string to sign %q", e.Message, want)
			}
			if strings.Contains(e.Message, "another") {
				t.Error("the message holds the secret")
			}
		})
	}
}

func TestEmptySecretMatchesNothing(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []Algorithm{HMACSHA1, ACS3SHA256} {
		r := signed(t, algorithm)
		if algorithm == HMACSHA1 {
			before, _, _ := strings.Cut(r.RawQuery, "&Signature=")
			r.RawQuery = before
			d, err := decode(r.RawQuery, "", r.Body, limits)
			if err != nil {
				t.Fatal(err)
			}
			r.addQuery(Param{"Signature", v1Signature(algorithm, "", v1StringToSign(r.Method, d.all))})
		} else {
			if err := (v3{}).sign(r, Key{ID: testKey.ID}, Call{Algorithm: algorithm, Action: "A", Version: "V", Nonce: "n"}); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Parse(r, limits)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(""); code(err) != "SignatureDoesNotMatch" {
			t.Errorf("%s: %v, want SignatureDoesNotMatch", algorithm, err)
		}
	}
}

func TestParseRefusesV1(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ old, new, want string }{
		"no key":               {"AccessKeyId=LTAI5tTest", "", "MissingAccessKeyId"},
		"empty key":            {"AccessKeyId=LTAI5tTest", "AccessKeyId=", "MissingAccessKeyId"},
		"no signature":         {"Signature=", "Gone=", "MissingSignature"},
		"no action":            {"Action=PageImageRegistry", "", "MissingAction"},
		"no version":           {"&Version=2018-12-03", "", "MissingVersion"},
		"no method":            {"SignatureMethod=HMAC-SHA1", "", "MissingSignatureMethod"},
		"unknown method":       {"SignatureMethod=HMAC-SHA1", "SignatureMethod=HMAC-MD5", "InvalidSignatureMethod"},
		"method of headers":    {"SignatureMethod=HMAC-SHA1", "SignatureMethod=ACS3-HMAC-SHA256", "InvalidSignatureMethod"},
		"no signature version": {"SignatureVersion=1.0", "", "MissingSignatureVersion"},
		"signature version":    {"SignatureVersion=1.0", "SignatureVersion=2.0", "InvalidSignatureVersion"},
		"no time":              {"Timestamp=", "Gone=", "MissingTimestamp"},
		"no nonce":             {"SignatureNonce=n-1", "", "MissingSignatureNonce"},
		"twice":                {"SourceIp=203.0.113.9", "SourceIp=203.0.113.9&SourceIp=203.0.113.9", "InvalidParameter"},
		"in query and form":    {"SourceIp=203.0.113.9", "RegistryTypeInList.1=x", "InvalidParameter"},
		"spelled twice":        {"SourceIp=203.0.113.9", "SourceIp=1&Source%49p=2", "InvalidParameter"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, HMACSHA1)
			r.RawQuery = strings.Replace(r.RawQuery, test.old, test.new, 1)
			_, err := Parse(r, limits)
			if code(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestParseRefusesV3(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*Request) {
		return func(r *Request) { r.Header.Set(name, value) }
	}
	authorization := func(old, new string) func(*Request) {
		return func(r *Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	tests := map[string]struct {
		change func(*Request)
		want   string
	}{
		"empty action":       {header(headerAction, ""), "MissingAction"},
		"empty version":      {header(headerVersion, ""), "MissingVersion"},
		"empty time":         {header(headerDate, ""), "MissingTimestamp"},
		"empty nonce":        {header(headerNonce, ""), "MissingSignatureNonce"},
		"empty body hash":    {header(headerBodyHash, ""), "IncompleteSignature"},
		"other algorithm":    {authorization("SHA256", "MD5"), "InvalidSignatureMethod"},
		"no credential":      {authorization("Credential=LTAI5tTest,", ""), "IncompleteSignature"},
		"empty credential":   {authorization("Credential=LTAI5tTest", "Credential="), "IncompleteSignature"},
		"no list":            {authorization("SignedHeaders", "Signature"), "IncompleteSignature"},
		"unknown field":      {authorization("Credential", "Key"), "IncompleteSignature"},
		"field twice":        {authorization("Credential=", "Credential=x,Credential="), "IncompleteSignature"},
		"field empty, again": {authorization("Credential=", "Credential=,Credential="), "IncompleteSignature"},
		"nothing":            {header("Authorization", "ACS3-HMAC-SHA256"), "IncompleteSignature"},
		"host unsigned":      {authorization("host;", ""), "IncompleteSignature"},
		"type unsigned":      {authorization("content-type;", ""), "IncompleteSignature"},
		"action unsigned":    {authorization("x-acs-action;", ""), "IncompleteSignature"},
		"header unsent":      {authorization("host;", "host;x-a;"), "IncompleteSignature"},
		"list unsorted":      {authorization("content-type;host", "host;content-type"), "IncompleteSignature"},
		"list with repeats":  {authorization("host;", "host;host;"), "IncompleteSignature"},
		"list in upper case": {authorization("host;", "Host;"), "IncompleteSignature"},
		"list with a blank":  {authorization("content-type;", ";content-type;"), "IncompleteSignature"},
		"header twice":       {func(r *Request) { r.Header.Add(headerAction, "DeletePrivateRegistry") }, "IncompleteSignature"},
		"raw header key":     {func(r *Request) { r.Header["x-acs-extra"] = []string{"1"} }, "IncompleteSignature"},
		"in query and form":  {func(r *Request) { r.RawQuery += "&RegistryTypeInList.1=x" }, "InvalidParameter"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, ACS3SHA256)
			test.change(r)
			_, err := Parse(r, limits)
			if code(err) != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestMissingNamesTheHeader(t *testing.T) {
	t.Parallel()
	r := signed(t, ACS3SHA256)
	r.Header.Set(headerDate, "")
	_, err := Parse(r, limits)
	want := &portolan.Error{
		Code: "MissingTimestamp", Status: 400,
		Message: "Timestamp is mandatory for this action. Send it in header X-Acs-Date.",
	}
	if e, _ := errors.AsType[*portolan.Error](err); !cmp.Equal(want, e) {
		t.Error(cmp.Diff(want, e))
	}
}

// TestBodyHashIsChecked signs a hash that is not that of the body.
func TestBodyHashIsChecked(t *testing.T) {
	t.Parallel()
	r := signed(t, ACS3SHA256)
	r.Body = []byte("RegistryTypeInList.1=harbor")
	_, err := accept(r, testKey.ID, testKey.Secret)
	if code(err) != "SignatureDoesNotMatch" || !strings.Contains(err.Error(), "hash of the body") {
		t.Errorf("error %v, want SignatureDoesNotMatch because of the body", err)
	}
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		request *Request
		v3      bool
	}{
		"parameters": {&Request{RawQuery: "Action=AssumeRoleWithOIDC&Version=2015-04-01&Format=JSON"}, false},
		"headers": {&Request{Header: http.Header{
			headerAction: {"AssumeRoleWithOIDC"}, headerVersion: {"2015-04-01"}, "Authorization": {"Bearer x"},
		}}, true},
		"both": {&Request{
			RawQuery: "Action=AssumeRoleWithOIDC&Version=2015-04-01",
			Header:   http.Header{headerAction: {"Other"}, headerVersion: {"Other"}},
		}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Parse(test.request, limits)
			if err != nil {
				t.Fatal(err)
			}
			if !s.Anonymous() || s.V3() != test.v3 || s.Action != "AssumeRoleWithOIDC" || s.Version != "2015-04-01" {
				t.Errorf("Anonymous() = %v, V3() = %v, %s %s", s.Anonymous(), s.V3(), s.Action, s.Version)
			}
			for _, secret := range []string{"", "secret"} {
				if err := s.Verify(secret); code(err) != "MissingAccessKeyId" {
					t.Errorf("Verify: %v, want MissingAccessKeyId", err)
				}
			}
		})
	}
	if _, err := Parse(&Request{}, limits); code(err) != "MissingAction" {
		t.Errorf("empty request: %v, want MissingAction", err)
	}
}

// TestHeadersOutrankParameters signs, in headers, parameters that have the names
// of the other scheme.
func TestHeadersOutrankParameters(t *testing.T) {
	t.Parallel()
	r, err := Sign(
		&Request{Method: "GET", Path: "/", Host: "h", RawQuery: "AccessKeyId=x&Action=Other&Signature=x&Version=2"},
		testKey, Call{Action: "X", Version: "1", Time: testTime, Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := accept(r, testKey.ID, testKey.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if !s.V3() || s.Action != "X" || s.Version != "1" || len(s.Params) != 4 {
		t.Errorf("V3() = %v, %s %s with %v", s.V3(), s.Action, s.Version, s.Params)
	}
}

// TestAsDelivered sends signed requests through the reader of net/http, which
// moves Host and canonicalises names.
func TestAsDelivered(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []Algorithm{HMACSHA1, HMACSHA256, ACS3SHA256, ACS3SM3} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			s, err := accept(deliver(t, signed(t, algorithm)), testKey.ID, testKey.Secret)
			if err != nil {
				t.Fatal(err)
			}
			want := []Param{{"RegistryTypeInList.1", "CI/CD"}, {"SourceIp", "203.0.113.9"}}
			if diff := cmp.Diff(want, s.Params); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDeliveryTrims signs what HTTP sends in another spelling: blanks around a
// header's value are dropped, and an empty path is "/".
func TestDeliveryTrims(t *testing.T) {
	t.Parallel()
	r, err := Sign(
		&Request{Method: "GET", Host: "h", Header: http.Header{"X-Acs-Extra": {" a\t"}}},
		testKey, Call{Action: "X", Version: "1", Time: testTime, Nonce: "n"})
	if err != nil {
		t.Fatal(err)
	}
	r.Path = "/"
	if _, err := accept(deliver(t, r), testKey.ID, testKey.Secret); err != nil {
		t.Error(err)
	}
}

func deliver(t *testing.T, r *Request) *Request {
	t.Helper()
	var wire bytes.Buffer
	fmt.Fprintf(&wire, "%s %s?%s HTTP/1.1\r\nhost: %s\r\n", r.Method, r.Path, r.RawQuery, r.Host)
	for key := range r.Header {
		fmt.Fprintf(&wire, "%s:  %s \r\n", strings.ToLower(key), r.Header.Get(key))
	}
	fmt.Fprintf(&wire, "content-length: %d\r\n\r\n%s", len(r.Body), r.Body)
	got, err := http.ReadRequest(bufio.NewReader(&wire))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &Request{
		Method: got.Method, Path: got.URL.EscapedPath(), RawQuery: got.URL.RawQuery,
		Host: got.Host, Header: got.Header, Body: body,
	}
}
