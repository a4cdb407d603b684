package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"portolan"
)

// errNoFacts says that a file is none that a build tool writes.
var errNoFacts = errors.New("has no digest: it must be what buildx --metadata-file, kaniko --digest-file, buildah --digestfile or jib wrote, or what docker inspect prints")

// parseMetadata reads what a build tool wrote of an image: JSON of buildx (also
// of bake), of jib, or of an inspect; else a digest alone, as kaniko, buildah
// and jib write it, or behind a name and an @. path tells the image from others
// in the same file.
func parseMetadata(text, path string) (facts, error) {
	text = strings.TrimSpace(text)
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return parseDigestLines(text, path)
	}
	for _, parse := range []func(text, path string) (facts, error){parseBuildx, parseJib, parseInspect} {
		if f, err := parse(text, path); !errors.Is(err, errNoFacts) {
			return f, err
		}
	}
	return facts{}, errNoFacts
}

// parseDigestLines reads digests, one a line, each alone or behind the name of
// its image, as kaniko --image-name-with-digest-file has it.
func parseDigestLines(text, path string) (f facts, err error) {
	other := ""
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, digest, named := strings.Cut(line, "@")
		if !named {
			digest = line
		} else if r, err := parseReference(name); err != nil || r.path != path {
			other = r.path
			continue
		}
		d, err := portolan.ParseDigest(digest)
		if err != nil {
			return f, errNoFacts
		}
		if err := f.merge(facts{digest: d}); err != nil {
			return f, err
		}
	}
	switch {
	case f.digest == "" && other != "":
		return f, fmt.Errorf("has the digest of %s, and not of %s", other, path)
	case f.digest == "":
		return f, errNoFacts
	}
	return f, nil
}

// buildx is what docker buildx build --metadata-file writes, and bake for each
// target.
type buildx struct {
	Digest     string `json:"containerimage.digest"`
	Config     string `json:"containerimage.config.digest"`
	Name       string `json:"image.name"` // comma-separated
	Descriptor struct {
		Annotations map[string]string `json:"annotations"`
	} `json:"containerimage.descriptor"`
}

func parseBuildx(text, path string) (facts, error) {
	var one buildx
	if json.Unmarshal([]byte(text), &one) == nil && one.Digest != "" {
		return one.facts()
	}
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil {
		return facts{}, errNoFacts
	}
	targets := map[string]buildx{}
	for name, member := range raw {
		var b buildx
		if json.Unmarshal(member, &b) == nil && b.Digest != "" {
			targets[name] = b
		}
	}
	var found []string
	for name, b := range targets {
		if len(targets) == 1 || b.names(path) {
			found = append(found, name)
		}
	}
	switch {
	case len(targets) == 0:
		return facts{}, errNoFacts
	case len(found) != 1:
		return facts{}, fmt.Errorf("has the targets %s, and not exactly one of them is %s", strings.Join(slices.Sorted(maps.Keys(targets)), ", "), path)
	}
	b := targets[found[0]]
	return b.facts()
}

// names reports whether one of the target's images has a path.
func (b *buildx) names(path string) bool {
	for name := range strings.SplitSeq(b.Name, ",") {
		if r, err := parseReference(strings.TrimSpace(name)); err == nil && r.path == path {
			return true
		}
	}
	return false
}

func (b *buildx) facts() (f facts, err error) {
	f.created = millisOf(b.Descriptor.Annotations["org.opencontainers.image.created"])
	return f, errors.Join(digestInto(&f.digest, b.Digest), digestInto(&f.imageID, b.Config))
}

// parseJib reads jib-image.json.
func parseJib(text, _ string) (f facts, err error) {
	var jib struct {
		Digest string `json:"imageDigest"`
		ID     string `json:"imageId"`
	}
	if json.Unmarshal([]byte(text), &jib) != nil || jib.Digest == "" {
		return f, errNoFacts
	}
	return f, errors.Join(digestInto(&f.digest, jib.Digest), digestInto(&f.imageID, jib.ID))
}

// inspected is what docker, podman and skopeo inspect print of an image.
type inspected struct {
	ID          string `json:"Id"`
	Digest      string
	RepoDigests []string
	Created     string
	Size        int64
}

// parseInspect reads the first image of an inspect. Without a digest, which
// docker knows only after a push, there is still the image's id.
func parseInspect(text, path string) (facts, error) {
	var list []inspected
	if strings.HasPrefix(text, "{") {
		text = "[" + text + "]"
	}
	if json.Unmarshal([]byte(text), &list) != nil || len(list) == 0 {
		return facts{}, errNoFacts
	}
	i := list[0]
	f := facts{size: max(i.Size, 0), created: millisOf(i.Created)}
	digest := i.Digest
	for _, pinned := range i.RepoDigests {
		if r, err := parseReference(pinned); err == nil && r.path == path {
			digest = string(r.digest)
		}
	}
	if digest == "" && i.ID == "" {
		return facts{}, errNoFacts
	}
	return f, errors.Join(digestInto(&f.digest, digest), digestInto(&f.imageID, i.ID))
}

func digestInto(into *portolan.Digest, text string) error {
	if text == "" {
		return nil
	}
	d, err := portolan.ParseDigest(text)
	if err != nil {
		return fmt.Errorf("has the digest %.80q, which is none", text)
	}
	*into = d
	return nil
}

// millisOf reads a time that a tool wrote, 0 if it is none: it is not worth a
// failed build. Reproducible builds write the beginning of all time.
func millisOf(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 2000 {
		return 0
	}
	return t.UnixMilli()
}
