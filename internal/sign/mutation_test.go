package sign

import (
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// part is a signed part of a request, as a byte string that can be changed.
type part struct {
	name string
	text string
	// query tells that the part is decoded before it is signed, so that its
	// escapes may be spelled otherwise.
	query bool
	set   func(r *Request, text string)
}

// signedParts lists the parts of the request that its signature covers.
func signedParts(v vector, r *Request) []part {
	parts := []part{
		{"method", r.Method, false, func(r *Request, s string) { r.Method = s }},
		{"query", r.RawQuery, true, func(r *Request, s string) { r.RawQuery = s }},
		{"body", string(r.Body), v.Scheme == "V1", func(r *Request, s string) { r.Body = []byte(s) }},
	}
	if v.Scheme == "V1" {
		return parts
	}
	parts = append(parts,
		part{"path", r.Path, false, func(r *Request, s string) { r.Path = s }},
		part{"host", r.Host, false, func(r *Request, s string) { r.Host = s }})
	for _, key := range v3Headers(r) {
		parts = append(parts, part{key, r.Header.Get(key), false, func(r *Request, s string) { r.Header.Set(key, s) }})
	}
	return parts
}

// v3Headers lists the headers that make up a signature of version 3.
func v3Headers(r *Request) []string {
	var keys []string
	for key := range r.Header {
		if key == "Authorization" || key == "Content-Type" || strings.HasPrefix(key, "X-Acs-") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// sameQuery reports whether two texts of a query are spellings of one.
func sameQuery(a, b string) bool {
	left, leftErr := url.ParseQuery(a)
	right, rightErr := url.ParseQuery(b)
	return leftErr == nil && rightErr == nil && cmp.Equal(left, right)
}

func TestEveryByteIsSigned(t *testing.T) {
	t.Parallel()
	var mutations, respelled atomic.Int64
	t.Cleanup(func() {
		if t.Logf("%d mutations, %d only respelled", mutations.Load(), respelled.Load()); respelled.Load() == 0 {
			t.Error("no mutation respelled an escape, so the exception hides nothing or everything")
		}
	})
	for _, v := range readVectors(t, "testdata/vectors.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			for _, p := range signedParts(v, v.request()) {
				for i := range len(p.text) {
					for _, bits := range []byte{0x01, 0x20, 0x80} {
						changed := []byte(p.text)
						changed[i] ^= bits
						r := v.request()
						p.set(r, string(changed))
						mutations.Add(1)
						if _, err := accept(r, v.AccessKeyID, v.AccessKeySecret); err != nil {
							continue
						}
						respelled.Add(1)
						if !p.query || !sameQuery(p.text, string(changed)) {
							t.Errorf("%s: accepted %q", p.name, changed)
						}
					}
				}
			}
		})
	}
}

func TestEveryPartIsNeeded(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "testdata/vectors.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			for name, r := range dropAndAdd(v) {
				if _, err := accept(r, v.AccessKeyID, v.AccessKeySecret); err == nil {
					t.Errorf("%s: accepted", name)
				}
			}
		})
	}
}

// dropAndAdd answers requests that lack a signed part or have one too many.
func dropAndAdd(v vector) map[string]*Request {
	requests := map[string]*Request{}
	change := func(name string, f func(*Request)) {
		r := v.request()
		f(r)
		requests[name] = r
	}
	change("add to query", func(r *Request) { r.RawQuery = strings.TrimPrefix(r.RawQuery+"&Extra=1", "&") })
	change("add to body", func(r *Request) { r.Body = append(r.Body, "&Extra=1"...) })
	change("add JSON body", func(r *Request) {
		r.Header.Set("Content-Type", "application/json")
		r.Body = []byte(`{"Extra":1}`)
	})
	for pair := range strings.SplitSeq(v.RawQuery, "&") {
		if pair != "" {
			change("drop "+pair, func(r *Request) { r.RawQuery = without(r.RawQuery, pair) })
			change("repeat "+pair, func(r *Request) { r.RawQuery += "&" + pair })
		}
	}
	for pair := range strings.SplitSeq(v.Body, "&") {
		if pair != "" {
			change("drop "+pair, func(r *Request) { r.Body = []byte(without(string(r.Body), pair)) })
		}
	}
	if v.Scheme == "V1" {
		return requests
	}
	for _, key := range v3Headers(v.request()) {
		change("drop "+key, func(r *Request) { r.Header.Del(key) })
		change("repeat "+key, func(r *Request) { r.Header.Add(key, r.Header.Get(key)+"x") })
	}
	delete(requests, "repeat Authorization") // the first is the one
	change("drop host", func(r *Request) { r.Host = "" })
	change("add unsigned header", func(r *Request) { r.Header.Set("X-Acs-Extra", "1") })
	if v.request().Header.Get("Content-Type") == "" {
		change("add content type", func(r *Request) { r.Header.Set("Content-Type", "application/json") })
	}
	if v.request().Header.Get(headerToken) == "" {
		change("add token", func(r *Request) { r.Header.Set(headerToken, "x") })
	}
	return requests
}

// without takes one pair out of the text of a query.
func without(query, pair string) string {
	pairs := strings.Split(query, "&")
	i := slices.Index(pairs, pair)
	return strings.Join(slices.Delete(pairs, i, i+1), "&")
}

// TestUnsignedPartsAreNotBelieved changes what version 1.0 does not sign: the
// request stays good, and nothing that is read from it changes.
func TestUnsignedPartsAreNotBelieved(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "testdata/vectors.json") {
		if v.Scheme != "V1" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			want, err := accept(v.request(), v.AccessKeyID, v.AccessKeySecret)
			if err != nil {
				t.Fatal(err)
			}
			r := v.request()
			r.Path, r.Host = "/elsewhere", "elsewhere"
			for _, key := range []string{headerAction, headerVersion, headerDate, headerNonce, headerToken, headerKeyID} {
				r.Header.Set(key, "forged")
			}
			r.Header.Set("Authorization", "Basic Zm9yZ2Vk")
			got, err := accept(r, v.AccessKeyID, v.AccessKeySecret)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, claims); diff != "" {
				t.Error(diff)
			}
		})
	}
}
