package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

const (
	// firstReaders list repositories at once: as many as requests are under way
	// at once. Each that was quick is joined by another, up to readers, so that
	// no request waits for a listing that is handed over or asks the store; of
	// those that joined, one that was slow leaves. Where a listing takes long, few
	// are under way: one that the end of the slice cuts short before its first row
	// begins anew.
	firstReaders = connector.DefaultConcurrent
	readers      = 4 * firstReaders
	quickListing = time.Second
	todoBatch    = 1_000
	// handedOver bounds the rows that wait to be written, but for one listing
	// that has more, and for what each reader has in hand.
	handedOver = 4_000
	// fatalInRow is how many repositories in a row may fail because the
	// registry cannot be reached, before the rest is not tried any more.
	fatalInRow = 5
)

// task is a repository, or the repositories of a group, to be listed.
type task struct {
	group string
	list  []store.StagedRepository
}

// listed is a task with what came of it.
type listed struct {
	task
	listing *connector.Listing
	rows    []connector.Row
	// resolved are the rows of before an interruption.
	resolved int
	err      error
}

// weight is the listing's part of what may wait to be written. Failures weigh
// more: a registry that is down must not be asked for much before that is
// noticed.
func (l *listed) weight() int64 {
	if l.err != nil {
		return handedOver / fatalInRow
	}
	return int64(min(1+len(l.rows), handedOver))
}

// read lists every staged repository with some readers at once, while one
// goroutine writes what they found.
func (r *reading) read(ctx context.Context) error {
	for !r.over() {
		if err := r.waitForPutOff(ctx); err != nil {
			return err
		}
		tasks, err := r.tasks(ctx)
		if err != nil {
			return err
		}
		if len(tasks) == 0 {
			return nil
		}
		if err := r.readAll(ctx, tasks); err != nil {
			return err
		}
	}
	return errPause
}

// tasks plans the next tasks: groups that are small enough are listed at once.
func (r *reading) tasks(ctx context.Context) ([]task, error) {
	if _, ok := r.opened.Source.(connector.BulkLister); ok && r.probed.Bulk && r.plan.Stalled == 0 && !r.grouped && !r.hinted() {
		r.grouped = true // what is not listed in bulk now, never is in this slice
		if tasks, err := r.bulkTasks(ctx); err != nil || len(tasks) > 0 {
			return tasks, err
		}
	}
	todo, err := r.DB.TodoRepositories(ctx, r.lease, todoBatch)
	if err != nil {
		return nil, err
	}
	tasks, paths := make([]task, len(todo)), make([]string, len(todo))
	for i := range todo {
		tasks[i], paths[i] = task{list: todo[i : i+1]}, todo[i].Path
	}
	if a, ok := r.opened.Source.(connector.Announcer); ok {
		a.Announce(paths)
	}
	return tasks, nil
}

func (r *reading) bulkTasks(ctx context.Context) ([]task, error) {
	groups, err := r.DB.TodoGroups(ctx, r.lease)
	if err != nil {
		return nil, err
	}
	var tasks []task
	for _, g := range groups {
		if !g.Untouched || g.Expect > connector.MaxBulk || g.Expect == 0 || r.bulkFailed[g.Name] {
			continue
		}
		list, err := r.DB.GroupRepositories(ctx, r.lease, g.Name)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, task{group: g.Name, list: list})
	}
	return tasks, nil
}

// readAll runs the tasks. It answers an error only when the slice is over or
// the reading cannot go on.
func (r *reading) readAll(ctx context.Context, tasks []task) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	todo, done := make(chan task), make(chan listed, min(len(tasks), handedOver))
	waiting := semaphore.NewWeighted(handedOver)
	var wg sync.WaitGroup
	extra := semaphore.NewWeighted(readers - firstReaders)
	var read func(first bool)
	read = func(first bool) {
		for t := range todo {
			began := r.Now()
			l := r.list1(ctx, t)
			quick := r.Now().Sub(began) < quickListing
			if quick && l.err == nil && extra.TryAcquire(1) {
				wg.Go(func() { read(false) })
			}
			_ = waiting.Acquire(context.WithoutCancel(ctx), l.weight()) // what was read is never dropped
			done <- l
			if !quick && !first {
				extra.Release(1)
				return
			}
		}
	}
	for range firstReaders {
		wg.Go(func() { read(true) })
	}
	w := &writer{reading: r}
	go func() {
		defer close(done)
		r.feed(ctx, tasks, todo)
		wg.Wait()
	}()
	// Everything that the readers hand over is written or staged, also after
	// the end of the slice.
	saving, stop := context.WithTimeout(context.WithoutCancel(ctx), r.left()+hardMargin+saveTimeout)
	defer stop()
	for l := range done {
		if err := w.take(saving, ctx, l); err != nil && w.err == nil {
			w.err = err
			cancel(err)
		}
		waiting.Release(l.weight())
	}
	if err := w.flush(saving); err != nil && w.err == nil {
		w.err = err
	}
	return w.err
}

func (r *reading) feed(ctx context.Context, tasks []task, todo chan<- task) {
	defer close(todo)
	for _, t := range tasks {
		if r.over() {
			return
		}
		select {
		case todo <- t:
		case <-ctx.Done():
			return
		}
	}
}

