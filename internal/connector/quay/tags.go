package quay

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

const (
	// maxSweeps is how often the news of a long list are read.
	maxSweeps = 10
	// maxVain is how many pages of a long list may bring nothing new.
	maxVain = 200
	// skew is how far the clocks of Quay's own servers may differ, in seconds.
	skew = 60
)

// snapshot lists a repository with one answer, and reports false if it has so
// many tags that the answer may be cut.
func (r *reading) snapshot(ctx context.Context) (bool, error) {
	path, err := r.repository(r.listing.Repository.Path)
	if err != nil {
		return false, err
	}
	c := call{path: path, query: url.Values{"includeTags": {"true"}, "includeStats": {"false"}}, doing: r.doing("listing the tags of")}
	var a repositoryAnswer
	if err := r.get(ctx, r.organisation, c, connector.MaxList, &a); err != nil {
		return false, err
	}
	switch {
	case !a.Tags.there || a.path() != r.listing.Repository.Path:
		return false, r.unexpected(c)
	case a.State == stateDeleting:
		err := connector.Errorf(portolan.ServerFailure, "%s is deleting %s.", r.base.Host, a.path())
		err.Err = connector.ErrNotExist
		return false, err
	}
	if len(a.Tags.value) >= r.atOnce {
		return false, nil
	}
	tags := make([]tag, 0, len(a.Tags.value))
	for name, t := range a.Tags.value {
		t.Name = name
		tags = append(tags, t)
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.Name, b.Name) })
	return true, r.take(ctx, tags, func(int) string { return "" })
}

// walk goes through a list of tags that is too long for one answer. Quay sorts
// it by the beginning of the tags, newest first, and pages are offsets into
// it, so it moves while it is read:
//
//   - A tag that is deleted lets all behind it move up, so that one could slip
//     behind a page that is already read. Therefore each page begins, at the
//     latest, with the last row of the one before; if its first row is not
//     known, the walk steps back.
//   - A tag that is pushed or moved goes to the front, so that one could be
//     missed altogether. Therefore the front is read again, as far down as what
//     is newer than the walk, until it is what it was.
type walk struct {
	*reading
	seen map[string]portolan.Digest
	// head is the newest tag when the sweep began.
	head tag
	// last is the index of the last row that was read, end that of the first
	// sweep's, from which the list can be gone on with.
	last, end int
	// vain counts the pages that brought nothing new.
	vain    int
	resumed bool
}

// long lists a repository page by page, after the cursor of an earlier row.
func (r *reading) long(ctx context.Context) error {
	w := &walk{reading: r, seen: map[string]portolan.Digest{}}
	w.resumed = w.resume(r.listing.Resume)
	pages, err := w.sweep(ctx, w.last, 0)
	if err != nil || pages == 1 && !w.resumed {
		return err
	}
	for range maxSweeps {
		before := w.head
		pages, err = w.sweep(ctx, 0, max(before.Start-skew, 1))
		if err != nil || pages == 1 || w.head.Name == before.Name && w.head.Start == before.Start {
			return err
		}
	}
	return r.truncated(r.page(1, 1), "kept changing")
}

// sweep reads from an index to the end, or to the first tag that began before
// until, and answers how many pages that took.
func (w *walk) sweep(ctx context.Context, from int, until int64) (pages int, err error) {
	back := w.tagPage
	for w.last = from; pages < maxPages && w.vain <= maxVain; {
		limit, number := covering(w.last, w.tagPage)
		offset := limit * (number - 1)
		a, err := w.read(ctx, limit, number)
		if err != nil {
			return pages, err
		}
		tags := a.Tags.value
		if offset > 0 && (len(tags) == 0 || !w.knows(&tags[0])) {
			w.vain++
			w.last = max(0, w.last-back)
			back *= 2
			continue
		}
		pages++
		back = w.tagPage
		old := slices.IndexFunc(tags, func(t tag) bool { return t.Start < until })
		if old >= 0 {
			tags = tags[:old]
		}
		if err := w.visit(ctx, tags, offset, until); err != nil {
			return pages, err
		}
		if old >= 0 || !*a.More {
			w.end = max(w.end, w.last)
			return pages, nil
		}
		if last := offset + len(tags) - 1; last > w.last || pages == 1 && len(tags) > 0 {
			w.last = last
			continue
		}
		break
	}
	return pages, w.truncated(w.page(1, 1), "kept changing or has no end")
}

// covering answers the page that has the row with an index in it and reaches
// furthest beyond: its size, size at most, and its number, from 1.
func covering(index, size int) (limit, number int) {
	end := 0
	for l := size; l > 0; l-- {
		if n := index/l + 1; n*l > end {
			limit, number, end = l, n, n*l
		}
	}
	return limit, number
}

func (r *reading) page(limit, number int) call {
	path, _ := r.repository(r.listing.Repository.Path) // was made before
	return call{
		path:  path + "/tag/",
		query: url.Values{"limit": {strconv.Itoa(limit)}, "page": {strconv.Itoa(number)}, "onlyActiveTags": {"true"}},
		doing: r.doing("listing the tags of"),
	}
}

func (r *reading) read(ctx context.Context, limit, number int) (tagList, error) {
	var a tagList
	c := r.page(limit, number)
	err := r.get(ctx, r.organisation, c, connector.MaxList, &a)
	if err == nil && (!a.Tags.there || a.More == nil) {
		err = r.unexpected(c)
	}
	return a, err
}

// visit takes the tags of a page that were not listed before. In the front,
// which is read again, a row does not tell where to go on from.
func (w *walk) visit(ctx context.Context, tags []tag, offset int, until int64) error {
	if offset == 0 && len(tags) > 0 {
		w.head = tags[0]
	}
	var fresh []tag
	var cursors []string
	for i := range tags {
		_, listed := w.digestOf(tags[i].Name)
		w.seen[tags[i].Name] = tags[i].digest()
		if listed {
			continue
		}
		at := offset + i
		if until > 0 {
			at = w.end
		}
		fresh = append(fresh, tags[i])
		cursors = append(cursors, fmt.Sprintf("%d %d %s", at, w.head.Start, w.head.Name))
	}
	if len(fresh) == 0 {
		w.vain++
	}
	return w.take(ctx, fresh, func(i int) string { return cursors[i] })
}

// knows reports whether a row has been read.
func (w *walk) knows(t *tag) bool {
	d, ok := w.digestOf(t.Name)
	return ok && d == t.digest()
}

// digestOf is the digest that a tag was last seen with, by this walk or by the
// one that it goes on with, whose rows count.
func (w *walk) digestOf(name string) (portolan.Digest, bool) {
	d, ok := w.seen[name]
	if !ok && w.resumed {
		return w.listing.Known.Resolved(name)
	}
	return d, ok
}

// resume reads a cursor; anything that is none is the start.
func (w *walk) resume(cursor string) bool {
	index, rest, _ := strings.Cut(cursor, " ")
	start, name, _ := strings.Cut(rest, " ")
	last, err1 := strconv.Atoi(index)
	begun, err2 := strconv.ParseInt(start, 10, 64)
	if cmp.Or(err1, err2) != nil || last < 0 || last >= maxPages*tagPage || begun < 0 {
		return false
	}
	w.last, w.end, w.head = last, last, tag{Name: name, Start: begun}
	return true
}
