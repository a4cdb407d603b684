package quay

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// facts reads the manifest of a digest and tells what it is; an index is
// looked into until its first image.
func (r *reading) facts(ctx context.Context, d portolan.Digest) (connector.Facts, error) {
	m, err := r.manifest(ctx, d)
	if err != nil {
		return connector.Facts{}, err
	}
	return connector.Lookup{Known: r.listing.Known.Facts, Read: r.manifest}.Facts(ctx, m)
}

// manifest reads a manifest and proves that it is the digest's. The API does
// not show one whose layers Quay cannot list, nor one that is not byte for
// byte text; the registry's own side does.
func (r *reading) manifest(ctx context.Context, d portolan.Digest) (connector.Manifest, error) {
	m, err := r.fromAPI(ctx, d)
	if errors.Is(err, connector.ErrNotExist) || errors.Is(err, connector.ErrManifest) {
		m, err = r.fromRegistry(ctx, d)
	}
	if err == nil {
		r.manifests.Add(1)
	}
	return m, err
}

func (r *reading) fromAPI(ctx context.Context, d portolan.Digest) (connector.Manifest, error) {
	path, err := r.repository(r.listing.Repository.Path, "manifest", string(d))
	if err != nil {
		return connector.Manifest{}, err
	}
	c := call{path: path, doing: r.doing("reading " + string(d) + " of")}
	var a manifestAnswer
	const escaped = 3 // the text of a manifest in JSON, and its layers once more
	if err := r.get(ctx, r.organisation, c, escaped*connector.MaxManifest, &a); err != nil {
		return connector.Manifest{}, err
	}
	if a.Data == nil || len(*a.Data) > connector.MaxManifest {
		return connector.Manifest{}, r.unexpected(c)
	}
	return r.verified(d, "", []byte(*a.Data))
}

// fromRegistry reads a manifest through the Distribution API, logged in by the
// entry's user name, else by the organisation's token.
func (r *reading) fromRegistry(ctx context.Context, d portolan.Digest) (connector.Manifest, error) {
	path := r.listing.Repository.Path
	address, err := r.repository(path, "manifests", string(d))
	if err != nil {
		return connector.Manifest{}, err
	}
	u, err := url.Parse(strings.TrimSuffix(r.base.String(), "/") + "/v2" + strings.TrimPrefix(address, "repository"))
	if err != nil {
		return connector.Manifest{}, connector.Errorf(portolan.ServerFailure, "%s: the address of a manifest of %s cannot be made: %w", r.base.Host, path, err)
	}
	accept := http.Header{"Accept": {connector.ManifestTypes}}
	header, body, err := connector.Get(ctx, r.organisation.registry.Pull(path), u, accept, connector.MaxManifest)
	if err != nil {
		return connector.Manifest{}, err
	}
	return r.verified(d, header.Get("Content-Type"), body)
}

// verified decodes a manifest whose content has the digest. Schema 1 is
// digested without its signatures; the API does not tell the type.
func (r *reading) verified(d portolan.Digest, contentType string, body []byte) (connector.Manifest, error) {
	m, err := connector.ParseManifest(contentType, body)
	if err == nil {
		if m.MediaType == connector.MediaTypeSchema1 && contentType == "" {
			contentType = connector.MediaTypeSchema1Sign
		}
		err = connector.VerifyManifest(d, contentType, body)
	}
	if err != nil {
		return m, connector.Errorf(portolan.ServerFailure, "%s answered for %s of %s: %w", r.base.Host, d, r.listing.Repository.Path, err)
	}
	return m, nil
}
