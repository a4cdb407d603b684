package inventory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

const (
	stageBatch = 500
	// rotation is after how long a repository is read again whatever the
	// hints say.
	rotation = 24 * time.Hour
	// feedSlack is how much the feed is asked to overlap: clocks differ.
	feedSlack = 5 * time.Minute
	// maxHints is the number of changed repositories past which skipping the
	// others is not worth it.
	maxHints = 5_000
)

// catalogue lists the repositories into the staging area.
func (r *reading) catalogue(ctx context.Context) error {
	if err := r.list(ctx); err != nil {
		return err
	}
	if r.plan.Incomplete != nil {
		r.plan.Counts = false
		l := &r.lease.Sync.Ledger
		l.AddIssue(*r.plan.Incomplete)
		if l.RepositoriesListed == 0 {
			return r.endNow(ctx, *r.plan.Incomplete)
		}
		return nil
	}
	if err := r.skipRead(ctx); err != nil {
		return err
	}
	return r.skipUnchanged(ctx)
}

func (r *reading) list(ctx context.Context) error {
	var batch []store.StagedRepository
	cursor := r.plan.Cursor
	for repository, err := range r.opened.Source.Repositories(ctx, r.plan.Cursor) {
		if err != nil {
			// What is listed is staged also after the end of the slice.
			saving, stop := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
			defer stop()
			if e := r.stage(saving, batch, cursor); e != nil {
				return errors.Join(err, e)
			}
			return r.cut(ctx, err)
		}
		if portolan.Printable(repository.Cursor) {
			cursor = repository.Cursor
		}
		if staged, ok := stagedOf(&repository); portolan.ExcludesPath(r.source.Registry.Extra.Excludes, repository.Path) {
			r.ran = true
		} else if !ok {
			r.refuse(repository.Path)
		} else {
			batch = append(batch, staged)
		}
		if len(batch) < stageBatch && !r.over() {
			continue
		}
		if err := r.stage(ctx, batch, cursor); err != nil {
			return err
		}
		batch = batch[:0]
		if r.over() {
			return errPause
		}
	}
	return r.stage(ctx, batch, cursor)
}

// cut ends the listing of the catalogue with an error: what is listed is read,
// but nothing can be said of what is not.
func (r *reading) cut(ctx context.Context, err error) error {
	if passing(ctx, err) {
		return err
	}
	e, ok := errors.AsType[*connector.Error](err)
	if !ok {
		return fmt.Errorf("list the repositories: %w", err)
	}
	r.plan.Incomplete = &portolan.Issue{Step: "catalogue", Code: e.Class, Message: describe(e)}
	return nil
}

func (r *reading) stage(ctx context.Context, batch []store.StagedRepository, cursor string) error {
	r.plan.Cursor = cursor
	if err := r.pack(); err != nil {
		return err
	}
	if len(batch) == 0 {
		return nil
	}
	added, err := r.DB.StageRepositories(ctx, r.lease, batch)
	if err != nil {
		return fmt.Errorf("stage the catalogue: %w", err)
	}
	r.ran = r.ran || added > 0
	return nil
}

// skipUnchanged leaves out the repositories that the source proves unchanged
// since the last reading in which all was well.
func (r *reading) skipUnchanged(ctx context.Context) error {
	feed, ok := r.opened.Source.(connector.ChangeFeed)
	if !ok || !r.probed.Feed || r.lease.Sync.Full {
		return nil
	}
	last, err := r.lastGood(ctx)
	if err != nil || last == nil {
		return err
	}
	changed, proven, err := feed.Changes(ctx, last.Started.Add(-feedSlack))
	if err != nil && passing(ctx, err) {
		return err
	}
	if err != nil {
		r.Log.InfoContext(ctx, "the registry does not tell what changed; everything is read", "registry", r.lease.Sync.RegistryID, "error", err)
	}
	if err != nil || !proven || len(changed) > maxHints {
		return nil // an unproven feed is no feed: everything is read
	}
	if err := r.pack(); err != nil {
		return err
	}
	_, err = r.DB.SkipUnchanged(ctx, r.lease, r.Now().Add(-rotation), changed)
	return err
}

// lastGood is the registry's last reading if all was well in it.
func (r *reading) lastGood(ctx context.Context) (*portolan.Sync, error) {
	const enough = 2
	list, err := r.DB.WholeSyncs(ctx, r.lease.Sync.AccountID, r.lease.Sync.RegistryID, enough)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(s *portolan.Sync) bool { return !s.Ended.IsZero() })
	if i < 0 || list[i].Status != portolan.SyncOK {
		return nil, nil
	}
	return list[i], nil
}

// vanished stages the repositories that the registry had and that a complete
// catalogue lacks: each is asked for its own answer.
func (r *reading) vanished(ctx context.Context) error {
	if r.plan.Incomplete != nil {
		return nil
	}
	for {
		paths, err := r.DB.MissingRepositories(ctx, r.lease, r.plan.Cursor, stageBatch)
		if err != nil || len(paths) == 0 {
			return err
		}
		batch := make([]store.StagedRepository, len(paths))
		for i, path := range paths {
			batch[i] = store.StagedRepository{Path: path, Expect: -1, Vanished: store.Vanished}
			if !r.source.Registry.Extra.Reads(path) {
				batch[i].Vanished = store.OutOfScope
			}
		}
		r.plan.Cursor = paths[len(paths)-1]
		if err := r.pack(); err != nil {
			return err
		}
		if _, err := r.DB.StageRepositories(ctx, r.lease, batch); err != nil {
			return fmt.Errorf("stage the vanished repositories: %w", err)
		}
		r.ran = true
		if r.over() {
			return errPause
		}
	}
}
