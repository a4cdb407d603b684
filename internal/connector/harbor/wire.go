package harbor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// projectEntry is an entry of GET /projects.
type projectEntry struct {
	Name     string `json:"name"`
	Metadata struct {
		Public string `json:"public"` // "true" or "false"
	} `json:"metadata"`
}

func (p projectEntry) key() string { return p.Name }

// visibility is in the words of the contract.
func (p projectEntry) visibility() string {
	switch p.Metadata.Public {
	case "true":
		return "public"
	case "false":
		return "private"
	}
	return ""
}

// repositoryEntry is an entry of GET /repositories.
type repositoryEntry struct {
	Name          string `json:"name"` // with the project in front
	ArtifactCount *int   `json:"artifact_count"`
	UpdateTime    string `json:"update_time"`
}

func (r repositoryEntry) key() string { return r.Name }

func (r repositoryEntry) expect() int {
	if r.ArtifactCount == nil || *r.ArtifactCount < 0 {
		return -1
	}
	return *r.ArtifactCount
}

// fingerprint moves with pushes, tags and deletions on 2.15, and also when
// pulls are counted; older versions move update_time less (unverified).
func (r repositoryEntry) fingerprint() string {
	return fmt.Sprintf("%s %d", r.UpdateTime, r.expect())
}

// artifact is a row of a list of artifacts: a top-level manifest, tagged or
// not. Children of an index and accessories have no row.
type artifact struct {
	Digest            string          `json:"digest"`
	Type              string          `json:"type"`                // IMAGE, CHART, SBOM ...
	MediaType         string          `json:"media_type"`          // of the configuration
	ManifestMediaType string          `json:"manifest_media_type"` // of the manifest
	ArtifactType      string          `json:"artifact_type"`
	Size              int64           `json:"size"`
	PushTime          time.Time       `json:"push_time"` // of the digest's first push
	RepositoryName    string          `json:"repository_name"`
	ExtraAttrs        json.RawMessage `json:"extra_attrs"` // depends on the type
	References        []reference     `json:"references"`
	Tags              []artifactTag   `json:"tags"`
}

type artifactTag struct {
	Name     string    `json:"name"`
	PushTime time.Time `json:"push_time"`
}

// reference is a child of an index.
type reference struct {
	Platform    *platform         `json:"platform"`
	Annotations map[string]string `json:"annotations"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// image reports whether a child is no attestation.
func (r reference) image() bool {
	if r.Annotations["vnd.docker.reference.type"] != "" {
		return false
	}
	return r.Platform == nil || r.Platform.OS != "unknown" || r.Platform.Architecture != "unknown"
}

func (p platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// key is unique in a project: a digest may be in several repositories.
func (a artifact) key() string { return a.RepositoryName + "@" + a.Digest }

// index reports whether the artifact is a list of others.
func (a artifact) index() bool {
	switch a.ManifestMediaType {
	case "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json":
		return true
	}
	return false
}

// kind is Harbor's word for the type, less what the manifest says to be no
// image in spite of its configuration.
func (a artifact) kind() portolan.Kind {
	switch {
	case a.Type != "IMAGE", a.declaredType() != "":
		return portolan.KindOther
	case a.index() && !slices.ContainsFunc(a.References, reference.image):
		return portolan.KindOther
	}
	return portolan.KindImage
}

// declaredType is the artifactType of the manifest itself. Harbor repeats the
// configuration's media type where there is none.
func (a artifact) declaredType() string {
	if a.ArtifactType == a.MediaType {
		return ""
	}
	return a.ArtifactType
}

func (a artifact) platforms() []string {
	var list []string
	for _, r := range a.References {
		if r.image() && r.Platform != nil && r.Platform.OS != "" && r.Platform.Architecture != "" {
			list = append(list, r.Platform.String())
		}
	}
	return list
}

// created is when the image was built, as its configuration says, zero if it
// does not say or the artifact has other attributes.
func (a artifact) created() time.Time {
	var attrs struct {
		Created string `json:"created"`
	}
	if json.Unmarshal(a.ExtraAttrs, &attrs) != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, attrs.Created)
	if err != nil || t.Year() < 1 {
		return time.Time{}
	}
	return t.UTC()
}

// row turns the artifact into a row of the contract. Harbor does not tell the
// digest of the configuration, so ImageID stays empty.
func (a artifact) row() connector.Row {
	row := connector.Row{Repository: a.RepositoryName, Pushed: a.PushTime.UTC()}
	digest, err := portolan.ParseDigest(a.Digest)
	if err != nil {
		row.Err = connector.Errorf(portolan.ServerFailure, "Harbor lists an artifact without a usable digest in %s: %w", a.RepositoryName, err)
		return row
	}
	row.Digest = digest
	row.Facts = connector.Facts{
		Kind:         a.kind(),
		MediaType:    a.ManifestMediaType,
		ArtifactType: a.declaredType(),
		Size:         a.Size,
		Created:      a.created(),
		Platforms:    a.platforms(),
	}
	for _, t := range a.Tags {
		row.Tags = append(row.Tags, connector.Tag{Name: t.Name, Pushed: t.PushTime.UTC()})
	}
	return row
}

// auditEntry is an entry of GET /auditlog-exts, and of GET /audit-logs before
// 2.13 (unverified).
type auditEntry struct {
	OpTime       time.Time `json:"op_time"`
	Operation    string    `json:"operation"`
	ResourceType string    `json:"resource_type"`
	Resource     string    `json:"resource"` // team-a/api:1.0, team-a/api@sha256:..., team-a/api
}

// repository is the path of the repository that changed, "" if none did.
func (e auditEntry) repository() string {
	if e.Operation != "create" && e.Operation != "delete" {
		return ""
	}
	switch e.ResourceType {
	case "repository":
		return e.Resource
	case "artifact", "tag":
		path, _, _ := strings.Cut(e.Resource, "@")
		slash := strings.LastIndexByte(path, '/')
		if colon := strings.IndexByte(path[slash+1:], ':'); colon >= 0 {
			path = path[:slash+1+colon]
		}
		return path
	}
	return ""
}
