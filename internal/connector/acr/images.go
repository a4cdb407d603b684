package acr

import (
	"context"
	"errors"
	"iter"
	"slices"

	"portolan"
	"portolan/internal/connector"
)

// chunk is how many rows are completed before they are handed on.
const chunk = 64

// reading is the reading of one repository.
type reading struct {
	*source
	edition edition
	listing *connector.Listing
	id      repositoryID
	yield   func(connector.Row, error) bool
	// resumed is set if earlier rows were handed on in another reading.
	resumed bool
	held    []held
	gone    []held // their manifests were gone when they were asked for
	failed  int
	going   int // tags that are being deleted
	// confirming is set while the list is read again for those that are gone.
	confirming bool
}

// held is an entry that is not handed on yet.
type held struct {
	tagEntry
	at place
}

// Images implements connector.Source: a row for each tag. A list of up to
// maxHeld tags is read to its end before its rows are handed on, and resumes by
// being read again; a longer one is handed on page by page, with cursors.
func (s *source) Images(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		l.Announced = -1
		err := s.images(ctx, &reading{source: s, listing: l, yield: yield, resumed: l.Resume != ""})
		if err != nil && !errors.Is(err, errStopped) {
			l.Truncated = errors.Is(err, connector.ErrTruncated)
			yield(connector.Row{}, err)
		}
	}
}

func (s *source) images(ctx context.Context, r *reading) error {
	var err error
	if r.edition, err = s.find(ctx); err != nil {
		return err
	}
	if r.id, err = r.edition.locate(ctx, r.listing.Repository); err != nil {
		return err
	}
	if err := r.list(ctx); err != nil {
		return err
	}
	if err := r.flush(ctx); err != nil {
		return err
	}
	return r.confirmGone(ctx)
}

// confirmGone reads the list again if a manifest was gone when it was asked
// for: what is not listed any more was deleted meanwhile and is no row, what
// moved is read where it is now, and what still is there is a failed row.
func (r *reading) confirmGone(ctx context.Context) error {
	if len(r.gone) == 0 {
		return nil
	}
	before := map[string]bool{}
	for _, h := range r.gone {
		before[h.Tag] = true
	}
	r.confirming = true
	again := reading{source: r.source, edition: r.edition, listing: &connector.Listing{}, id: r.id, confirming: true}
	if err := again.list(ctx); err != nil {
		return err
	}
	r.held = slices.DeleteFunc(again.held, func(h held) bool { return !before[h.Tag] })
	r.listing.Listed -= len(r.gone)
	r.listing.Announced = r.listing.Listed + len(r.held)
	return r.flush(ctx)
}

// list reads the list until it is undisturbed. What was handed on cannot be
// taken back, so then there is no second time.
func (r *reading) list(ctx context.Context) error {
	var before map[string]struct{}
	for range maxWalks {
		r.held, r.going = nil, 0
		w := walk[tagEntry]{
			read: func(ctx context.Context, n int) (page[tagEntry], error) { return r.edition.tags(ctx, r.id, n) },
			key:  tagEntry.key, made: tagEntry.updated,
			before: before, limit: maxPages,
			visit: func(e tagEntry, at place) error { return r.visit(ctx, e, at) },
		}
		err := w.run(ctx, parsePlace(r.listing.Resume))
		if err == nil {
			r.listing.Announced = w.total - r.going
		}
		if !errors.Is(err, errChanged) {
			return err
		}
		if r.resumed || r.listing.Listed > 0 {
			break
		}
		if before = nil; len(w.seen) == w.total { // else it saw a part
			before = w.seen
		}
	}
	return truncated(r.config.BaseURL.Host, "listing the tags of "+r.id.path)
}

func (r *reading) visit(ctx context.Context, e tagEntry, at place) error {
	if going(e.Status) {
		r.going++
		return nil
	}
	if r.confirming || !r.resumed && at.total <= maxHeld {
		at = place{} // no cursor: it resumes by being read again
	}
	r.held = append(r.held, held{e, at})
	if at.page > 0 && len(r.held) >= chunk {
		return r.flush(ctx)
	}
	return nil
}

// flush hands on what is held. Rows without a cursor are counted here, before
// anything becomes of them; those with one when they are handed on, for the
// count goes on with them.
func (r *reading) flush(ctx context.Context) error {
	for _, h := range r.held {
		if h.at.page == 0 {
			r.listing.Listed++
		}
	}
	for part := range slices.Chunk(r.held, chunk) {
		if err := r.hand(ctx, part); err != nil {
			return err
		}
	}
	r.held = r.held[:0]
	return nil
}

// hand completes some rows and hands them on, also those that were complete
// when something ended the reading.
func (r *reading) hand(ctx context.Context, part []held) error {
	rows := make([]connector.Row, len(part))
	for i, e := range part {
		rows[i] = e.row(r.id.path)
		if e.at.page > 0 {
			rows[i].Cursor = e.at.String()
		}
	}
	err := r.side.manifests.Complete(ctx, r.side.pull(r.id.path), r.listing, rows)
	for i := range rows {
		row := &rows[i]
		if row.Err == nil && row.Kind == "" {
			if err != nil {
				break // rows after it would resume past it
			}
			return connector.Errorf(portolan.ServerFailure, "%s: the kind of %s could not be found out.", r.config.BaseURL.Host, row.Digest)
		}
		if errors.Is(row.Err, connector.ErrNotExist) && part[i].at.page == 0 && !r.confirming {
			r.gone = append(r.gone, part[i])
			continue
		}
		part[i].complete(&row.Facts)
		if row.Cursor != "" {
			r.listing.Listed++
		}
		if err := r.hand1(row); err != nil {
			return err
		}
	}
	return r.side.explain(err)
}

func (r *reading) hand1(row *connector.Row) error {
	cause := row.Err
	if cause != nil {
		r.failed++
		row.Err = connector.AboutTag(row.Tags[0].Name, r.side.explain(cause))
	}
	if !r.yield(*row, nil) {
		return errStopped
	}
	if r.failed > connector.MaxFailedRows {
		return connector.TooManyFailed(r.id.path, row.Err)
	}
	return nil
}
