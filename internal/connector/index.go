package connector

import (
	"context"
	"strings"

	"portolan"
)

// Lookup finds out what manifests are. An index is what its children are, so
// that it is looked into until the first child that is an image.
type Lookup struct {
	// Known answers what is known of digests; others are left out.
	Known func(context.Context, []portolan.Digest) (map[portolan.Digest]Facts, error)
	// Read gets the manifest of a digest of which nothing is known.
	Read func(context.Context, portolan.Digest) (Manifest, error)
}

// Facts answers the facts of a manifest.
func (l Lookup) Facts(ctx context.Context, m Manifest) (Facts, error) {
	budget := MaxChildren
	return l.facts(ctx, m, MaxNesting, &budget)
}

// facts follows so many levels of indexes. A child that cannot be read does not
// decide (of a mirrored index only some platforms may be there); if no other
// does, it is not guessed.
func (l Lookup) facts(ctx context.Context, m Manifest, levels int, budget *int) (Facts, error) {
	if !m.Index() {
		return Classify(m), nil
	}
	if m.Subject != "" || levels == 0 {
		return ClassifyIndex(m, nil), nil
	}
	children := m.candidates()
	known, err := l.Known(ctx, children)
	if err != nil {
		return Facts{}, err
	}
	var unread error
	for _, d := range children {
		f, ok := known[d]
		if !ok {
			if *budget--; *budget < 0 {
				break
			}
			if f, err = l.child(ctx, d, levels-1, budget); err != nil {
				if Fatal(err) {
					return Facts{}, err
				}
				unread = err
				continue
			}
		}
		if f.Kind == portolan.KindImage {
			return ClassifyIndex(m, &f), nil
		}
	}
	if unread != nil {
		return Facts{}, unread
	}
	return ClassifyIndex(m, nil), nil
}

func (l Lookup) child(ctx context.Context, d portolan.Digest, levels int, budget *int) (Facts, error) {
	m, err := l.Read(ctx, d)
	if err != nil {
		return Facts{}, err
	}
	return l.facts(ctx, m, levels, budget)
}

// candidates are the digests of the children that may be images.
func (m *Manifest) candidates() []portolan.Digest {
	var list []portolan.Digest
	for _, c := range m.Candidates() {
		d, err := portolan.ParseDigest(c.Digest)
		if err == nil && (c.MediaType == "" || strings.Contains(ManifestTypes, c.MediaType)) {
			list = append(list, d)
		}
	}
	return list
}
