package oci

import (
	"context"
	"net/url"

	"portolan/internal/connector"
)

// Manifests reads what the manifests of a registry say, for a source that finds
// tags and their digests by another API. Its methods may be called at once.
type Manifests struct{ source *source }

// NewManifests makes Manifests for the registry at base.
func NewManifests(base *url.URL) *Manifests {
	return &Manifests{&source{base: base, facts: newFactsCache(), crew: connector.NewCrew(workers)}}
}

// Complete gives its facts to every row of the listed repository that has a
// digest and no Kind yet: what is known, or what the manifest says, which d
// gets once for each digest. A row whose manifest cannot be read gets an Err.
// An error ends the reading; rows may be complete all the same.
func (m *Manifests) Complete(ctx context.Context, d connector.Doer, l *connector.Listing, rows []connector.Row) error {
	r := &reading{source: m.source, listing: l, doer: d}
	var list []found
	var at []int
	for i := range rows {
		if row := &rows[i]; row.Err == nil && row.Kind == "" {
			list, at = append(list, found{digest: row.Digest}), append(at, i)
		}
	}
	err := r.addFacts(ctx, list)
	l.ManifestsRead += int(r.manifests.Swap(0))
	for i, f := range list {
		if f.err == nil || !connector.Fatal(f.err) {
			rows[at[i]].Facts, rows[at[i]].Err = f.facts, f.err
		}
	}
	return err
}
