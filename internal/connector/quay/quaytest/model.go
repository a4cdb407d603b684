// Package quaytest is a Quay for tests: it answers as Quay's source says that
// Quay does (quay/quay at ffba0c7), as far as a reader of repositories, tags
// and manifests can see.
//
// It knows what Quay says, not how it is read.
package quaytest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Model is what a Quay holds. Ids and times that are zero are filled in.
type Model struct {
	// Now is the clock; tags begin and end by it.
	Now func() time.Time
	// Tokens are the OAuth tokens.
	Tokens []Token
	// Logins are the robots that the Distribution API knows.
	Logins []Login
	// Namespaces are the organisations and users.
	Namespaces []Namespace
	// NoAnonymous is FEATURE_ANONYMOUS_ACCESS switched off.
	NoAnonymous bool
	// PerPage is how many repositories a page of a list has, 100 if 0.
	PerPage int
	// MaxTags is how many tags a repository's own answer has, 500 if 0.
	MaxTags int
	// Burst is how many requests are taken without a pause of a fifth of a
	// second each, 0 for any number.
	Burst int
}

// Token is an OAuth token. It acts as its user, as far as its scopes go.
type Token struct {
	Secret  string
	Scopes  []string // repo:read and the like
	Expired bool
	// Admin are the namespaces in which the user may do everything, Read the
	// private repositories that the user was given the right to read.
	Admin []string
	Read  []string
}

// Login is a robot: it pulls everything.
type Login struct{ Name, Secret string }

// Namespace is an organisation, or a user's own.
type Namespace struct {
	Name         string
	User         bool
	Repositories []Repository
}

// Repository is a repository; its name is without the namespace.
type Repository struct {
	ID     int
	Name   string
	Public bool
	Kind   string // "image" if empty
	State  string // "NORMAL" if empty
	// Tags are all that ever were, in the order in which they began.
	Tags []Tag
	// Manifests by digest, those of children too.
	Manifests map[string]Manifest
}

// Tag is one life of a tag: a tag that moves ends and begins anew.
type Tag struct {
	Name, Digest string
	Start        time.Time
	End          time.Time // zero for none
}

// Manifest is what is stored under a digest. One that is hidden is answered by
// the Distribution API alone, as those whose layers Quay cannot list.
type Manifest struct {
	MediaType string
	Data      string
	Size      int64
	Hidden    bool
}

// Digest is the digest of a manifest.
func Digest(data string) string {
	sum := sha256.Sum256([]byte(data))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// epoch is when the first tag of a model began if it does not say.
var epoch = time.Date(2026, 8, 21, 12, 0, 0, 0, time.UTC)

// Find answers a repository by its path, nil if there is none. The pointer is
// good until the model is changed.
func (m *Model) Find(path string) *Repository {
	name, rest, _ := strings.Cut(path, "/")
	n := m.namespace(name)
	if n == nil {
		return nil
	}
	i := slices.IndexFunc(n.Repositories, func(r Repository) bool { return r.Name == rest })
	if i < 0 {
		return nil
	}
	return &n.Repositories[i]
}

func (m *Model) namespace(name string) *Namespace {
	i := slices.IndexFunc(m.Namespaces, func(n Namespace) bool { return n.Name == name })
	if i < 0 {
		return nil
	}
	return &m.Namespaces[i]
}

// Push pushes a manifest under a tag, and makes what is lacking, private. A
// tag that names another digest moves.
func (m *Model) Push(path, tag, mediaType, data string) {
	m.fill()
	name, rest, _ := strings.Cut(path, "/")
	if m.namespace(name) == nil {
		m.Namespaces = append(m.Namespaces, Namespace{Name: name})
	}
	if m.Find(path) == nil {
		n := m.namespace(name)
		n.Repositories = append(n.Repositories, Repository{Name: rest})
		m.fill()
	}
	r := m.Find(path)
	r.Manifests[Digest(data)] = Manifest{MediaType: mediaType, Data: data}
	r.end(tag, m.Now())
	r.Tags = append(r.Tags, Tag{Name: tag, Digest: Digest(data), Start: m.Now()})
}

// DeleteTag ends a tag; its manifest stays for a while.
func (m *Model) DeleteTag(path, tag string) {
	m.fill()
	if r := m.Find(path); r != nil {
		r.end(tag, m.Now())
	}
}

// DeleteRepository deletes a repository.
func (m *Model) DeleteRepository(path string) {
	name, rest, _ := strings.Cut(path, "/")
	if n := m.namespace(name); n != nil {
		n.Repositories = slices.DeleteFunc(slices.Clone(n.Repositories), func(r Repository) bool { return r.Name == rest })
	}
}

func (r *Repository) end(tag string, now time.Time) {
	for i := range r.Tags {
		if t := &r.Tags[i]; t.Name == tag && t.alive(now) {
			t.End = now
		}
	}
}

func (t *Tag) alive(now time.Time) bool { return t.End.IsZero() || t.End.After(now) }

// alive are the tags that are, newest first, then by name.
func (r *Repository) alive(now time.Time) []Tag {
	return newest(r.Tags, func(t *Tag) bool { return t.alive(now) })
}

func newest(tags []Tag, wanted func(*Tag) bool) []Tag {
	var list []Tag
	for i := range tags {
		if wanted(&tags[i]) {
			list = append(list, tags[i])
		}
	}
	slices.SortFunc(list, func(a, b Tag) int {
		if c := b.Start.Compare(a.Start); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return list
}

// fill gives ids and times to what has none, in the order of the model: what
// comes later was pushed later.
func (m *Model) fill() {
	if m.Now == nil {
		m.Now = time.Now
	}
	if m.MaxTags == 0 {
		m.MaxTags = 500
	}
	if m.PerPage == 0 {
		m.PerPage = 100
	}
	last := 0
	m.each(func(_ *Namespace, r *Repository) { last = max(last, r.ID) })
	m.each(func(_ *Namespace, r *Repository) {
		if r.ID == 0 {
			last++
			r.ID = last
		}
		r.fill()
	})
}

func (m *Model) each(do func(*Namespace, *Repository)) {
	for i := range m.Namespaces {
		n := &m.Namespaces[i]
		for j := range n.Repositories {
			do(n, &n.Repositories[j])
		}
	}
}

func (r *Repository) fill() {
	if r.Kind == "" {
		r.Kind = "image"
	}
	if r.State == "" {
		r.State = "NORMAL"
	}
	if r.Manifests == nil {
		r.Manifests = map[string]Manifest{}
	}
	for i := range r.Tags {
		if t := &r.Tags[i]; t.Start.IsZero() {
			t.Start = epoch.Add(time.Duration(i) * time.Second)
		}
	}
}
