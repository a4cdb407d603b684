package inventory_test

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"portolan"
	"portolan/internal/connector"
)

const imageType = "application/vnd.oci.image.manifest.v1+json"

// shelf is a registry in memory: the engine is tested against what a source
// says, whoever says it.
type shelf struct {
	mu    sync.Mutex
	repos map[string]map[string]portolan.Digest // path -> tag -> digest
	kinds map[portolan.Digest]portolan.Kind     // an image when absent
	// fail answers an error for a repository, "" being the catalogue and
	// "probe" the identity. A catalogue breaks off after cutAfter entries.
	fail     map[string]error
	cutAfter int
	// hidden repositories are not in the catalogue, yet answer when asked.
	hidden map[string]bool
	// lost repositories are in the catalogue, but answer that they do not exist.
	lost map[string]bool
	// rows fail for these digests.
	broken map[portolan.Digest]error
	// announced states a total that differs by so much.
	announced int
	// cursors makes it list artifacts that can be resumed, instead of tags.
	cursors bool
	// warnings are what the source says of itself.
	warnings []string
	// spoil changes what manifests say.
	spoil func(*connector.Facts)
	// at is called before whatever the source does, and may fail it.
	at func(what string) error

	probes   int
	resolved map[string]int          // path:tag -> times resolved
	fetched  map[portolan.Digest]int // times the manifest was fetched
	listed   map[string]int          // path -> times listed
}

func newShelf() *shelf {
	return &shelf{
		repos: map[string]map[string]portolan.Digest{}, kinds: map[portolan.Digest]portolan.Kind{}, fail: map[string]error{},
		hidden: map[string]bool{}, lost: map[string]bool{}, broken: map[portolan.Digest]error{},
		resolved: map[string]int{}, fetched: map[portolan.Digest]int{}, listed: map[string]int{},
	}
}

func digestOf(n int) portolan.Digest { return portolan.Digest(fmt.Sprintf("sha256:%064x", n)) }

func (s *shelf) put(repo, tag string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[repo] == nil {
		s.repos[repo] = map[string]portolan.Digest{}
	}
	s.repos[repo][tag] = digestOf(n)
}

// fill puts n images into a repository, each with a tag.
func (s *shelf) fill(repo string, from, n int) {
	for i := from; i < from+n; i++ {
		s.put(repo, fmt.Sprintf("v%05d", i), i)
	}
}

// drop deletes the images that fill put.
func (s *shelf) drop(repo string, from, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := from; i < from+n; i++ {
		delete(s.repos[repo], fmt.Sprintf("v%05d", i))
	}
}

func (s *shelf) before(what string) error {
	s.mu.Lock()
	at := s.at
	s.mu.Unlock()
	if at == nil {
		return nil
	}
	return at(what)
}

func (s *shelf) failure(of string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail[of]
}

func (s *shelf) Probe(context.Context) (connector.Probe, error) {
	if err := s.before("probe"); err != nil {
		return connector.Probe{}, err
	}
	s.mu.Lock()
	s.probes++
	s.mu.Unlock()
	return connector.Probe{Product: "shelf", Identity: "tester", Warnings: s.warnings, Bulk: true, Feed: true}, s.failure("probe")
}

func (s *shelf) Repositories(_ context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		s.mu.Lock()
		paths := slices.Sorted(maps.Keys(s.repos))
		s.mu.Unlock()
		for i, p := range paths {
			s.mu.Lock()
			hidden, n := s.hidden[p], len(s.repos[p])
			s.mu.Unlock()
			if hidden || p <= after {
				continue
			}
			if err := s.failure(""); err != nil && i >= s.cutAfter {
				yield(connector.Repository{}, err)
				return
			}
			if err := s.before("catalogue " + p); err != nil {
				yield(connector.Repository{}, err)
				return
			}
			group, _, _ := strings.Cut(p, "/")
			if !yield(connector.Repository{Path: p, Group: group, Expect: n, Fingerprint: s.fingerprint(p), Cursor: p}, nil) {
				return
			}
		}
		if err := s.failure(""); err != nil {
			yield(connector.Repository{}, err)
		}
	}
}

func (s *shelf) fingerprint(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprint(s.repos[path])
}

func (s *shelf) Images(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		path := l.Repository.Path
		if err := s.before("images " + path); err != nil {
			yield(connector.Row{}, err)
			return
		}
		s.mu.Lock()
		tags, ok := maps.Clone(s.repos[path]), s.repos[path] != nil && !s.lost[path]
		s.listed[path]++
		s.mu.Unlock()
		if !ok {
			yield(connector.Row{}, notExist())
			return
		}
		if s.announced != 0 {
			l.Announced = len(tags) + s.announced
		}
		list := s.tagRows
		if s.cursors {
			list = s.artifactRows
		}
		if !list(ctx, l, tags, yield) {
			return
		}
		if err := s.failure(path); err != nil {
			yield(connector.Row{}, err)
		}
	}
}

