package oci

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// product is what answers.
type product struct{ name, version string }

const productZot = "zot"

// Probe implements connector.Source: GET /v2/ with a new token, or with the
// password where Basic is asked for.
func (s *source) Probe(ctx context.Context) (connector.Probe, error) {
	s.auth.Renew()
	header, err := s.ping(ctx)
	if err != nil {
		return connector.Probe{}, err
	}
	// Some show more to those who log in but let everybody in; they refuse a
	// wrong password all the same.
	if !s.auth.Anonymous() && s.auth.Insist() {
		if header, err = s.ping(ctx); err != nil {
			return connector.Probe{}, err
		}
	}
	p := connector.Probe{Identity: "anonymous"}
	if s.auth.Challenged() && !s.auth.Anonymous() {
		p.Identity = s.user
	} else if !s.auth.Anonymous() {
		p.Warnings = append(p.Warnings, s.base.Host+" lets everybody in without asking for the user name and password; whether they are right cannot be told.")
	}
	if s.product.Load() == nil {
		s.product.Store(s.recognise(ctx, header))
	}
	p.Product, p.Version = s.product.Load().name, s.product.Load().version
	return p, ctx.Err()
}

// ping asks whether this is a registry, and for us.
func (s *source) ping(ctx context.Context) (http.Header, error) {
	header, _, err := connector.Get(ctx, s.auth.Ping(), s.address("", ""), nil, connector.MaxManifest)
	if status, ok := errors.AsType[*connector.StatusError](err); ok && (status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed) {
		return nil, s.notRegistry("/v2/ is not there", err)
	}
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		return nil, s.notRegistry("/v2/ is a web page", nil)
	}
	return header, nil
}

func (s *source) notRegistry(seen string, cause error) error {
	return &connector.Error{
		Class: portolan.NotThisProduct, Err: cause,
		Message: s.base.Host + " does not answer like an image registry: " + seen + ".",
		Remedy:  "Check the address and the port.",
	}
}

// recognise names the product by its signs. zot's management extension tells
// of itself without authentication; Harbor names its token service.
func (s *source) recognise(ctx context.Context, ping http.Header) *product {
	if s.auth.Service() == "harbor-registry" {
		return &product{name: "Harbor"}
	}
	var zot struct {
		DistSpecVersion string `json:"distSpecVersion"`
		ReleaseTag      string `json:"releaseTag"`
	}
	_, err := connector.GetJSON(ctx, s.client, s.address("_zot/ext/", "mgmt"), nil, connector.MaxManifest, &zot)
	if err == nil && zot.DistSpecVersion != "" {
		return &product{name: productZot, version: strings.TrimPrefix(zot.ReleaseTag, "v")}
	}
	if strings.HasPrefix(ping.Get("Docker-Distribution-Api-Version"), "registry/2") {
		return &product{name: "distribution"}
	}
	return &product{name: "OCI registry"}
}
