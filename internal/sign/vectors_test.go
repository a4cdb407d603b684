package sign

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// vector is a request as a real client sent it.
type vector struct {
	ID, Scheme, Algorithm, Method, Path, RawQuery, Body string
	AccessKeyID, AccessKeySecret                        string
	Action, Version, Timestamp, Nonce                   string
	Headers, ExpectedParams                             map[string]string
}

func (v vector) request() *Request {
	r := &Request{Method: v.Method, Path: v.Path, RawQuery: v.RawQuery, Header: http.Header{}, Body: []byte(v.Body)}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	return r
}

func readVectors(t testing.TB, path string) []vector {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// limits are those of the server.
var limits = Limits{Params: 1_000, Name: 128, Value: 512 << 10}

// accept is what a server does with a request, for one key.
func accept(r *Request, keyID, secret string) (*Signature, error) {
	s, err := Parse(r, limits)
	if err != nil {
		return nil, err
	}
	if s.AccessKeyID != keyID {
		secret = ""
	}
	return s, s.Verify(secret)
}

func TestVectors(t *testing.T) {
	t.Parallel()
	vectors := readVectors(t, "testdata/vectors.json")
	if len(vectors) != 65 {
		t.Fatalf("%d vectors, want 65", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			s, err := accept(v.request(), v.AccessKeyID, v.AccessKeySecret)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{s.AccessKeyID, string(s.Algorithm), s.Action, s.Version, s.Timestamp, s.Nonce}
			want := []string{v.AccessKeyID, v.Algorithm, v.Action, v.Version, v.Timestamp, v.Nonce}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if s.V3() != (v.Scheme == "V3") || s.Anonymous() {
				t.Errorf("V3() = %v, Anonymous() = %v", s.V3(), s.Anonymous())
			}
			if diff := cmp.Diff(v.ExpectedParams, business(s.Params)); diff != "" {
				t.Error(diff)
			}
			if err := s.Verify(v.AccessKeySecret + "x"); code(err) != "SignatureDoesNotMatch" {
				t.Errorf("another secret: %v", err)
			}
		})
	}
}

// business leaves out the parameters that the vectors do not count.
func business(params []Param) map[string]string {
	m := map[string]string{}
	for _, p := range params {
		if p.Name != "RegionId" {
			m[p.Name] = p.Value
		}
	}
	return m
}

func TestInvalidVectors(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"cli-bad-01":  "InvalidParameter",
		"oac-bad-02":  "SignatureDoesNotMatch",
		"oac-bad-03":  "SignatureDoesNotMatch",
		"core-bad-04": "SignatureDoesNotMatch",
		"core-bad-05": "SignatureDoesNotMatch",
	}
	got := map[string]string{}
	for _, v := range readVectors(t, "testdata/vectors_invalid.json") {
		_, err := accept(v.request(), v.AccessKeyID, v.AccessKeySecret)
		got[v.ID] = code(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
