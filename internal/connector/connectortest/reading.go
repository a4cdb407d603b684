package connectortest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"portolan"
	"portolan/internal/connector"
)

// reading is what one reading of a whole registry found, put together as the
// engine does it.
type reading struct {
	probe        connector.Probe
	repositories map[string]map[portolan.Digest]*image
	errs         []error
	rows, listed int
	manifests    int
}

type image struct {
	tags  []connector.Tag
	facts connector.Facts
}

// memory is a Memory of the tags of all repositories.
type memory struct {
	Memory
	tags map[string]portolan.Digest // by repository and tag
	path string
}

func newMemory() *memory { return &memory{tags: map[string]portolan.Digest{}} }

func (m *memory) Resolved(tag string) (portolan.Digest, bool) {
	d, ok := m.tags[m.path+"\n"+tag]
	return d, ok
}

// read reads everything, in bulk where that is wanted and possible.
func read(ctx context.Context, src connector.Source, known *memory, bulk bool) *reading {
	r := &reading{repositories: map[string]map[portolan.Digest]*image{}}
	probe, err := src.Probe(ctx)
	if err != nil {
		r.errs = append(r.errs, err)
		return r
	}
	r.probe = probe
	repositories := map[string]connector.Repository{}
	for repository, err := range src.Repositories(ctx, "") {
		if err != nil {
			r.errs = append(r.errs, err)
			return r
		}
		repositories[repository.Path] = repository
		r.repositories[repository.Path] = map[portolan.Digest]*image{}
	}
	lister, ok := src.(connector.BulkLister)
	if bulk && ok && probe.Bulk {
		r.readGroups(ctx, lister, repositories, known)
	} else {
		r.readEach(ctx, src, repositories, known)
	}
	if _, err := src.Probe(ctx); err != nil {
		r.errs = append(r.errs, err)
	}
	return r
}

func (r *reading) readEach(ctx context.Context, src connector.Source, repositories map[string]connector.Repository, known *memory) {
	for _, path := range slices.Sorted(maps.Keys(repositories)) {
		known.path = path
		l := &connector.Listing{Repository: repositories[path], Known: known}
		for row, err := range src.Images(ctx, l) {
			r.take(path, row, err, known)
		}
		r.finish(l)
	}
}

func (r *reading) readGroups(ctx context.Context, src connector.BulkLister, repositories map[string]connector.Repository, known *memory) {
	groups := map[string]int{}
	for _, repository := range repositories {
		groups[repository.Group] += max(repository.Expect, 0)
	}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		l := &connector.Listing{Repository: connector.Repository{Group: group, Expect: groups[group]}, Known: known}
		for row, err := range src.GroupImages(ctx, l) {
			r.take(row.Repository, row, err, known)
		}
		r.finish(l)
	}
}

func (r *reading) take(path string, row connector.Row, err error, known *memory) {
	if err == nil {
		r.rows++
		err = row.Err
	}
	if err != nil {
		r.errs = append(r.errs, err)
		return
	}
	if r.repositories[path] == nil {
		r.repositories[path] = map[portolan.Digest]*image{}
	}
	found := r.repositories[path][row.Digest]
	if found == nil {
		found = &image{}
		r.repositories[path][row.Digest] = found
	}
	for _, t := range row.Tags {
		if !slices.ContainsFunc(found.tags, func(have connector.Tag) bool { return have.Name == t.Name }) {
			found.tags = append(found.tags, t)
		}
		known.tags[path+"\n"+t.Name] = row.Digest
	}
	known.Learn(row)
	if row.Complete() || found.facts.Kind == "" {
		found.facts = row.Facts
	}
}

func (r *reading) finish(l *connector.Listing) {
	r.listed += l.Listed
	r.manifests += l.ManifestsRead
}

func (r *reading) err() error { return errors.Join(r.errs...) }

// lines tell what was found, one for each image, sorted.
func (r *reading) lines() []string {
	var lines []string
	for path, images := range r.repositories {
		lines = append(lines, path)
		for d, found := range images {
			names := make([]string, 0, len(found.tags))
			for _, t := range found.tags {
				names = append(names, t.Name)
			}
			slices.Sort(names)
			lines = append(lines, line(path, d, names, connector.Judge(found.tags, found.facts)))
		}
	}
	slices.Sort(lines)
	return lines
}

// lines tell what a source must find in the model.
func (m *Model) lines() []string {
	var lines []string
	for _, r := range m.Repositories() {
		lines = append(lines, r.Path)
		for _, i := range r.Images {
			lines = append(lines, line(r.Path, i.Digest, slices.Sorted(slices.Values(i.Tags)), i.Kind))
		}
	}
	slices.Sort(lines)
	return lines
}

func line(path string, d portolan.Digest, tags []string, kind portolan.Kind) string {
	return fmt.Sprintf("%s %s %v %s", path, d, tags, kind)
}

// Repositories lists what a source has after a cursor, up to the first error.
func Repositories(ctx context.Context, s connector.Source, after string) ([]connector.Repository, error) {
	var list []connector.Repository
	for r, err := range s.Repositories(ctx, after) {
		if err != nil {
			return list, err
		}
		list = append(list, r)
	}
	return list, nil
}
