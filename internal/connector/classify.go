package connector

import (
	"strings"

	"portolan"
)

// Limits of looking into an index.
const (
	// MaxChildren is how many children of an index are looked at.
	MaxChildren = 64
	// MaxNesting is how many levels of indexes are followed.
	MaxNesting = 2
)

// Classify answers the facts of a manifest that is no index. First rule that
// hits: a subject makes an accessory; a known image configuration makes an
// image unless artifactType or the layers tell otherwise; schema 1 is an
// image; all else is another artifact.
func Classify(m Manifest) Facts {
	f := m.facts()
	switch {
	case m.Subject != "":
		f.Kind = portolan.KindAccessory
	case m.schema1(), m.imageConfig() && !m.onlyHelpers():
		f.Kind = portolan.KindImage
	default:
		f.Kind = portolan.KindOther
	}
	if m.Config != nil && f.Kind == portolan.KindImage {
		f.ImageID, _ = portolan.ParseDigest(m.Config.Digest)
	}
	return f
}

// ClassifyIndex answers the facts of an index whose first child that is an
// image has the facts given; nil if no child is an image. Size is that of the
// first platform.
func ClassifyIndex(m Manifest, first *Facts) Facts {
	f := m.facts()
	f.Size = m.Bytes
	if first != nil {
		f.Size = first.Size
		if f.Created.IsZero() {
			f.Created = first.Created
		}
	}
	switch {
	case m.Subject != "":
		f.Kind = portolan.KindAccessory
	case first != nil:
		f.Kind = portolan.KindImage
	default:
		f.Kind = portolan.KindOther
	}
	return f
}

func (m *Manifest) facts() Facts {
	f := Facts{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Size: m.size(), Created: m.Created, Subject: m.Subject}
	for _, c := range m.Candidates() {
		if name := c.platformName(); name != "" {
			f.Platforms = append(f.Platforms, name)
		}
	}
	return f
}

// Candidates are the children of an index that may be images, at most
// MaxChildren: attestations and those for an unknown platform are left out.
func (m *Manifest) Candidates() []Descriptor {
	var list []Descriptor
	for _, c := range m.Children {
		if !c.helper() && len(list) < MaxChildren {
			list = append(list, c)
		}
	}
	return list
}

// helper knows BuildKit's attestations.
func (d *Descriptor) helper() bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		d.Platform != nil && d.Platform.OS == "unknown" && d.Platform.Architecture == "unknown"
}

func (d *Descriptor) platformName() string {
	if d.Platform == nil || d.Platform.OS == "" {
		return ""
	}
	name := d.Platform.OS + "/" + d.Platform.Architecture
	if d.Platform.Variant != "" {
		name += "/" + d.Platform.Variant
	}
	if len(name) > maxWord || !portolan.Printable(name) {
		return ""
	}
	return name
}

func (m *Manifest) schema1() bool {
	return m.MediaType == MediaTypeSchema1 || m.MediaType == MediaTypeSchema1Sign
}

func (m *Manifest) imageConfig() bool {
	return m.Config != nil && (m.Config.MediaType == configOCI || m.Config.MediaType == configDocker) &&
		(m.ArtifactType == "" || m.ArtifactType == m.Config.MediaType)
}

// onlyHelpers reports whether the layers are in-toto statements or cosign's,
// all of them: such a manifest has an image configuration only for show.
func (m *Manifest) onlyHelpers() bool {
	for _, l := range m.Layers {
		if l.MediaType != "application/vnd.in-toto+json" && !strings.HasPrefix(l.MediaType, "application/vnd.dev.cosign.") {
			return false
		}
	}
	return len(m.Layers) > 0
}
