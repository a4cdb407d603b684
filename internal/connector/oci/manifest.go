package oci

import (
	"context"
	"maps"
	"net/http"

	"portolan"
	"portolan/internal/connector"
)

var acceptManifests = http.Header{"Accept": {connector.ManifestTypes}}

// read gets the facts of a digest: one request, and for an index those that
// find its first image.
func (r *reading) read(ctx context.Context, d portolan.Digest) (connector.Facts, error) {
	return r.facts.load(ctx, d, func() (connector.Facts, error) {
		contentType, body, err := r.verified(ctx, d)
		if err != nil {
			return connector.Facts{}, err
		}
		return r.understand(ctx, string(d), contentType, body)
	})
}

// understand tells what a manifest that was got by the reference is.
func (r *reading) understand(ctx context.Context, reference, contentType string, body []byte) (connector.Facts, error) {
	m, err := r.parse(reference, contentType, body)
	if err != nil {
		return connector.Facts{}, err
	}
	return connector.Lookup{Known: r.known, Read: r.child}.Facts(ctx, m)
}

// known answers what the engine knows and what was read lately.
func (r *reading) known(ctx context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	known := map[portolan.Digest]connector.Facts{}
	for _, d := range digests {
		if f, ok := r.facts.get(d); ok {
			known[d] = f
		}
	}
	remembered, err := r.listing.Known.Facts(ctx, digests)
	maps.Copy(known, remembered)
	return known, err
}

// child reads a child of an index. An index within an index is not remembered:
// how deep it is followed depends on where it was found.
func (r *reading) child(ctx context.Context, d portolan.Digest) (connector.Manifest, error) {
	contentType, body, err := r.verified(ctx, d)
	if err != nil {
		return connector.Manifest{}, err
	}
	m, err := r.parse(string(d), contentType, body)
	if err == nil && !m.Index() {
		r.facts.put(d, connector.Classify(m))
	}
	return m, err
}

// verified gets a manifest by its digest and proves that it is that one.
func (r *reading) verified(ctx context.Context, d portolan.Digest) (contentType string, body []byte, err error) {
	contentType, body, err = r.get(ctx, string(d))
	if err != nil {
		return "", nil, err
	}
	if err := connector.VerifyManifest(d, contentType, body); err != nil {
		return "", nil, r.unusable(string(d), err)
	}
	return contentType, body, nil
}

func (r *reading) get(ctx context.Context, reference string) (contentType string, body []byte, err error) {
	u, err := r.repository(r.listing.Repository.Path, "manifests", reference)
	if err != nil {
		return "", nil, err
	}
	header, body, err := connector.Get(ctx, r.doer, u, acceptManifests, connector.MaxManifest)
	return header.Get("Content-Type"), body, err
}

func (r *reading) parse(reference, contentType string, body []byte) (connector.Manifest, error) {
	m, err := connector.ParseManifest(contentType, body)
	if err != nil {
		return m, r.unusable(reference, err)
	}
	r.manifests.Add(1)
	return m, nil
}

func (r *reading) unusable(reference string, err error) error {
	return connector.Errorf(portolan.ServerFailure, "%s answered for %s of %s: %w", r.base.Host, reference, r.listing.Repository.Path, err)
}
