package oci

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"time"

	"portolan"
	"portolan/internal/connector"
)

const (
	// workers is how many requests are under way, where few repositories are
	// listed at once.
	workers = 4
	// A chunk of tags is read before its rows are yielded. It grows while the
	// registry is quick and shrinks while it is slow, so that a reading that
	// is cut short has always got somewhere.
	minChunk, maxChunk = 4, 256
	quick, slow        = time.Second, 4 * time.Second
)

// reading is the reading of one repository.
type reading struct {
	*source
	listing   *connector.Listing
	doer      connector.Doer
	manifests atomic.Int64
	// digests are those of all tags if a list told them.
	digests map[string]portolan.Digest
	gone    []string
	failed  int
}

// Images implements connector.Source: a row for each tag. A tag that was
// deleted between the listing and its reading is no row: when the registry
// says that it does not know a tag, the list is read once more, and what is
// not in it any more is not counted as listed; what still is, is a failed row.
func (s *source) Images(ctx context.Context, l *connector.Listing) iter.Seq2[connector.Row, error] {
	return func(yield func(connector.Row, error) bool) {
		r := &reading{source: s, listing: l, doer: s.auth.Pull(l.Repository.Path)}
		l.Announced = -1
		err := r.run(ctx, yield)
		l.Truncated = errors.Is(err, connector.ErrTruncated)
		if err != nil && !errors.Is(err, errStopped) {
			yield(connector.Row{}, err)
		}
	}
}

func (r *reading) run(ctx context.Context, yield func(connector.Row, error) bool) error {
	pages, err := r.pages(ctx)
	if err != nil {
		return err
	}
	size := int(r.chunkSize.Load())
	for page, err := range pages {
		if err != nil {
			return err
		}
		r.listing.Listed += len(page)
		for len(page) > 0 {
			n, open := r.cut(page, size)
			started := r.now()
			if err := r.chunk(ctx, page[:n], yield); err != nil {
				return err
			}
			if page = page[n:]; open > 0 {
				size = nextChunk(size, open, r.now().Sub(started))
				r.chunkSize.Store(int64(size)) // the next repository's, too
			}
		}
	}
	return r.confirmGone(ctx, yield)
}

// pages are the tags of the repository.
func (r *reading) pages(ctx context.Context) (iter.Seq2[[]string, error], error) {
	searched, ok, err := r.searched(ctx, r.listing.Repository.Path)
	if err != nil {
		return nil, err
	}
	if ok {
		r.digests = searched.digests
		return func(yield func([]string, error) bool) { yield(searched.names, nil) }, nil
	}
	tags, err := r.tags()
	if err != nil {
		return nil, err
	}
	return tags.pages(ctx, ""), nil
}

func (r *reading) tags() (*list, error) {
	u, err := r.repository(r.listing.Repository.Path, "tags", "list")
	if err != nil {
		return nil, err
	}
	return newList(r.doer, u, &r.tagPage, tagNames), nil
}

// cut answers how many tags are the next chunk, and how many of them are not
// resolved yet: size at most.
func (r *reading) cut(page []string, size int) (n, open int) {
	for n < min(len(page), maxChunk) && open < size {
		if _, ok := r.listing.Known.Resolved(page[n]); !ok {
			open++
		}
		n++
	}
	return n, open
}

// nextChunk learns from a chunk of open tags: one that was not full shows only
// that the registry is slow.
func nextChunk(size, open int, took time.Duration) int {
	switch {
	case took < quick && open >= size:
		return min(size*2, maxChunk)
	case took > slow:
		return max(size/2, minChunk)
	}
	return size
}

// chunk reads some tags and yields their rows, also those that were complete
// when something ended the reading.
func (r *reading) chunk(ctx context.Context, tags []string, yield func(connector.Row, error) bool) error {
	list := make([]found, len(tags))
	err := r.crew.Each(ctx, len(tags), func(ctx context.Context, i int) error {
		list[i] = r.resolve(ctx, tags[i])
		return connector.FatalOnly(list[i].err)
	})
	if err == nil {
		err = r.addFacts(ctx, list)
	}
	if err == nil {
		err = r.askAgain(ctx, list)
	}
	r.listing.ManifestsRead += int(r.manifests.Swap(0))
	for i := range list {
		if err := r.yield(&list[i], err != nil, yield); err != nil {
			return err
		}
	}
	return err
}

