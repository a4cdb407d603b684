package acr

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// number is a whole number, which the APIs write as such or as a string. What
// is neither is not there.
type number struct {
	n     int64
	there bool
}

// UnmarshalJSON never fails: a page is not lost for the sake of a size.
func (n *number) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	*n = number{v, err == nil}
	return nil
}

// count is a number of entries, -1 if there is none.
func (n number) count() int {
	const most = maxPages * pageSize * 10
	if !n.there || n.n < 0 || n.n > most {
		return -1
	}
	return int(n.n)
}

// time reads milliseconds since 1970, zero for what is no time since 2000.
func (n number) time() time.Time {
	const first, last = 946_684_800_000, 32_503_680_000_000
	if !n.there || n.n < first || n.n > last {
		return time.Time{}
	}
	return time.UnixMilli(n.n).UTC()
}

// repositoryEntry is a repository of either list: encoding/json does not
// distinguish capitals.
type repositoryEntry struct {
	ID            json.RawMessage `json:"RepoId"` // "crr-…", a number in Personal Edition
	Name          string          `json:"RepoName"`
	NamespaceName string          `json:"RepoNamespaceName"` // Enterprise
	Namespace     string          `json:"RepoNamespace"`     // Personal
	Status        string          `json:"RepoStatus"`
	Type          string          `json:"RepoType"` // PUBLIC, PRIVATE
	Modified      number          `json:"ModifiedTime"`
	GmtModified   number          `json:"GmtModified"`
}

func (e repositoryEntry) path() string {
	namespace := e.NamespaceName
	if namespace == "" {
		namespace = e.Namespace
	}
	if namespace == "" {
		return e.Name
	}
	return namespace + "/" + e.Name
}

// id is "" if it is not of the form that calls are made with.
func (e repositoryEntry) id() string {
	id := strings.Trim(string(e.ID), `"`)
	if !isLabel(id) {
		return ""
	}
	return id
}

// visibility is in the words of the contract.
func (e repositoryEntry) visibility() string {
	switch strings.ToUpper(e.Type) {
	case "PUBLIC":
		return "public"
	case "PRIVATE":
		return "private"
	}
	return ""
}

// going reports whether a repository or tag is being deleted.
func going(status string) bool { return strings.HasPrefix(strings.ToUpper(status), "DELET") }

// fingerprint tells the id, which a repository that is made anew does not
// share, and when it was modified by the word of the registry.
func (e repositoryEntry) fingerprint() string {
	modified := e.Modified.n
	if !e.Modified.there {
		modified = e.GmtModified.n
	}
	return e.id() + " " + strconv.FormatInt(modified, 10)
}

// fingerprintID is the id in a fingerprint.
func fingerprintID(fingerprint string) string {
	id, _, _ := strings.Cut(fingerprint, " ")
	if !strings.HasPrefix(id, "crr-") || !isLabel(id) {
		return ""
	}
	return id
}

// tagEntry is a row of a list of tags.
type tagEntry struct {
	Tag         string `json:"Tag"`
	Digest      string `json:"Digest"` // 64 hex digits without sha256:
	ImageSize   number `json:"ImageSize"`
	ImageCreate number `json:"ImageCreate"`
	ImageUpdate number `json:"ImageUpdate"`
	Status      string `json:"Status"`
}

func (e tagEntry) key() string { return e.Tag }

// row turns the entry into a row whose kind is not known yet, unless the tag
// alone tells it.
func (e tagEntry) row(path string) connector.Row {
	row := connector.Row{Tags: []connector.Tag{{Name: e.Tag, Pushed: e.ImageUpdate.time()}}}
	digest, err := portolan.ParseDigest(e.Digest)
	if err != nil {
		row.Err = connector.Errorf(portolan.ServerFailure, "Container Registry lists a tag of %s without a usable digest: %w", path, err)
		return row
	}
	row.Digest = digest
	if connector.AccessoryTag(e.Tag) {
		row.Facts = connector.Facts{Kind: portolan.KindAccessory}
	}
	return row
}

// complete adds to the facts of a manifest what the list tells of it: the size
// that the product shows, and when the image was made if it does not say so
// itself. ImageId is not taken from the list: the manifest has proven it.
func (e tagEntry) complete(f *connector.Facts) {
	if !f.Complete() {
		return
	}
	if e.ImageSize.n > 0 {
		f.Size = e.ImageSize.n
	}
	if f.Created.IsZero() {
		f.Created = e.ImageCreate.time()
	}
}

// updated is when the tag last moved.
func (e tagEntry) updated() time.Time { return e.ImageUpdate.time() }
