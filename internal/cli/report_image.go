package cli

import (
	"fmt"
	"strings"

	"portolan"
)

// reference is an image as builds name it: [HOST/]PATH[:TAG][@DIGEST].
type reference struct {
	name   string // as it was given, without the digest
	path   string // without the host
	tag    string
	digest portolan.Digest
}

// parseReference reads the name of an image. The host of the registry that it
// was pushed to is left out, as it is in registries that are read.
func parseReference(s string) (r reference, err error) {
	name, digest, pinned := strings.Cut(s, "@")
	if pinned {
		if r.digest, err = portolan.ParseDigest(digest); err != nil {
			return r, fmt.Errorf("%q: what follows the @ is not a digest: give it whole, as sha256: and 64 hex digits", s)
		}
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, r.tag = name[:i], name[i+1:]
		if r.tag == "" {
			return r, fmt.Errorf("%q: the tag is empty", s)
		}
	}
	r.path = withoutHost(name)
	r.name = s
	for part := range strings.SplitSeq(r.path, "/") {
		if part == "" {
			return r, fmt.Errorf("%q is not the name of an image, such as team/app:1.0", s)
		}
	}
	return r, nil
}

// withoutHost drops the first part of a name if it is a host: it has a dot or a
// port, or is localhost, which tells it from a namespace.
func withoutHost(name string) string {
	first, rest, several := strings.Cut(name, "/")
	if several && (strings.ContainsAny(first, ".:") || first == "localhost") {
		return rest
	}
	return name
}

// facts are what a build's tool wrote down of an image. Zero values are not
// said.
type facts struct {
	digest  portolan.Digest
	imageID portolan.Digest
	size    int64
	created int64 // milliseconds
}

// merge takes in what is not said yet. Two digests that differ are of two
// images.
func (f *facts) merge(other facts) error {
	if f.digest != "" && other.digest != "" && f.digest != other.digest {
		return fmt.Errorf("two digests are given, %s and %s: which is it?", f.digest, other.digest)
	}
	if f.digest == "" {
		f.digest = other.digest
	}
	if f.imageID == "" {
		f.imageID = other.imageID
	}
	if f.size == 0 {
		f.size = other.size
	}
	if f.created == 0 {
		f.created = other.created
	}
	return nil
}
