package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

// writer turns listings into changes and writes them in small transactions.
// It is used by one goroutine.
type writer struct {
	*reading
	ready []complete
	rows  int
	// fatal counts failures in a row that say something of the registry as a
	// whole.
	fatal int
	err   error
}

// complete is a repository whose listing ended clean.
type complete struct {
	staged store.StagedRepository
	found  found
	listed int
	// manifests is how many were fetched for it.
	manifests int
	// back tells that the catalogue does not list it.
	back bool
}

// applied is a change with the listing that it ends, nil for none: the ledger
// counts a listing in the transaction that ends its repository.
type applied struct {
	store.Change
	complete *complete
}

// readyBatch is how many repositories are written at once at most.
const readyBatch = 200

// take takes what a reader hands over. ctx is the slice's, saving outlives it.
func (w *writer) take(saving, ctx context.Context, l listed) error {
	switch {
	case l.err != nil && passing(ctx, l.err):
		return errors.Join(l.err, w.keepRows(saving, &l))
	case l.group != "":
		return w.takeGroup(saving, ctx, &l)
	case l.err != nil:
		return w.takeError(saving, ctx, &l)
	}
	w.fatal = 0
	return w.takeRepository(saving, &l)
}

// stagedRow is a row of an interrupted listing, as it is kept.
type stagedRow struct {
	connector.Row
	Failed *connector.Error `json:",omitempty"`
}

func (s *stagedRow) row() connector.Row {
	if s.Failed != nil {
		s.Err = s.Failed
	}
	return s.Row
}

// keepRows stages the rows of an interrupted listing.
func (w *writer) keepRows(saving context.Context, l *listed) error {
	if l.group != "" || len(l.rows) == 0 {
		return nil
	}
	rows, resume := l.rows, l.rows[len(l.rows)-1].Cursor
	anew := l.listing.Resume == "" && (resume == "" || l.resolved > 0) // as is a list without cursors
	if l.listing.Resume != "" {
		rows = rows[l.resolved:]
	}
	if anew {
		resume = ""
	} else if resume == "" {
		return nil
	}
	var contents [][]byte
	for i := range rows {
		if anew && (rows[i].Err != nil || allResolved(l.listing.Known, rows[i].Tags)) {
			continue
		}
		staged := stagedRow{Row: rows[i]}
		if err := staged.Err; err != nil {
			staged.Err, staged.Failed = nil, &connector.Error{Class: connector.ClassOf(err), Message: err.Error()}
		}
		content, err := json.Marshal(&staged)
		if err != nil {
			return err
		}
		contents = append(contents, content)
	}
	w.ran = w.ran || len(contents) > 0
	return w.DB.StageRows(saving, w.lease, l.list[0].Path, resume, l.resolved+len(contents), l.resolved, contents)
}

func allResolved(known connector.Known, tags []portolan.Tag) bool {
	return len(tags) > 0 && !slices.ContainsFunc(tags, func(t portolan.Tag) bool {
		_, ok := known.Resolved(t.Name)
		return !ok
	})
}

// takeGroup hands on the repositories of a bulk listing. Where it is not
// beyond doubt, they are listed one by one.
func (w *writer) takeGroup(saving, ctx context.Context, l *listed) error {
	if l.err != nil || l.listing.Listed != len(l.rows) || l.listing.Announced >= 0 && l.listing.Announced != l.listing.Listed {
		w.bulkFailed[l.group] = true
		return w.noteClass(saving, ctx, l.err)
	}
	rows := map[string][]connector.Row{}
	for _, row := range l.rows {
		rows[row.Repository] = append(rows[row.Repository], row)
	}
	manifests := l.listing.ManifestsRead
	for _, staged := range l.list {
		own := rows[staged.Path]
		if len(own) == 0 && staged.Expect > 0 {
			w.bulkFailed[l.group] = true // its own answer decides
			continue
		}
		one := &listed{
			task: task{list: []store.StagedRepository{staged}}, rows: own,
			listing: &connector.Listing{Listed: len(own), Announced: -1, ManifestsRead: manifests},
		}
		manifests = 0
		if err := w.takeRepository(saving, one); err != nil {
			return err
		}
	}
	return nil
}

