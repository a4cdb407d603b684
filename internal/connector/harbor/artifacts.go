package harbor

import (
	"context"
	"errors"
	"iter"

	"portolan"
	"portolan/internal/connector"
)

const needsArtifacts = "artifact: list and tag: list"

// artifactQuery asks for the oldest push first, so that new pushes come at the
// end and move nothing. with_tag must be sent: without tags every artifact
// looks untagged. Labels, accessories and scans are left out; nothing uses
// them, and each costs Harbor a query for every row.
const artifactQuery = "sort=push_time&with_tag=true"

// Images lists the artifacts of a repository. One that Harbor does not know
// is answered by an empty list, which is passed on as such.
func (s *source) Images(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	path := l.Repository.Path
	return s.artifacts(ctx, l, call{
		path:  repository(path) + "/artifacts",
		query: artifactQuery,
		doing: "listing the artifacts of " + path,
		needs: needsArtifacts,
	})
}

// GroupImages lists the artifacts of a whole project, which 2.12 brought.
func (s *source) GroupImages(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	name := l.Repository.Group
	return s.artifacts(ctx, l, call{
		path:  project(name) + "/artifacts",
		query: artifactQuery + "&latest_in_repository=false",
		doing: "listing the artifacts of project " + name,
		needs: needsArtifacts,
	})
}

func (s *source) artifacts(ctx context.Context, l *connector.Listing, c call) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		r := &reader{listing: l, yield: yield, resumed: l.Resume != ""}
		l.Announced = -1
		err := s.readArtifacts(ctx, r, c)
		if err == nil {
			err = r.flush()
		}
		if err != nil && !errors.Is(err, errStop) {
			l.Truncated = l.Truncated || errors.Is(err, connector.ErrTruncated)
			yield(connector.Row{}, err)
		}
	}
}

// readArtifacts reads the list until it is undisturbed. What was handed on
// cannot be taken back, so then there is no second time.
func (s *source) readArtifacts(ctx context.Context, r *reader, c call) error {
	from := parsePlace(r.listing.Resume)
	for range maxWalks {
		r.held = nil
		sw := sweep{api: s.api, call: c, visit: r.visit}
		err := sw.read(ctx, from, r.listing.Repository.Expect)
		if err == nil {
			r.listing.Announced = sw.total
		}
		if !errors.Is(err, errChanged) {
			return err
		}
		if r.resumed || r.listing.Listed > 0 {
			break
		}
	}
	return s.api.truncated(c, "kept changing")
}

// reader hands on the rows of one listing: when the walk is over, or page by
// page if the list is long or was begun earlier.
type reader struct {
	listing *connector.Listing
	yield   func(connector.Row, error) bool
	resumed bool
	held    []connector.Row
}

func (r *reader) visit(a artifact, at place) error {
	row := a.row()
	row.Cursor = at.String()
	if row.Repository == "" {
		row.Repository = r.listing.Repository.Path
		if row.Repository == "" && row.Err == nil {
			row.Err = connector.Errorf(portolan.ServerFailure, "Harbor lists artifact %s without its repository.", row.Digest)
		}
	}
	r.held = append(r.held, row)
	r.listing.Announced = at.total
	if r.resumed || at.total > maxHeld {
		return r.flush()
	}
	return nil
}

func (r *reader) flush() error {
	for _, row := range r.held {
		r.listing.Listed++
		if !r.yield(row, nil) {
			return errStop
		}
	}
	r.held = r.held[:0]
	return nil
}
