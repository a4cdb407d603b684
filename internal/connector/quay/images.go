package quay

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"

	"portolan"
	"portolan/internal/connector"
)

// workers is how many manifests are read at once, where few repositories are
// listed at the same time.
const workers = 4

// reading is the reading of one repository.
type reading struct {
	*source
	organisation organisation
	listing      *connector.Listing
	yield        func(connector.Row, error) bool
	manifests    atomic.Int64
	failed       int
}

// Images lists the alive tags of a repository, one row each. Every tag comes
// with its digest; a manifest is read for a digest that is not known yet.
func (s *source) Images(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		r := &reading{source: s, organisation: s.of(l.Repository.Path), listing: l, yield: yield}
		l.Announced = -1
		err := r.run(ctx)
		l.Truncated = l.Truncated || errors.Is(err, connector.ErrTruncated)
		if err != nil && !errors.Is(err, errStop) {
			yield(connector.Row{}, err)
		}
	}
}

func (r *reading) run(ctx context.Context) error {
	if r.listing.Resume == "" {
		if whole, err := r.snapshot(ctx); whole || err != nil {
			return err
		}
	} else if _, err := r.repository(r.listing.Repository.Path); err != nil {
		return err
	}
	return r.long(ctx)
}

func (r *reading) doing(what string) string { return what + " " + r.listing.Repository.Path }

// take hands on a row for each tag. cursor answers where to go on after the
// i-th of them.
func (r *reading) take(ctx context.Context, tags []tag, cursor func(i int) string) error {
	r.listing.Listed += len(tags)
	rows := make([]connector.Row, len(tags))
	for i := range tags {
		rows[i] = r.row(&tags[i])
		rows[i].Cursor = cursor(i)
	}
	known, err := r.known(ctx, rows)
	for len(rows) > 0 && err == nil {
		n := chunk(rows, known)
		err = r.chunk(ctx, rows[:n], known)
		rows = rows[n:]
	}
	return err
}

// row is the row of a tag, without facts but for an accessory tag, which makes
// its digest one by name.
func (r *reading) row(t *tag) connector.Row {
	row := connector.Row{Digest: t.digest(), Tags: []connector.Tag{{Name: t.Name, Pushed: t.pushed()}}}
	switch {
	case row.Digest == "":
		row.Err = connector.Errorf(portolan.ServerFailure, "%s lists the tag %q of %s without a usable digest.", r.base.Host, t.Name, r.listing.Repository.Path)
	case connector.AccessoryTag(t.Name):
		row.Facts = connector.Facts{Kind: portolan.KindAccessory}
	}
	return row
}

// lacks reports whether a row needs the facts of its digest.
func lacks(row *connector.Row) bool { return row.Err == nil && row.Kind == "" }

// known answers what is known of the digests of rows.
func (r *reading) known(ctx context.Context, rows []connector.Row) (map[portolan.Digest]connector.Facts, error) {
	var wanted []portolan.Digest
	seen := map[portolan.Digest]bool{}
	for i := range rows {
		if d := rows[i].Digest; lacks(&rows[i]) && !seen[d] {
			seen[d] = true
			wanted = append(wanted, d)
		}
	}
	known := map[portolan.Digest]connector.Facts{}
	if len(wanted) == 0 {
		return known, nil
	}
	facts, err := r.listing.Known.Facts(ctx, wanted)
	for d, f := range facts {
		if f.Complete() {
			known[d] = f
		}
	}
	return known, err
}

// chunk answers how many rows are handed on together: those for which a
// manifest a worker is read, so that a reading that is cut short has got
// somewhere.
func chunk(rows []connector.Row, known map[portolan.Digest]connector.Facts) int {
	n, open := 0, 0
	for n < len(rows) && open < workers {
		if _, ok := known[rows[n].Digest]; !ok && lacks(&rows[n]) {
			open++
		}
		n++
	}
	return n
}

// chunk completes some rows and hands them on. In a reading that is cut short,
// what is not complete is left for the next one.
func (r *reading) chunk(ctx context.Context, rows []connector.Row, known map[portolan.Digest]connector.Facts) error {
	failed, err := r.fetch(ctx, rows, known)
	r.listing.ManifestsRead += int(r.manifests.Swap(0))
	for i := range rows {
		row := &rows[i]
		if lacks(row) {
			f, ok := known[row.Digest]
			cause := failed[row.Digest]
			if err != nil && !ok && (cause == nil || connector.Fatal(cause)) {
				return err
			}
			if row.Facts = f; cause != nil {
				row.Err = connector.AboutTag(row.Tags[0].Name, cause)
			}
		}
		if !r.yield(*row, nil) {
			return errStop
		}
		if row.Err == nil {
			continue
		}
		if r.failed++; r.failed > connector.MaxFailedRows {
			return connector.TooManyFailed(r.listing.Repository.Path, row.Err)
		}
	}
	return err
}

// fetch reads the manifests of the digests that are not known, and answers
// those that failed; the error ends the reading.
func (r *reading) fetch(ctx context.Context, rows []connector.Row, known map[portolan.Digest]connector.Facts) (failed map[portolan.Digest]error, err error) {
	var wanted []portolan.Digest
	for i := range rows {
		d := rows[i].Digest
		if _, ok := known[d]; !ok && lacks(&rows[i]) && !slices.Contains(wanted, d) {
			wanted = append(wanted, d)
		}
	}
	facts, errs := make([]connector.Facts, len(wanted)), make([]error, len(wanted))
	err = r.crew.Each(ctx, len(wanted), func(ctx context.Context, i int) error {
		facts[i], errs[i] = r.facts(ctx, wanted[i])
		return connector.FatalOnly(errs[i])
	})
	failed = map[portolan.Digest]error{}
	for i, d := range wanted {
		failed[d] = errs[i]
		if errs[i] == nil && facts[i].Complete() { // else it was not come to
			known[d] = facts[i]
		}
	}
	return failed, err
}
