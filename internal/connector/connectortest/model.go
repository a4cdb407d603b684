// Package connectortest is the one test suite for all sources. It knows the
// contract of package connector and what a registry holds; how a product
// serves that is told by the source's own test.
package connectortest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"portolan"
)

// Model is what a registry holds. A handler made for it shows the state of
// the moment in which it is asked.
type Model struct {
	mu           sync.Mutex
	repositories []Repository
}

// Repository is one repository of a model.
type Repository struct {
	Path   string
	Images []Image
}

// Image is one digest of a repository. All have at least one tag.
type Image struct {
	Digest    portolan.Digest
	MediaType string
	Manifest  []byte
	Tags      []string
	// Kind is what the source must find it to be.
	Kind portolan.Kind
}

// Repositories answers all repositories, sorted by path.
func (m *Model) Repositories() []Repository {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.repositories)
}

// Follow makes what a fake server does before each request: it shows the
// model's state if that has changed.
func (m *Model) Follow(show func(now []Repository)) func(int, *http.Request) {
	var mu sync.Mutex
	var shown []Repository
	return func(int, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if now := m.Repositories(); !slices.EqualFunc(shown, now, same) {
			shown = now
			show(now)
		}
	}
}

// same is enough to see what the suite does: it adds at the end of a repository
// and removes the first image.
func same(a, b Repository) bool {
	return a.Path == b.Path && len(a.Images) == len(b.Images) && (len(a.Images) == 0 || a.Images[0].Digest == b.Images[0].Digest)
}

// Repository answers one repository.
func (m *Model) Repository(path string) (Repository, bool) {
	for _, r := range m.Repositories() {
		if r.Path == path {
			return r, true
		}
	}
	return Repository{}, false
}

// Add adds images to a repository, which it makes if need be. Images come in
// the order in which they were pushed.
func (m *Model) Add(path string, images ...Image) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, found := slices.BinarySearchFunc(m.repositories, path, func(r Repository, p string) int { return strings.Compare(r.Path, p) })
	if !found {
		m.repositories = slices.Insert(m.repositories, i, Repository{Path: path})
	}
	r := &m.repositories[i]
	r.Images = append(slices.Clip(r.Images), images...)
}

// Remove takes a digest out of a repository.
func (m *Model) Remove(path string, d portolan.Digest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.repositories {
		if r := &m.repositories[i]; r.Path == path {
			r.Images = slices.DeleteFunc(slices.Clone(r.Images), func(image Image) bool { return image.Digest == d })
		}
	}
}

// NewImage makes an image whose manifest differs by the seed.
func NewImage(seed string, tags ...string) Image {
	return newImage(portolan.KindImage, "application/vnd.oci.image.config.v1+json", seed, tags)
}

// NewChart makes a Helm chart, which is no image.
func NewChart(seed string, tags ...string) Image {
	return newImage(portolan.KindOther, "application/vnd.cncf.helm.config.v1+json", seed, tags)
}

// NewSignature makes the signature of a digest as cosign stores it: an image
// by its manifest, an accessory by its tag.
func NewSignature(of portolan.Digest) Image {
	tag := strings.Replace(string(of), ":", "-", 1) + ".sig"
	return newImage(portolan.KindAccessory, "application/vnd.oci.image.config.v1+json", tag, []string{tag})
}

func newImage(kind portolan.Kind, config, seed string, tags []string) Image {
	const mediaType = "application/vnd.oci.image.manifest.v1+json"
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":7},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":100}]}`,
		mediaType, config, sum("config "+seed), sum("layer "+seed))
	return Image{Digest: sum(string(manifest)), MediaType: mediaType, Manifest: manifest, Tags: tags, Kind: kind}
}

func sum(s string) portolan.Digest {
	h := sha256.Sum256([]byte(s))
	return portolan.Digest("sha256:" + hex.EncodeToString(h[:]))
}
