package inventory

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

// found is what a listing of one repository came to.
type found struct {
	images    map[portolan.Digest]*connector.Row // merged rows of images
	artifacts map[portolan.Digest]*connector.Row
	// counts of rows by what became of them
	duplicates, accessories, others, failed, tags int
	firstErr                                      error
}

// judge merges the rows of a repository by digest and decides what each is.
// It counts every row exactly once.
func judge(rows []connector.Row) found {
	f := found{images: map[portolan.Digest]*connector.Row{}, artifacts: map[portolan.Digest]*connector.Row{}}
	merged := map[portolan.Digest]*connector.Row{}
	count := map[portolan.Digest]int{}
	for i := range rows {
		r := &rows[i]
		f.tags += len(r.Tags)
		if r.Err != nil {
			f.failed++
			if f.firstErr == nil {
				f.firstErr = r.Err
			}
			continue
		}
		count[r.Digest]++
		if first := merged[r.Digest]; first != nil {
			merge(first, r)
			continue
		}
		clone := *r
		clone.Tags = slices.Clone(r.Tags)
		merged[r.Digest] = &clone
	}
	for digest, r := range merged {
		f.place(digest, r, count[digest])
	}
	return f
}

func merge(into, r *connector.Row) {
	into.Tags = append(into.Tags, r.Tags...)
	if into.MediaType == "" {
		into.Facts = r.Facts
	}
	if into.Pushed.IsZero() || !r.Pushed.IsZero() && r.Pushed.Before(into.Pushed) {
		into.Pushed = r.Pushed
	}
}

func (f *found) place(digest portolan.Digest, r *connector.Row, rows int) {
	slices.SortFunc(r.Tags, func(a, b portolan.Tag) int { return strings.Compare(a.Name, b.Name) })
	r.Tags = slices.CompactFunc(r.Tags, func(a, b portolan.Tag) bool { return a.Name == b.Name })
	switch connector.Judge(r.Tags, r.Facts) {
	case portolan.KindImage:
		f.images[digest] = r
		f.duplicates += rows - 1
	case portolan.KindAccessory:
		f.artifacts[digest] = r
		f.accessories += rows
	default:
		f.artifacts[digest] = r
		f.others += rows
	}
}

// diff compares a complete listing with what the store has. Where the source
// tells no time of a tag, the time when it was first seen on this digest
// stands for it.
func diff(f *found, kept *store.Kept, history map[store.Former]store.History, now time.Time) store.Change {
	c := store.Change{Make: true, RepositoryID: kept.ID}
	have := make(map[portolan.Digest]*store.KeptImage, len(kept.Images))
	for i := range kept.Images {
		have[kept.Images[i].Digest] = &kept.Images[i]
	}
	for digest, row := range f.images {
		old := have[digest]
		delete(have, digest)
		image := toImage(row, old, now)
		switch {
		case old == nil:
			if h, ok := history[store.Former{RepositoryID: kept.ID, Digest: digest}]; ok {
				image.UUID, image.FirstSeen = h.UUID, h.FirstSeen
			}
			c.Insert = append(c.Insert, image)
		case same(&old.Image, &image):
			if old.Lacks > 0 {
				c.Seen = append(c.Seen, old.RowID)
			}
		default:
			c.Replace = append(c.Replace, old.RowID)
			c.Versions = append(c.Versions, image)
		}
	}
	for _, old := range have {
		c.Lack = append(c.Lack, old.RowID)
	}
	diffArtifacts(&c, f, kept)
	return c
}

// kept reports whether the store keeps what the manifest of an artifact says. A
// tag alone can make an accessory: of one whose manifest was not read, or is an
// image's, nothing is remembered.
func kept(row *connector.Row) bool { return row.Complete() && row.Kind != portolan.KindImage }

