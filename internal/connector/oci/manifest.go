package oci

import (
	"context"
	"net/http"
	"strings"

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
	budget := connector.MaxChildren
	return r.classify(ctx, m, connector.MaxNesting, &budget)
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

// classify looks into an index until the first child that is an image. A
// child that cannot be read does not decide; if no other does, it is not
// guessed.
func (r *reading) classify(ctx context.Context, m connector.Manifest, levels int, budget *int) (connector.Facts, error) {
	if !m.Index() {
		return connector.Classify(m), nil
	}
	if m.Subject != "" || levels == 0 {
		return connector.ClassifyIndex(m, nil), nil
	}
	children := candidates(m)
	known, err := r.listing.Known.Facts(ctx, children)
	if err != nil {
		return connector.Facts{}, err
	}
	var unread error
	for _, d := range children {
		f, ok := known[d]
		if !ok {
			if *budget--; *budget < 0 {
				break
			}
			if f, err = r.child(ctx, d, levels-1, budget); err != nil {
				if fatal(err) {
					return connector.Facts{}, err
				}
				unread = err
				continue
			}
		}
		if f.Kind == portolan.KindImage {
			return connector.ClassifyIndex(m, &f), nil
		}
	}
	if unread != nil {
		return connector.Facts{}, unread
	}
	return connector.ClassifyIndex(m, nil), nil
}

// child reads one child. An index within an index is not remembered: how
// deep it is followed depends on where it was found.
func (r *reading) child(ctx context.Context, d portolan.Digest, levels int, budget *int) (connector.Facts, error) {
	if f, ok := r.facts.get(d); ok {
		return f, nil
	}
	contentType, body, err := r.verified(ctx, d)
	if err != nil {
		return connector.Facts{}, err
	}
	m, err := r.parse(string(d), contentType, body)
	if err != nil {
		return connector.Facts{}, err
	}
	f, err := r.classify(ctx, m, levels, budget)
	if err == nil && !m.Index() {
		r.facts.put(d, f)
	}
	return f, err
}

// candidates are the digests of the children that may be images.
func candidates(m connector.Manifest) []portolan.Digest {
	var list []portolan.Digest
	for _, c := range m.Candidates() {
		d, err := portolan.ParseDigest(c.Digest)
		if err == nil && (c.MediaType == "" || strings.Contains(connector.ManifestTypes, c.MediaType)) {
			list = append(list, d)
		}
	}
	return list
}
