package oci

import (
	"encoding/json"
	"testing"

	"portolan"
)

// FuzzSearch takes pages of the search extension: what is believed is in
// order, complete and each once.
func FuzzSearch(f *testing.F) {
	const d = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	f.Add([]byte(`{"data":{"ImageList":{"Page":{"TotalCount":1,"ItemCount":1},"Results":[{"RepoName":"a","Tag":"1","Digest":"` + d + `"}]}}}`))
	f.Add([]byte(`{"data":{"ImageList":{"Page":{"TotalCount":0,"ItemCount":0},"Results":null}}}`))
	f.Add([]byte(`{"data":{"ImageList":{"Page":{"TotalCount":-1,"ItemCount":0},"Results":[]}}}`))
	f.Add([]byte(`{"errors":[{"message":"x"}],"data":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer searchAnswer
		if json.Unmarshal(body, &answer) != nil {
			return
		}
		w := &searchWalk{tags: map[string]tagList{}}
		for range 3 {
			if w.over() || w.take(&answer) != nil {
				break
			}
		}
		taken := 0
		for path, list := range w.tags {
			for _, tag := range list.names {
				if digest, err := portolan.ParseDigest(string(list.digests[tag])); err != nil || digest == "" || path == "" || tag == "" {
					t.Fatalf("%q has %q with %q", path, tag, list.digests[tag])
				}
			}
			if len(list.digests) != len(list.names) {
				t.Fatalf("%q has a tag twice: %q", path, list.names)
			}
			taken += len(list.names)
		}
		if taken != w.taken || w.over() && taken != w.total {
			t.Errorf("%d tags of %d, %d counted", taken, w.total, w.taken)
		}
	})
}
