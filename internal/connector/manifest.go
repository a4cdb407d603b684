package connector

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"portolan"
)

// Media types of manifests and image configurations (OCI image specification;
// distribution's manifest-v2-2.md and manifest-v2-1.md).
const (
	MediaTypeOCIIndex    = "application/vnd.oci.image.index.v1+json"
	MediaTypeOCIManifest = "application/vnd.oci.image.manifest.v1+json"
	MediaTypeDockerList  = "application/vnd.docker.distribution.manifest.list.v2+json"
	MediaTypeDocker      = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeSchema1     = "application/vnd.docker.distribution.manifest.v1+json"
	MediaTypeSchema1Sign = "application/vnd.docker.distribution.manifest.v1+prettyjws"

	configOCI    = "application/vnd.oci.image.config.v1+json"
	configDocker = "application/vnd.docker.container.image.v1+json"
)

// ManifestTypes is the Accept header for manifests. It names every type:
// without one of them a registry may convert the manifest or deny that it
// exists.
const ManifestTypes = MediaTypeOCIIndex + ", " + MediaTypeOCIManifest + ", " + MediaTypeDockerList + ", " +
	MediaTypeDocker + ", " + MediaTypeSchema1Sign + ", " + MediaTypeSchema1

// ErrManifest is wrapped by the errors of manifests that cannot be used.
var ErrManifest = errors.New("not a usable manifest")

const (
	// maxParts bounds the lists of a manifest by the commas in it.
	maxParts = 400_000
	// maxWord bounds a media type and the name of a platform.
	maxWord = 255
)

// Manifest is what matters of an image manifest or an index.
type Manifest struct {
	MediaType    string
	ArtifactType string
	Config       *Descriptor
	Layers       []Descriptor
	// Children of an index.
	Children []Descriptor
	Subject  portolan.Digest
	Created  time.Time
	// Bytes is the length of the manifest itself.
	Bytes int64
}

// Descriptor points from a manifest to its parts.
type Descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// document is a manifest of any type as it is written.
type document struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        *Descriptor       `json:"config"`
	Layers        []Descriptor      `json:"layers"`
	Manifests     *[]Descriptor     `json:"manifests"`
	Subject       *Descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

// ParseManifest decodes a manifest. contentType is the answer's header; the
// type that the manifest states goes first.
func ParseManifest(contentType string, body []byte) (Manifest, error) {
	// One of a few megabytes could unfold to many times that.
	if bytes.Count(body, []byte(",")) > maxParts {
		return Manifest{}, fmt.Errorf("%w: it has more than %d parts", ErrManifest, maxParts)
	}
	var d document
	if err := json.Unmarshal(body, &d); err != nil || d.SchemaVersion == 0 && d.MediaType == "" && d.Config == nil && d.Manifests == nil {
		return Manifest{}, fmt.Errorf("%w: it is not a manifest in JSON", ErrManifest)
	}
	m := Manifest{
		MediaType: d.typeOf(contentType), ArtifactType: d.ArtifactType, Config: d.Config, Layers: d.Layers, Bytes: int64(len(body)),
	}
	if word := m.MediaType + m.ArtifactType; len(word) > 2*maxWord || !portolan.Printable(word) {
		return Manifest{}, fmt.Errorf("%w: its type is no media type", ErrManifest)
	}
	m.Created, _ = time.Parse(time.RFC3339, d.Annotations["org.opencontainers.image.created"])
	if d.Manifests != nil && m.Index() {
		m.Children = *d.Manifests
	}
	if d.Subject == nil {
		return m, nil
	}
	subject, err := portolan.ParseDigest(d.Subject.Digest)
	if err != nil {
		return Manifest{}, fmt.Errorf("%w: its subject has no digest", ErrManifest)
	}
	m.Subject = subject
	return m, nil
}

// typeOf settles the media type: what the manifest states, what the answer
// stated, what it looks like.
func (d *document) typeOf(contentType string) string {
	if d.SchemaVersion == 1 {
		return MediaTypeSchema1
	}
	stated, _, _ := strings.Cut(contentType, ";")
	stated = strings.TrimSpace(strings.ToLower(stated))
	if !strings.HasPrefix(stated, "application/vnd.") {
		stated = ""
	}
	guessed := MediaTypeOCIManifest
	if d.Manifests != nil {
		guessed = MediaTypeOCIIndex
	}
	return cmp.Or(d.MediaType, stated, guessed)
}

// Index reports whether the manifest lists others.
func (m *Manifest) Index() bool {
	return m.MediaType == MediaTypeOCIIndex || m.MediaType == MediaTypeDockerList
}

// size is that of the manifest and all its parts; nonsense counts nothing.
func (m *Manifest) size() int64 {
	total := m.Bytes
	add := func(n int64) {
		if n > 0 && total <= math.MaxInt64-n {
			total += n
		}
	}
	if m.Config != nil {
		add(m.Config.Size)
	}
	for _, l := range m.Layers {
		add(l.Size)
	}
	return total
}

// VerifyManifest checks that a manifest has the digest. Signed schema 1
// manifests are digested without their signatures.
func VerifyManifest(want portolan.Digest, contentType string, body []byte) error {
	if strings.HasPrefix(contentType, MediaTypeSchema1Sign) {
		body = unsigned(body)
	}
	algorithm, _, _ := strings.Cut(string(want), ":")
	if got := digest(algorithm, body); got != want {
		return fmt.Errorf("%w: its content does not match its digest", ErrManifest)
	}
	return nil
}

// DigestManifest answers the sha256 digest of a manifest.
func DigestManifest(contentType string, body []byte) portolan.Digest {
	if strings.HasPrefix(contentType, MediaTypeSchema1Sign) {
		body = unsigned(body)
	}
	return digest("sha256", body)
}

func digest(algorithm string, body []byte) portolan.Digest {
	var sum []byte
	switch algorithm {
	case "sha256":
		s := sha256.Sum256(body)
		sum = s[:]
	case "sha384":
		s := sha512.Sum384(body)
		sum = s[:]
	case "sha512":
		s := sha512.Sum512(body)
		sum = s[:]
	default:
		return ""
	}
	return portolan.Digest(algorithm + ":" + hex.EncodeToString(sum))
}

// unsigned restores the bytes that were signed: the protected header tells
// how many bytes of the document come first and what ends it (libtrust's
// JSON signatures). What cannot be restored is answered as it is.
func unsigned(body []byte) []byte {
	var d struct {
		Signatures []struct {
			Protected string `json:"protected"`
		} `json:"signatures"`
	}
	if json.Unmarshal(body, &d) != nil || len(d.Signatures) == 0 {
		return body
	}
	var protected struct {
		FormatLength int    `json:"formatLength"`
		FormatTail   string `json:"formatTail"`
	}
	header, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(d.Signatures[0].Protected, "="))
	if err != nil || json.Unmarshal(header, &protected) != nil {
		return body
	}
	tail, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(protected.FormatTail, "="))
	if err != nil || protected.FormatLength < 0 || protected.FormatLength > len(body) {
		return body
	}
	return append(bytes.Clone(body[:protected.FormatLength]), tail...)
}
