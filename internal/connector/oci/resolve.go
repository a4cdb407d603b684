package oci

import (
	"context"
	"errors"
	"net/http"

	"portolan"
	"portolan/internal/connector"
)

// found is what became of a tag.
type found struct {
	tag    string
	digest portolan.Digest
	facts  connector.Facts // complete if the manifest was read on the way
	gone   bool            // the registry says that there is no such tag
	err    error
}

// resolve finds the digest of a tag: from memory, by HEAD, or by GET where
// HEAD does not tell.
func (r *reading) resolve(ctx context.Context, tag string) found {
	if d, ok := r.listing.Known.Resolved(tag); ok {
		return found{tag: tag, digest: d}
	}
	if d, ok := r.digests[tag]; ok {
		return found{tag: tag, digest: d}
	}
	if !r.headless.Load() {
		d, err := r.head(ctx, tag)
		if err != nil {
			return found{tag: tag, err: err}
		}
		if d != "" {
			return found{tag: tag, digest: d}
		}
	}
	return r.resolveByGet(ctx, tag)
}

// head asks for the digest of a tag; "" if HEAD does not tell. A 404 is not
// believed: some answer it to HEAD for what GET finds.
func (r *reading) head(ctx context.Context, tag string) (portolan.Digest, error) {
	u, err := r.repository(r.listing.Repository.Path, "manifests", tag)
	if err != nil {
		return "", err
	}
	header, err := connector.Head(ctx, r.doer, u, acceptManifests)
	if status, ok := errors.AsType[*connector.StatusError](err); ok {
		switch status.Status {
		case http.StatusMethodNotAllowed, http.StatusNotImplemented:
			r.headless.Store(true)
			return "", nil
		case http.StatusNotFound:
			return "", nil
		}
	}
	if err != nil {
		return "", err
	}
	d, err := portolan.ParseDigest(header.Get("Docker-Content-Digest"))
	if err != nil {
		r.headless.Store(true)
		return "", nil
	}
	return d, nil
}

func (r *reading) resolveByGet(ctx context.Context, tag string) found {
	contentType, body, err := r.get(ctx, tag)
	if status, ok := errors.AsType[*connector.StatusError](err); ok && (status.Has("MANIFEST_UNKNOWN") || status.Has("NAME_UNKNOWN")) {
		return found{tag: tag, gone: true}
	}
	if err != nil {
		return found{tag: tag, err: err}
	}
	d := connector.DigestManifest(contentType, body)
	known, err := r.listing.Known.Facts(ctx, []portolan.Digest{d})
	if err != nil {
		return found{tag: tag, err: err}
	}
	facts, ok := known[d]
	if !ok {
		facts, err = r.facts.load(ctx, d, func() (connector.Facts, error) { return r.understand(ctx, tag, contentType, body) })
	}
	return found{tag: tag, digest: d, facts: facts, err: err}
}
