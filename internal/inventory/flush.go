package inventory

import (
	"context"
	"fmt"

	"portolan"
	"portolan/internal/store"
)

// flush writes the listings that are ready.
func (w *writer) flush(ctx context.Context) error {
	ready := w.ready
	w.ready, w.rows = nil, 0
	if len(ready) == 0 {
		return nil
	}
	kept, history, err := w.known(ctx, ready)
	if err != nil {
		return err
	}
	var small []applied
	rows, most := 0, w.DB.Room()
	for i := range ready {
		change := w.change(&ready[i], kept[ready[i].staged.Path], history)
		a := applied{change, &ready[i]}
		if change.Rows() > most {
			if err := w.applyParts(ctx, a); err != nil {
				return err
			}
			continue
		}
		if rows += change.Rows(); rows > most && len(small) > 0 {
			if err := w.apply(ctx, small...); err != nil {
				return err
			}
			small, rows = nil, change.Rows()
		}
		small = append(small, a)
	}
	if len(small) > 0 {
		if err := w.apply(ctx, small...); err != nil {
			return err
		}
	}
	for i := range ready {
		w.learnt.forget(&ready[i].found)
	}
	w.ran = true
	return nil
}

// known loads what the store has of repositories, and what it remembers of
// images that are back.
func (w *writer) known(ctx context.Context, ready []complete) (map[string]*store.Kept, map[store.Former]store.History, error) {
	paths := make([]string, len(ready))
	for i := range ready {
		paths[i] = ready[i].staged.Path
	}
	kept, err := w.DB.Keep(ctx, w.lease, paths)
	if err != nil {
		return nil, nil, fmt.Errorf("load what is known: %w", err)
	}
	var fresh []store.Former
	for i := range ready {
		if k := kept[ready[i].staged.Path]; k != nil {
			fresh = append(fresh, newTo(k, &ready[i].found)...)
		}
	}
	history, err := w.DB.Histories(ctx, w.lease.Sync.AccountID, fresh)
	if err != nil {
		return nil, nil, fmt.Errorf("look up the history of images: %w", err)
	}
	return kept, history, nil
}

// newTo are the images that a listing has and the store has not.
func newTo(kept *store.Kept, f *found) []store.Former {
	have := make(map[portolan.Digest]bool, len(kept.Images))
	for i := range kept.Images {
		have[kept.Images[i].Digest] = true
	}
	var fresh []store.Former
	for digest := range f.images {
		if !have[digest] {
			fresh = append(fresh, store.Former{RepositoryID: kept.ID, Digest: digest})
		}
	}
	return fresh
}

// change is what a complete listing changes.
func (w *writer) change(c *complete, kept *store.Kept, history map[store.Former]store.History) store.Change {
	if kept == nil {
		kept = &store.Kept{}
	}
	change := diff(&c.found, kept, history, w.Now())
	change.Staged, change.State = c.staged, store.StagedDone
	if c.staged.Vanished != store.InCatalogue || w.hinted() && c.listed == 0 { // an event alone makes no repository
		change.Make = false
	}
	if c.staged.Vanished == store.OutOfScope {
		change.Drop, change.Lack = change.Lack, nil
	}
	w.noteLacking(kept, change.Lack)
	return change
}
