// Package acrtest is a fake of Alibaba Cloud Container Registry for tests: the
// API of either edition, the registry side, and the token server between them.
// It knows what the product answers, from its documentation and from clients
// that were written for it, and nothing of how it is read. Signatures are
// verified as servers of Alibaba Cloud verify them.
package acrtest

import (
	"fmt"
	"strings"
	"time"
)

// Where a fake is reached. RegistryHost is that of either edition.
const (
	RegistryHost = "registry.example.com"
	Region       = "cn-hangzhou"
	APIHost      = "cr." + Region + ".aliyuncs.com"
	VPCHost      = "cr-vpc." + Region + ".aliyuncs.com"
	TokenHost    = "dockerauth." + Region + ".aliyuncs.com"
	// Instance is the id of an Enterprise Edition instance.
	Instance = "cri-kmsiwlxxdcva0001"
)

// Model is what a fake holds.
type Model struct {
	// Instance is the id of an Enterprise Edition instance, "" for Personal.
	Instance string
	Keys     []Key
	// Logins are the passwords of the registry side, by user.
	Logins       map[string]string
	Repositories []Repository
	// Manifests by digest, with the algorithm in front.
	Manifests map[string]Manifest
	// MaxPage is the largest page; a larger one that is asked for is cut to it.
	// 100 if 0.
	MaxPage int
	// NewestFirst lists tags in the reverse order.
	NewestFirst bool
	// NumbersAsNumbers writes numbers as such; the product writes most of them
	// as strings.
	NumbersAsNumbers bool
	// ClosedSide refuses everybody on the registry side.
	ClosedSide bool
	// NoPull lets nobody pull, as new Personal instances at their public name.
	NoPull bool
	// LoginLife is how long a temporary login holds, an hour if 0.
	LoginLife time.Duration
	// Now is the clock of the product.
	Now func() time.Time
}

// Key is an access key.
type Key struct {
	ID, Secret string
	Inactive   bool
	// Denied are actions of the API that RAM refuses to it.
	Denied []string
}

// Repository is a repository. Its ID is made up if it is absent.
type Repository struct {
	Path   string
	ID     string
	Status string // NORMAL if ""
	Type   string // PRIVATE if ""
	Tags   []Tag
}

// Tag is a tag of a digest.
type Tag struct {
	Name    string
	Digest  string // with or without sha256:
	ImageID string
	Size    int64
	Created time.Time
	Updated time.Time
	Status  string // NORMAL if ""
}

// Manifest is what the registry side answers for a digest.
type Manifest struct {
	MediaType string
	Body      []byte
}

func (r *Repository) split() (namespace, name string) {
	i := strings.LastIndexByte(r.Path, '/')
	return r.Path[:max(i, 0)], r.Path[i+1:]
}

func (m *Model) key(id string) *Key {
	for i := range m.Keys {
		if m.Keys[i].ID == id {
			return &m.Keys[i]
		}
	}
	return nil
}

func (m *Model) find(match func(*Repository) bool) *Repository {
	for i := range m.Repositories {
		if match(&m.Repositories[i]) {
			return &m.Repositories[i]
		}
	}
	return nil
}

// fill makes up ids.
func (m *Model) fill() {
	for i := range m.Repositories {
		if r := &m.Repositories[i]; r.ID == "" {
			r.ID = fmt.Sprintf("crr-%x", r.Path)
		}
	}
}
