package portolan

import (
	"cmp"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// Digest is an algorithm and a hash, as "sha256:" and 64 hex digits.
type Digest string

// ErrDigest is returned for text that is not a digest.
var ErrDigest = errors.New("not a digest: want 64 hex digits, or algorithm:hex")

// ParseDigest accepts both forms found on the wire, with and without the
// algorithm, and answers the full, lower-case one.
func ParseDigest(s string) (Digest, error) {
	algorithm, sum, found := strings.Cut(strings.ToLower(s), ":")
	if !found {
		algorithm, sum = "sha256", algorithm
	}
	sizes := map[string]int{"sha256": 32, "sha384": 48, "sha512": 64}
	raw, err := hex.DecodeString(sum)
	if err != nil || sizes[algorithm] == 0 || len(raw) != sizes[algorithm] {
		return "", ErrDigest
	}
	return Digest(algorithm + ":" + sum), nil
}

// Wire is the form of API answers: bare hex for sha256, with the algorithm
// for all others.
func (d Digest) Wire() string { return strings.TrimPrefix(string(d), "sha256:") }

// Kind is what a manifest turned out to be.
type Kind string

// The kinds. Only images are counted; the others appear in the ledger.
const (
	KindImage     Kind = "image"
	KindAccessory Kind = "accessory"
	KindOther     Kind = "other"
)

// ErrorClass says why a registry could not be read. It is the SyncErrorCode
// of the wire.
type ErrorClass string

// The classes, as SyncErrorCode has them.
const (
	DNSFailure         ErrorClass = "DnsFailure"
	AddressForbidden   ErrorClass = "AddressForbidden"
	NetworkUnavailable ErrorClass = "NetworkUnavailable"
	ConnectFailure     ErrorClass = "ConnectFailure"
	TLSFailure         ErrorClass = "TlsFailure"
	NotThisProduct     ErrorClass = "NotThisProduct"
	UnsupportedVersion ErrorClass = "UnsupportedVersion"
	BadCredentials     ErrorClass = "BadCredentials"
	CredentialsExpired ErrorClass = "CredentialsExpired"
	Forbidden          ErrorClass = "Forbidden"
	CannotEnumerate    ErrorClass = "CannotEnumerate"
	ServerFailure      ErrorClass = "ServerFailure"
	ClockSkew          ErrorClass = "ClockSkew"
	Partial            ErrorClass = "Partial"
	VanishGuard        ErrorClass = "VanishGuard"
)

// Tag is a name of a digest. Pushed is when it came to name this digest: as
// the source tells, else when it was first seen there.
type Tag struct {
	Name   string
	Pushed time.Time
}

// NewestTag is the tag that stands for an image: the latest push, then the
// greatest name. It is "" for an untagged image.
func NewestTag(tags []Tag) Tag {
	if len(tags) == 0 {
		return Tag{}
	}
	return slices.MaxFunc(tags, func(a, b Tag) int {
		return cmp.Or(a.Pushed.Compare(b.Pushed), strings.Compare(a.Name, b.Name))
	})
}

// Image is one digest in one repository, as the inventory keeps it.
type Image struct {
	UUID      string
	Digest    Digest
	Tags      []Tag // sorted by name
	MediaType string
	// ArtifactType is what an OCI manifest says of itself, mostly "".
	ArtifactType string
	ImageID      Digest
	Size         int64
	Platforms    []string
	Created      time.Time
	Pushed       time.Time
	Updated      time.Time
	FirstSeen    time.Time

	Repository Repository
}

// Repository is a path of a registry with its images counted.
type Repository struct {
	RepoID     string
	Namespace  string
	Name       string
	Visibility string // "public", "private" or "" when not known
	ImageCount int
	Registry   *Registry
}

// Path is namespace and name together.
func (r *Repository) Path() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}
