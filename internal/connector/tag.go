package connector

import (
	"regexp"

	"portolan"
)

// accessoryTag is the name that cosign and the referrers fallback give to
// what belongs to another digest.
var accessoryTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom|cosign))?$`)

// AccessoryTag reports whether a tag's name alone makes its digest an
// accessory.
func AccessoryTag(name string) bool { return accessoryTag.MatchString(name) }

// Judge decides the kind of a digest in a repository when all its tags there
// are known: accessory if it has tags and all are accessory tags, else what
// its manifest says. It is called once for a digest, after its rows are
// merged; a row's Facts alone do not decide.
func Judge(tags []Tag, f Facts) portolan.Kind {
	for _, t := range tags {
		if !AccessoryTag(t.Name) {
			return f.Kind
		}
	}
	if len(tags) > 0 {
		return portolan.KindAccessory
	}
	return f.Kind
}