// noteClass ends the reading when too many listings in a row fail for a reason
// that lies in the registry as a whole, and it still fails when asked again.
func (w *writer) noteClass(saving, ctx context.Context, err error) error {
	if err == nil || !fatal(err) {
		w.fatal = 0
		return nil
	}
	if w.fatal++; w.fatal < fatalInRow {
		return nil
	}
	if e := w.flush(saving); e != nil {
		return e
	}
	w.fatal = 0
	return w.doubt(ctx, err)
}

// stopError ends a reading because of the registry.
type stopError struct{ cause error }

func (e *stopError) Error() string { return "the registry cannot be read any more: " + e.cause.Error() }
func (e *stopError) Unwrap() error { return e.cause }

// takeError handles a listing that ended in an error.
func (w *writer) takeError(saving, ctx context.Context, l *listed) error {
	staged := l.list[0]
	_, classed := errors.AsType[*connector.Error](l.err)
	switch {
	case !classed && !errors.Is(l.err, connector.ErrNotExist):
		return fmt.Errorf("list %s: %w", staged.Path, l.err)
	case errors.Is(l.err, connector.ErrNotExist) && staged.Vanished == store.Vanished:
		l.rows, l.listing.Listed = nil, 0
		return w.takeRepository(saving, l)
	case errors.Is(l.err, connector.ErrNotExist):
		return w.takeUnknown(saving, l)
	case staged.Vanished == store.Vanished && refused(l.err):
		return w.hold(saving, staged)
	case fatal(l.err) && w.putOff(staged.Path):
		w.lease.Sync.Ledger.ManifestsRead += l.listing.ManifestsRead
		return w.noteClass(saving, ctx, l.err)
	}
	if err := w.fail(saving, l, "images", l.err); err != nil {
		return err
	}
	return w.noteClass(saving, ctx, l.err)
}

func refused(err error) bool {
	c := connector.ClassOf(err)
	return c == portolan.Forbidden || c == portolan.BadCredentials
}

// takeUnknown handles a repository that the catalogue lists and that does not
// exist when asked: empty if nothing was known of it, else failed.
func (w *writer) takeUnknown(ctx context.Context, l *listed) error {
	kept, err := w.DB.Keep(ctx, w.lease, []string{l.list[0].Path})
	if err != nil {
		return err
	}
	if k := kept[l.list[0].Path]; k != nil && len(k.Images) > 0 {
		w.plan.Absent = w.plan.Absent || w.hinted()
		return w.fail(ctx, l, "tags", l.err)
	}
	l.rows, l.listing.Listed = nil, 0
	return w.takeRepository(ctx, l)
}

// takeRepository takes a listing that ended clean, if it adds up.
func (w *writer) takeRepository(ctx context.Context, l *listed) error {
	staged := l.list[0]
	f := judge(l.rows)
	announced := l.listing.Announced
	switch {
	case f.firstErr != nil:
		return w.fail(ctx, l, "manifest", f.firstErr)
	case l.listing.Listed != len(l.rows):
		w.lease.Sync.Ledger.Unexplained += l.listing.Listed - len(l.rows)
		return w.fail(ctx, l, "rows", connector.Errorf(portolan.ServerFailure, "The list has %d rows, but %d came through.", l.listing.Listed, len(l.rows)))
	case announced >= 0 && announced != l.listing.Listed:
		w.lease.Sync.Ledger.Truncated = true
		return w.fail(ctx, l, "rows", connector.Errorf(portolan.ServerFailure, "The registry announces %d rows and listed %d.", announced, l.listing.Listed))
	}
	c := complete{staged: staged, found: f, listed: l.listing.Listed, manifests: l.listing.ManifestsRead}
	if staged.Vanished == store.Vanished && len(l.rows) > 0 {
		c.staged.Vanished, c.back = store.InCatalogue, true // it is there after all
	}
	w.ready = append(w.ready, c)
	w.rows += len(l.rows) + 1
	if w.rows >= w.DB.Room() || len(w.ready) >= readyBatch {
		return w.flush(ctx)
	}
	return nil
}