// list1 lists one task's rows.
func (r *reading) list1(ctx context.Context, t task) listed {
	l := listed{task: t, listing: &connector.Listing{Announced: -1}}
	l.listing.Known = unresolved{r, l.listing}
	defer r.learnt.release(l.listing)
	r.inquiry.listings.Add(1)
	defer r.inquiry.listings.Add(-1)
	if t.group != "" {
		expect := 0
		for _, staged := range t.list {
			expect += staged.Expect
		}
		l.listing.Repository = connector.Repository{Group: t.group, Path: t.group, Expect: expect}
		l.err = l.collect(ctx, r, r.opened.Source.(connector.BulkLister).GroupImages(ctx, l.listing))
		return l
	}
	staged := t.list[0]
	if staged.Vanished == store.OutOfScope {
		return l
	}
	l.listing.Repository = connector.Repository{
		Path: staged.Path, Group: staged.Group, Expect: staged.Expect, Fingerprint: staged.Fingerprint, Visibility: staged.Visibility,
	}
	if err := l.resume(ctx, r, staged); err != nil {
		l.err = err
		return l
	}
	l.err = l.collect(ctx, r, r.opened.Source.Images(ctx, l.listing))
	return l
}

// collect takes the rows until the list or the slice ends.
func (l *listed) collect(ctx context.Context, r *reading, rows iter.Seq2[connector.Row, error]) error {
	for row, err := range rows {
		if err != nil {
			return err
		}
		if row.Err != nil && passing(ctx, row.Err) {
			return row.Err
		}
		checkRow(&row)
		r.learnt.add(&row)
		l.rows = append(l.rows, row)
		if r.over() {
			return errPause
		}
	}
	return ctx.Err()
}

// resume loads the rows of an interrupted listing: to go on after them, or, for
// a source that lists anew, to spare it what it has resolved.
func (l *listed) resume(ctx context.Context, r *reading, staged store.StagedRepository) error {
	if staged.Listed == 0 { // as for most
		return nil
	}
	contents, err := r.DB.StagedRows(ctx, r.lease, staged.Path)
	if err != nil || len(contents) == 0 {
		return err
	}
	l.resolved = len(contents)
	tags := map[string]portolan.Digest{}
	for _, content := range contents {
		var kept stagedRow
		if err := json.Unmarshal(content, &kept); err != nil {
			return fmt.Errorf("read a staged row of %s: %w", staged.Path, err)
		}
		row := kept.row()
		for _, t := range row.Tags {
			tags[t.Name] = row.Digest
		}
		r.learnt.add(&row)
		if staged.Resume != "" {
			l.rows = append(l.rows, row)
		}
	}
	l.listing.Known = resolved{unresolved{r, l.listing}, tags}
	l.listing.Resume = staged.Resume
	if staged.Resume != "" {
		l.listing.Listed = staged.Listed
	}
	return nil
}

// unresolved is Known for a listing that starts anew.
type unresolved struct {
	r       *reading
	listing *connector.Listing
}

const factsBatch = 200

func (u unresolved) Facts(ctx context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	known, err := u.r.learnt.of(ctx, u.listing, digests)
	if err != nil {
		return nil, err
	}
	digests = slices.DeleteFunc(slices.Clone(digests), func(d portolan.Digest) bool { return known[d].Complete() })
	if len(digests) == 0 {
		return known, nil
	}
	found, err := u.r.inquiry.ask(ctx, digests, u.r.facts)
	if err != nil {
		return nil, err
	}
	for _, d := range digests {
		if f, ok := found[d]; ok {
			known[d] = f
		}
	}
	u.r.learnt.known(u.listing, known)
	return known, nil
}

// facts looks up what the store knows of digests.
func (r *reading) facts(ctx context.Context, digests []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	found := map[portolan.Digest]connector.Facts{}
	for part := range slices.Chunk(digests, factsBatch) {
		list, err := r.DB.Manifests(ctx, r.lease.Sync.AccountID, part)
		if err != nil {
			return nil, fmt.Errorf("look up known manifests: %w", err)
		}
		for _, m := range list {
			found[m.Digest] = factsOf(m)
		}
	}
	return found, nil
}

func (unresolved) Resolved(string) (portolan.Digest, bool) { return "", false }

// resolved is Known for a listing that was interrupted.
type resolved struct {
	unresolved
	tags map[string]portolan.Digest
}

func (k resolved) Resolved(tag string) (portolan.Digest, bool) {
	d, ok := k.tags[tag]
	return d, ok
}

func factsOf(m store.Manifest) connector.Facts {
	return connector.Facts{
		Kind: m.Kind, MediaType: m.MediaType, ArtifactType: m.ArtifactType, ImageID: m.ImageID,
		Size: m.Size, Created: m.Created, Subject: m.Subject, Platforms: m.Platforms,
	}
}

// fatal reports whether an error says something of the registry as a whole.
func fatal(err error) bool {
	switch connector.ClassOf(err) {
	case portolan.DNSFailure, portolan.ConnectFailure, portolan.TLSFailure, portolan.AddressForbidden, portolan.NetworkUnavailable, portolan.BadCredentials:
		_, ok := errors.AsType[*connector.Error](err)
		return ok
	default:
		return false
	}
}
