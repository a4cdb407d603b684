// Package samples is a small OCI registry in memory, filled with images made
// by plain code: multi-platform indexes, one digest under several tags, a
// signature, a referrer, a chart, nested names. The demo and the end-to-end
// scripts read it.
//
// It knows the wire of OCI registries. It must not know Portolan's server.
package samples

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/google/go-containerregistry/pkg/registry"
)

// What a fresh registry holds, as a reader counts it.
const (
	Repositories = 9
	Tags         = 62
	Images       = 46
)

// New makes a registry with the sample images in it.
func New() (http.Handler, error) {
	r := &writer{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	for _, repository := range repositories() {
		if err := r.fill(repository); err != nil {
			return nil, fmt.Errorf("fill the sample repository %s: %w", repository.name, err)
		}
	}
	return r.handler, nil
}

// repository is what a repository of the samples holds.
type repository struct {
	name string
	// versions are images with a tag each; the last also has the tags more.
	versions []string
	more     []string
	// platforms makes each version an index of so many.
	platforms []string
	// signed adds a signature, described a referrer to the last version.
	signed, described bool
	// chart makes them Helm charts.
	chart bool
}

func repositories() []repository {
	both := []string{"linux/amd64", "linux/arm64"}
	return []repository{
		{
			name: "library/nginx", versions: []string{"1.24.0", "1.25.0", "1.25.1", "1.25.2", "1.25.3"},
			more: []string{"1.25", "1", "stable", "latest"}, platforms: both, signed: true, described: true,
		},
		{name: "library/alpine", versions: []string{"3.17", "3.18", "3.19", "3.20"}, more: []string{"3", "latest"}, platforms: append(both, "linux/s390x")},
		{name: "platform/auth/server", versions: numbered("1.%d.0", 10), more: []string{"latest"}, signed: true},
		{name: "platform/auth/migrations", versions: numbered("%03d", 4)},
		{name: "platform/web", versions: numbered("2.0.%d", 12), more: []string{"production", "staging"}},
		{name: "platform/gateway", versions: numbered("v0.%d", 6), platforms: both, described: true},
		{name: "data/etl/nightly", versions: numbered("build-%d", 3)},
		{name: "toolbox", versions: []string{"v1", "v2"}, more: []string{"latest"}},
		{name: "charts/portal", versions: []string{"0.1.0", "0.2.0"}, chart: true},
	}
}

func numbered(format string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(format, i)
	}
	return list
}

// writer pushes to a registry in the same process.
type writer struct{ handler http.Handler }

func (w *writer) fill(r repository) error {
	var last manifest
	for _, version := range r.versions {
		var err error
		if last, err = w.version(r, version); err != nil {
			return err
		}
		if err := w.push(r.name, version, last); err != nil {
			return err
		}
	}
	for _, tag := range r.more {
		if err := w.push(r.name, tag, last); err != nil {
			return err
		}
	}
	if r.signed {
		if err := w.push(r.name, "sha256-"+last.hex()+".sig", signature(last)); err != nil {
			return err
		}
	}
	if r.described {
		return w.push(r.name, "sbom-"+r.versions[len(r.versions)-1], referrer(last))
	}
	return nil
}

// version makes what a version is: a chart, an image, or an index of images.
func (w *writer) version(r repository, version string) (manifest, error) {
	seed := r.name + ":" + version
	switch {
	case r.chart:
		return chart(seed), nil
	case len(r.platforms) == 0:
		return image(seed, "linux/amd64"), nil
	}
	children := make([]manifest, len(r.platforms))
	for i, platform := range r.platforms {
		children[i] = image(seed, platform)
		if err := w.push(r.name, children[i].digest(), children[i]); err != nil {
			return manifest{}, err
		}
	}
	return index(children, r.platforms), nil
}

// push puts a manifest with its configuration.
func (w *writer) push(repository, reference string, m manifest) error {
	if m.config != nil {
		if err := w.send(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+digest(m.config), "application/octet-stream", m.config); err != nil {
			return err
		}
	}
	return w.send(http.MethodPut, "/v2/"+repository+"/manifests/"+reference, m.mediaType, m.body)
}

func (w *writer) send(method, path, contentType string, body []byte) error {
	req, err := http.NewRequest(method, path, bytes.NewReader(body)) //nolint:noctx // it never leaves the process
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	answer := &status{header: http.Header{}}
	w.handler.ServeHTTP(answer, req)
	if answer.code != http.StatusCreated {
		return fmt.Errorf("%s %s: status %d", method, path, answer.code)
	}
	return nil
}

// status keeps the status of an answer.
type status struct {
	header http.Header
	code   int
}

func (s *status) Header() http.Header         { return s.header }
func (s *status) WriteHeader(code int)        { s.code = code }
func (s *status) Write(b []byte) (int, error) { return len(b), nil }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) //nolint:forbidigo // maps of texts and numbers always encode
	}
	return b
}
