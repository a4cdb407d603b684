package sign

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestSignMakesTheVectors takes the signatures of real clients off and makes
// them again.
func TestSignMakesTheVectors(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "testdata/vectors.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			when, err := time.Parse(time.RFC3339, v.Timestamp)
			if err != nil {
				t.Fatal(err)
			}
			was, err := Parse(v.request(), limits)
			if err != nil {
				t.Fatal(err)
			}
			key := Key{ID: v.AccessKeyID, Secret: v.AccessKeySecret, SecurityToken: was.SecurityToken}
			call := Call{Algorithm: was.Algorithm, Action: v.Action, Version: v.Version, Format: was.Format, Time: when, Nonce: v.Nonce}
			r, err := Sign(stripped(v.request()), key, call)
			if err != nil {
				t.Fatal(err)
			}
			is, err := accept(r, v.AccessKeyID, v.AccessKeySecret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(was, is, claims); diff != "" {
				t.Error(diff)
			}
			if was.value != is.value || was.signedHeaders != is.signedHeaders {
				t.Errorf("signature %s over %q, want %s over %q", is.value, is.signedHeaders, was.value, was.signedHeaders)
			}
		})
	}
}

// stripped takes off what Sign adds.
func stripped(r *Request) *Request {
	for _, key := range []string{
		"Authorization", headerAction, headerVersion, headerDate, headerNonce, headerBodyHash, headerToken, headerKeyID,
	} {
		r.Header.Del(key)
	}
	added := func(pair string) bool {
		name, value, _ := strings.Cut(pair, "=")
		return value != "" && len(withoutSystem([]Param{{Name: name}})) == 0
	}
	r.RawQuery = strings.Join(slices.DeleteFunc(strings.Split(r.RawQuery, "&"), added), "&")
	if !strings.HasPrefix(string(r.Body), "{") {
		r.Body = []byte(strings.Join(slices.DeleteFunc(strings.Split(string(r.Body), "&"), added), "&"))
	}
	return r
}

func TestSignLeavesTheRequestAlone(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []Algorithm{"", HMACSHA1} {
		r := &Request{Method: "POST", Path: "/", RawQuery: "A=1", Host: "h", Header: http.Header{"Accept": {"x"}}, Body: []byte("B=2")}
		before := &Request{Method: "POST", Path: "/", RawQuery: "A=1", Host: "h", Header: http.Header{"Accept": {"x"}}, Body: []byte("B=2")}
		out, err := Sign(r, testKey, Call{Algorithm: algorithm, Action: "X", Version: "1", Nonce: "n", Time: testTime})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, r); diff != "" {
			t.Error(diff)
		}
		if got := out.Header.Get("Content-Type"); got != formType {
			t.Errorf("Content-Type %q, want that of a form", got)
		}
		if got := out.Header.Get("Authorization"); strings.HasPrefix(got, "ACS3-HMAC-SHA256 ") != (algorithm == "") {
			t.Errorf("%q: Authorization %q", algorithm, got)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	call := Call{Action: "X", Version: "1", Nonce: "n", Time: testTime}
	tests := map[string]struct {
		request Request
		key     Key
		call    func(*Call)
		want    string
	}{
		"unknown algorithm": {Request{}, testKey, func(c *Call) { c.Algorithm = "MD5" }, `sign request: unknown algorithm "MD5"`},
		"no secret":         {Request{}, Key{ID: "x"}, func(*Call) {}, "sign request: the access key has no secret"},
		"no key id":         {Request{}, Key{Secret: "s3cret"}, func(*Call) {}, "sign request: IncompleteSignature: "},
		"no action":         {Request{}, testKey, func(c *Call) { c.Action = "" }, "sign request: MissingAction: "},
		"no nonce":          {Request{}, testKey, func(c *Call) { c.Nonce = "" }, "sign request: MissingSignatureNonce: "},
		"bad query":         {Request{RawQuery: "A=%"}, testKey, func(*Call) {}, "sign request: InvalidParameter: "},
		"query signed":      {Request{RawQuery: "Version=1"}, testKey, func(c *Call) { c.Algorithm = HMACSHA1 }, "sign request: InvalidParameter: "},
		"no key id in v1":   {Request{}, Key{Secret: "s3cret"}, func(c *Call) { c.Algorithm = HMACSHA1 }, "sign request: MissingAccessKeyId: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := call
			test.call(&c)
			r, err := Sign(&test.request, test.key, c)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("error %v, want %s", err, test.want)
			}
			if r != nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("request %v with error %v", r, err)
			}
		})
	}
}

func TestKeyHidesSecrets(t *testing.T) {
	t.Parallel()
	key := Key{ID: "LTAI5tTest", Secret: "canary", SecurityToken: "canary"}
	asJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", key, key, key, key, key), fmt.Sprintf("%v %+v", &key, struct{ K Key }{key}), string(asJSON),
	} {
		if strings.Contains(text, "canary") || !strings.Contains(text, "LTAI5tTest") {
			t.Errorf("printed as %s", text)
		}
	}
}