// fail marks a repository as failed. It keeps its last state.
func (w *writer) fail(ctx context.Context, l *listed, step string, cause error) error {
	staged := l.list[0]
	if slices.Contains(w.plan.Parted, staged.Path) {
		if err := w.revert(ctx, staged.Path); err != nil {
			return err
		}
	}
	ledger := &w.lease.Sync.Ledger
	issue := portolan.Issue{Repository: staged.Path, Step: step, Code: connector.ClassOf(cause), Message: plain(cause.Error())}
	if e, ok := errors.AsType[*connector.Error](cause); ok {
		issue.Message = describe(e)
	}
	ledger.AddIssue(issue)
	if w.plan.First == nil {
		w.plan.First = &issue
	}
	if staged.Vanished == store.Vanished {
		staged.Vanished = store.InCatalogue
		ledger.RepositoriesListed++
	}
	ledger.RowsListed += l.listing.Listed
	ledger.RowsFailed += len(l.rows)
	if step != "rows" {
		ledger.RowsFailed += l.listing.Listed - len(l.rows)
	} else if l.listing.Listed == len(l.rows) {
		ledger.Truncated = true
	}
	ledger.Truncated = ledger.Truncated || l.listing.Truncated
	ledger.ManifestsRead += l.listing.ManifestsRead
	w.ran = true
	return w.apply(ctx, applied{Change: store.Change{Staged: staged, State: store.StagedFailed}})
}

// hold keeps the images of a repository that is no longer listed and refuses
// to answer: the credential may have lost a project.
func (w *writer) hold(ctx context.Context, staged store.StagedRepository) error {
	kept, err := w.DB.Keep(ctx, w.lease, []string{staged.Path})
	if err != nil {
		return err
	}
	c := store.Change{Staged: staged, State: store.StagedHeld, Denied: true}
	if k := kept[staged.Path]; k != nil {
		c.RepositoryID = k.ID
		for i := range k.Images {
			c.Lack = append(c.Lack, k.Images[i].RowID)
		}
	}
	w.noteLacking(kept[staged.Path], c.Lack)
	w.ran = true
	return w.applyParts(ctx, applied{Change: c})
}

// noteLacking notes whether images lack that did not lack before this reading.
func (w *writer) noteLacking(kept *store.Kept, lack []int64) {
	if len(lack) == 0 || w.plan.Newly {
		return
	}
	lacking := make(map[int64]bool, len(lack))
	for _, row := range lack {
		lacking[row] = true
	}
	w.plan.Newly = slices.ContainsFunc(kept.Images, func(i store.KeptImage) bool { return i.Lacks == 0 && lacking[i.RowID] })
}

// applyParts applies a change in as many transactions as it needs. Until the
// last of them the plan remembers that the repository is half applied.
func (w *writer) applyParts(ctx context.Context, a applied) error {
	list := parts(a.Change, w.DB.Room())
	for i, part := range list {
		last := i == len(list)-1
		w.plan.Parted = without(w.plan.Parted, a.Staged.Path)
		if !last {
			w.plan.Parted = append(w.plan.Parted, a.Staged.Path)
		}
		p := applied{Change: part}
		if last {
			p.complete = a.complete
		}
		if err := w.apply(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// apply writes changes with the plan and the ledger as they then are.
func (w *writer) apply(ctx context.Context, list ...applied) error {
	l := &w.lease.Sync.Ledger
	changes := make([]store.Change, len(list))
	for i := range list {
		c := &list[i].Change
		l.ImagesAdded += len(c.Insert)
		l.ImagesUpdated += len(c.Versions)
		l.ImagesGone += len(c.Drop)
		w.plan.CountDelta += len(c.Insert) - len(c.Drop)
		if list[i].complete != nil {
			w.count(list[i].complete)
		}
		changes[i] = *c
	}
	if err := w.pack(); err != nil {
		return err
	}
	return w.DB.Apply(ctx, w.lease, changes, w.plan.Counts)
}

// count enters a complete listing in the ledger.
func (w *writer) count(c *complete) {
	l := &w.lease.Sync.Ledger
	l.ManifestsRead += c.manifests
	if c.back {
		l.RepositoriesListed++
		w.plan.Unlisted = c.staged.Path
	}
	if c.staged.Vanished != store.InCatalogue {
		return
	}
	l.RepositoriesRead++
	l.RowsListed += c.listed
	l.TagsRead += c.found.tags
	l.ImagesSeen += len(c.found.images)
	l.DuplicateTags += c.found.duplicates
	l.Accessories += c.found.accessories
	l.OtherArtifacts += c.found.others
}
