package quay

import (
	"encoding/json"
	"strings"
	"time"

	"portolan"
)

// present is a value that may be null but must be there: without it an answer
// is no answer to what was asked.
type present[T any] struct {
	there bool
	value T
}

// UnmarshalJSON notes that the value is there.
func (p *present[T]) UnmarshalJSON(b []byte) error {
	p.there = true
	return json.Unmarshal(b, &p.value)
}

// repositoryList is a page of GET /repository.
type repositoryList struct {
	Repositories present[[]repositoryEntry] `json:"repositories"`
	// NextPage is opaque, and absent on the last page.
	NextPage string `json:"next_page"`
}

// repositoryEntry is an entry of GET /repository.
type repositoryEntry struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	IsPublic  *bool  `json:"is_public"`
	Kind      string `json:"kind"`  // image, application
	State     string `json:"state"` // NORMAL, READ_ONLY, MIRROR, ORG_MIRROR, MARKED_FOR_DELETION
	// LastModified is when the newest of the alive tags began, in seconds, null
	// without any. It rises with pushes, moves and restorations, and does not
	// tell that an older tag was deleted or has expired.
	LastModified json.RawMessage `json:"last_modified"`
}

func (r *repositoryEntry) path() string { return r.Namespace + "/" + r.Name }

// image reports whether the repository holds images and is not being deleted.
func (r *repositoryEntry) image() bool {
	return (r.Kind == "" || r.Kind == "image") && r.State != stateDeleting
}

const stateDeleting = "MARKED_FOR_DELETION"

// visibility is in the words of the contract.
func (r *repositoryEntry) visibility() string {
	switch {
	case r.IsPublic == nil:
		return ""
	case *r.IsPublic:
		return "public"
	}
	return "private"
}

func (r *repositoryEntry) private() bool { return r.IsPublic != nil && !*r.IsPublic }

func (r *repositoryEntry) fingerprint() string { return strings.TrimSpace(string(r.LastModified)) }

// repositoryAnswer is the answer of GET /repository/{path}?includeTags=true.
type repositoryAnswer struct {
	repositoryEntry
	// Tags are the newest of the alive tags, 500 at most.
	Tags present[map[string]tag] `json:"tags"`
}

// tagList is a page of GET /repository/{path}/tag/, newest first.
type tagList struct {
	Tags present[[]tag] `json:"tags"`
	More *bool          `json:"has_additional"`
}

// tag is a row of both lists of tags.
type tag struct {
	Name   string `json:"name"`
	Digest string `json:"manifest_digest"`
	// Start is when it came to name this digest, in seconds. Only a page of
	// tags has it.
	Start int64 `json:"start_ts"`
	// Modified is the same as text.
	Modified string `json:"last_modified"`
}

// digest is "" when it cannot be used.
func (t *tag) digest() portolan.Digest {
	d, err := portolan.ParseDigest(t.Digest)
	if err != nil {
		return ""
	}
	return d
}

// pushed is zero when the tag does not tell.
func (t *tag) pushed() time.Time {
	const last = 253402300799 // the end of the year 9999
	if t.Start > 0 && t.Start <= last {
		return time.Unix(t.Start, 0).UTC()
	}
	at, err := time.Parse(time.RFC1123Z, t.Modified)
	if err != nil || at.Year() < 1 {
		return time.Time{}
	}
	return at.UTC()
}

// manifestAnswer is the answer of GET /repository/{path}/manifest/{digest}.
type manifestAnswer struct {
	// Data is the manifest itself, byte for byte.
	Data *string `json:"manifest_data"`
}