// yield yields the row of a tag. In a reading that was cut short, what is not
// complete is left for the next one.
func (r *reading) yield(f *found, cut bool, yield func(connector.Row, error) bool) error {
	if f.gone {
		r.gone = append(r.gone, f.tag)
		return nil
	}
	row := connector.Row{Digest: f.digest, Tags: []connector.Tag{{Name: f.tag}}, Facts: f.facts, Err: f.err}
	if f.err == nil && !row.Complete() {
		if !connector.AccessoryTag(f.tag) {
			return nil // only in a reading that was cut short
		}
		row.Facts = connector.Facts{Kind: portolan.KindAccessory}
	}
	if cut && f.err != nil && connector.Fatal(f.err) {
		return nil
	}
	if f.err != nil {
		r.failed++
		row.Err = connector.AboutTag(f.tag, f.err)
	}
	if !yield(row, nil) {
		return errStopped
	}
	if r.failed > connector.MaxFailedRows {
		return connector.TooManyFailed(r.listing.Repository.Path, row.Err)
	}
	return nil
}

// addFacts completes what was found with what is known of its digests, and
// reads the manifests of the others. A digest that has only accessory tags
// needs none.
func (r *reading) addFacts(ctx context.Context, list []found) error {
	wanted := r.wanted(list)
	if len(wanted) == 0 {
		return nil
	}
	known, err := r.listing.Known.Facts(ctx, wanted)
	if err != nil {
		return err
	}
	facts := make([]connector.Facts, len(wanted))
	errs := make([]error, len(wanted))
	err = r.crew.Each(ctx, len(wanted), func(ctx context.Context, i int) error {
		var ok bool
		if facts[i], ok = known[wanted[i]]; !ok {
			facts[i], errs[i] = r.read(ctx, wanted[i])
		}
		return connector.FatalOnly(errs[i])
	})
	at := make(map[portolan.Digest]int, len(wanted))
	for i, d := range wanted {
		at[d] = i
	}
	for i := range list {
		if at, ok := at[list[i].digest]; ok && list[i].err == nil && !list[i].facts.Complete() {
			list[i].facts, list[i].err = facts[at], errs[at]
		}
	}
	return err
}

// askAgain asks for the tags themselves whose manifests are gone: a list told
// their digests, and they may have been moved or deleted since.
func (r *reading) askAgain(ctx context.Context, list []found) error {
	if r.digests == nil {
		return nil
	}
	return r.crew.Each(ctx, len(list), func(ctx context.Context, i int) error {
		if f := &list[i]; errors.Is(f.err, connector.ErrNotExist) {
			*f = r.resolveByGet(ctx, f.tag)
		}
		return connector.FatalOnly(list[i].err)
	})
}

// wanted are the digests whose facts are needed, each once.
func (r *reading) wanted(list []found) []portolan.Digest {
	var wanted []portolan.Digest
	seen := map[portolan.Digest]bool{}
	for i := range list {
		f := &list[i]
		if f.err != nil || f.gone || f.facts.Complete() || seen[f.digest] || connector.AccessoryTag(f.tag) {
			continue
		}
		seen[f.digest] = true
		wanted = append(wanted, f.digest)
	}
	return wanted
}

// confirmGone reads the list again if tags were gone when they were read.
func (r *reading) confirmGone(ctx context.Context, yield func(connector.Row, error) bool) error {
	if len(r.gone) == 0 {
		return nil
	}
	again, err := r.tags()
	if err != nil {
		return err
	}
	for _, err := range again.pages(ctx, "") {
		if err != nil {
			return err
		}
	}
	for _, tag := range r.gone {
		if !again.seen[tag] {
			r.listing.Listed--
			continue
		}
		err := connector.Errorf(portolan.ServerFailure, "%s lists the tag %q of %s, but has no manifest for it.", r.base.Host, tag, r.listing.Repository.Path).
			WithRemedy("Delete the tag or push it again.")
		if !yield(connector.Row{Tags: []connector.Tag{{Name: tag}}, Err: err}, nil) {
			return errStopped
		}
	}
	return nil
}