func diffArtifacts(c *store.Change, f *found, have *store.Kept) {
	for digest, row := range f.artifacts {
		if !have.Artifacts[digest] && kept(row) {
			c.Artifacts = append(c.Artifacts, store.Manifest{
				Digest: digest, Kind: row.Kind, MediaType: row.MediaType, ArtifactType: row.ArtifactType, Subject: row.Subject, Size: row.Size,
			})
		}
	}
	for digest := range have.Artifacts {
		if f.artifacts[digest] == nil {
			c.DropArtifacts = append(c.DropArtifacts, digest)
		}
	}
}

func toImage(row *connector.Row, old *store.KeptImage, now time.Time) portolan.Image {
	i := portolan.Image{
		Digest: row.Digest, Tags: row.Tags, MediaType: row.MediaType, ArtifactType: row.ArtifactType, ImageID: row.ImageID,
		Size: row.Size, Platforms: row.Platforms, Created: row.Created, Pushed: row.Pushed, FirstSeen: now,
	}
	times := map[string]time.Time{}
	if old != nil {
		i.UUID, i.FirstSeen = old.UUID, old.FirstSeen
		for _, t := range old.Tags {
			times[t.Name] = t.Pushed
		}
	} else {
		i.UUID = uuid.Must(uuid.NewV7()).String()
	}
	for k := range i.Tags {
		if i.Tags[k].Pushed.IsZero() {
			i.Tags[k].Pushed = orTime(times[i.Tags[k].Name], now)
		}
		i.Tags[k].Pushed = i.Tags[k].Pushed.Truncate(time.Millisecond)
	}
	i.Updated = orTime(portolan.NewestTag(i.Tags).Pushed, orTime(i.Pushed, i.FirstSeen))
	return i
}

func orTime(t, fallback time.Time) time.Time {
	if t.IsZero() {
		return fallback
	}
	return t
}

// same reports whether a new version would say nothing new.
func same(a, b *portolan.Image) bool {
	return a.MediaType == b.MediaType && a.ArtifactType == b.ArtifactType && a.ImageID == b.ImageID && a.Size == b.Size &&
		a.Created.UnixMilli() == b.Created.UnixMilli() && a.Pushed.UnixMilli() == b.Pushed.UnixMilli() && slices.Equal(a.Platforms, b.Platforms) &&
		slices.EqualFunc(a.Tags, b.Tags, func(x, y portolan.Tag) bool { return x.Name == y.Name && x.Pushed.UnixMilli() == y.Pushed.UnixMilli() })
}

// parts cuts a change so that no part writes more than maxRows rows. Only the
// last part ends the repository.
func parts(c store.Change, maxRows int) []store.Change {
	if c.Rows() <= maxRows {
		return []store.Change{c}
	}
	base := store.Change{Staged: c.Staged, RepositoryID: c.RepositoryID, Make: c.Make, Denied: c.Denied}
	var list []store.Change
	add := func(fill func(*store.Change)) {
		p := base
		fill(&p)
		list = append(list, p)
	}
	step := max(1, maxRows/2) // each is two rows
	for k := 0; k < len(c.Replace); k += step {
		end := min(k+step, len(c.Replace))
		add(func(p *store.Change) { p.Replace, p.Versions = c.Replace[k:end], c.Versions[k:end] })
	}
	for chunk := range slices.Chunk(c.Insert, maxRows) {
		add(func(p *store.Change) { p.Insert = chunk })
	}
	for chunk := range slices.Chunk(c.Seen, maxRows) {
		add(func(p *store.Change) { p.Seen = chunk })
	}
	for chunk := range slices.Chunk(c.Lack, maxRows) {
		add(func(p *store.Change) { p.Lack = chunk })
	}
	for chunk := range slices.Chunk(c.Drop, maxRows) {
		add(func(p *store.Change) { p.Drop = chunk })
	}
	for chunk := range slices.Chunk(c.Artifacts, maxRows) {
		add(func(p *store.Change) { p.Artifacts = chunk })
	}
	for chunk := range slices.Chunk(c.DropArtifacts, maxRows) {
		add(func(p *store.Change) { p.DropArtifacts = chunk })
	}
	list[len(list)-1].State = c.State
	return list
}