func notExist() error {
	return &connector.Error{Class: portolan.ServerFailure, Message: "unknown", Err: connector.ErrNotExist}
}

// tagRows lists as the Distribution API does: anew from the start.
func (s *shelf) tagRows(ctx context.Context, l *connector.Listing, tags map[string]portolan.Digest, yield func(connector.Row, error) bool) bool {
	l.Listed += len(tags)
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(tags)), 100) {
		digests := make([]portolan.Digest, len(chunk))
		for i, tag := range chunk {
			digests[i] = tags[tag]
		}
		known, err := l.Known.Facts(ctx, digests)
		if err != nil {
			yield(connector.Row{}, err)
			return false
		}
		for _, tag := range chunk {
			row, err := s.tagRow(l, tag, tags[tag], known)
			if !yield(row, err) || err != nil {
				return false
			}
		}
	}
	return true
}

func (s *shelf) tagRow(l *connector.Listing, tag string, d portolan.Digest, known map[portolan.Digest]connector.Facts) (connector.Row, error) {
	path := l.Repository.Path
	if resolved, ok := l.Known.Resolved(tag); ok {
		d = resolved
	} else {
		if err := s.before("row " + path); err != nil {
			return connector.Row{}, err
		}
		s.mu.Lock()
		s.resolved[path+":"+tag]++
		s.mu.Unlock()
	}
	row := connector.Row{Digest: d, Tags: []portolan.Tag{{Name: tag}}, Facts: connector.Facts{Kind: portolan.KindAccessory}}
	if !connector.AccessoryTag(tag) {
		row.Facts, row.Err = s.facts(l, d, known)
	}
	return row, nil
}

func (s *shelf) facts(l *connector.Listing, d portolan.Digest, known map[portolan.Digest]connector.Facts) (connector.Facts, error) {
	if f, ok := known[d]; ok {
		return f, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.broken[d]; err != nil {
		return connector.Facts{}, err
	}
	s.fetched[d]++
	l.ManifestsRead++
	known[d] = s.manifest(d)
	return known[d], nil
}

func (s *shelf) manifest(d portolan.Digest) connector.Facts {
	kind, ok := s.kinds[d]
	if !ok {
		kind = portolan.KindImage
	}
	f := connector.Facts{Kind: kind, MediaType: imageType, Size: 42, Platforms: []string{"linux/amd64", "linux/arm64/v8"}}
	if s.spoil != nil {
		s.spoil(&f)
	}
	return f
}

// artifactRows lists as Harbor does: digests with all their tags, and each row
// can be gone on from.
func (s *shelf) artifactRows(_ context.Context, l *connector.Listing, tags map[string]portolan.Digest, yield func(connector.Row, error) bool) bool {
	by := map[portolan.Digest][]portolan.Tag{}
	for _, tag := range slices.Sorted(maps.Keys(tags)) {
		by[tags[tag]] = append(by[tags[tag]], portolan.Tag{Name: tag})
	}
	for _, d := range slices.Sorted(maps.Keys(by)) {
		if string(d) <= l.Resume {
			continue
		}
		if err := s.before("row " + l.Repository.Path); err != nil {
			yield(connector.Row{}, err)
			return false
		}
		s.mu.Lock()
		row := connector.Row{Repository: l.Repository.Path, Digest: d, Tags: by[d], Facts: s.manifest(d), Err: s.broken[d], Cursor: string(d)}
		s.mu.Unlock()
		l.Listed++
		if !yield(row, nil) {
			return false
		}
	}
	return true
}

// bulkShelf lists groups at once and tells what changed.
type bulkShelf struct {
	*shelf
	bulk     map[string]error // error of a group's list
	leaveOut string           // a repository that bulk lists lack
	groups   map[string]int   // group -> times listed
	changes  func(since time.Time) ([]string, bool, error)
}

func (b *bulkShelf) GroupImages(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		group := l.Repository.Group
		b.mu.Lock()
		b.groups[group]++
		paths := slices.Sorted(maps.Keys(b.repos))
		b.mu.Unlock()
		for _, p := range paths {
			if !strings.HasPrefix(p, group+"/") || p == b.leaveOut {
				continue
			}
			one := &connector.Listing{Repository: connector.Repository{Path: p}, Known: l.Known}
			ok := b.artifactRows(ctx, one, b.repos[p], yield)
			l.Listed += one.Listed
			if !ok {
				return
			}
		}
		if err := b.bulk[group]; err != nil {
			yield(connector.Row{}, err)
		}
	}
}

func (b *bulkShelf) Changes(_ context.Context, since time.Time) ([]string, bool, error) {
	return b.changes(since)
}
