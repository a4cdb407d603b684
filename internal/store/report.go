package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan"
)

// A registry that reports its images has one generation for ever: what is
// reported is born in it and visible at once, and changed in place.
const reportedGeneration = 1

const (
	// MaxReported bounds the images that one registry may report.
	MaxReported = 1_000_000
	// maxReportedTags bounds the tags of one image; the oldest go.
	maxReportedTags = 1_000
)

// ErrFull is the answer to a report of a new image in a registry that has
// MaxReported of them.
var ErrFull = errors.New("the registry has as many reported images as it may have")

// Report is what a build says of one image. Zero values are not said.
type Report struct {
	AccountID, RegistryID int64
	Path                  string // of the repository
	Tag                   string
	Digest                portolan.Digest
	// UUID is an image that the build believes this to be.
	UUID             string
	ImageID          portolan.Digest
	Size             int64
	Created, Updated time.Time
	// Build is the label of the build.
	Build string
	// TaskID is the id of the task that the report makes, NewUUID that of the
	// image if it is new.
	TaskID, NewUUID string
}

// Receipt is what became of a report. Err is ErrNotFound for a registry that
// is no more, ErrFull for an image too many, and nil for a report that is kept.
type Receipt struct {
	UUID, RepoID string
	Err          error
}

// Report keeps reports, in their order, in one transaction. The receipts are
// in the order of the reports.
func (db *DB) Report(ctx context.Context, list []Report) ([]Receipt, error) {
	receipts := make([]Receipt, len(list))
	// Accounts are locked in the same order by all servers.
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[a].AccountID, list[b].AccountID) })
	err := db.Update(ctx, func(tx *Tx) error {
		registries := make([]int64, len(list))
		for i := range list {
			registries[i] = list[i].RegistryID
		}
		if err := tx.lockImages(ctx, registries...); err != nil {
			return err
		}
		b := &reporting{tx: tx, registries: map[int64]*reportedRegistry{}}
		for _, i := range order {
			var err error
			if receipts[i], err = b.take(ctx, &list[i]); err != nil {
				return fmt.Errorf("report on %s of registry %d: %w", list[i].Path, list[i].RegistryID, err)
			}
		}
		return b.finish(ctx)
	})
	return receipts, err
}

// reporting is the transaction of some reports.
type reporting struct {
	tx         *Tx
	registries map[int64]*reportedRegistry
	tasks      [][]any
}

// reportedRegistry is a registry with what the transaction changes of it.
type reportedRegistry struct {
	*portolan.Registry
	images, repositories int // by how many there are more
	paths                map[string]*reportedRepository
	changes              map[string]*ImageChange // by Uuid
}

type reportedRepository struct {
	path   string
	id     int64
	repoID string
	images int // by how many there are more
}

// reportedImage is a row as it is, and as it will be.
type reportedImage struct {
	portolan.Image
	id    int64 // 0 for one that is new
	gone  bool
	build string
	// before are the tags that it had in the lists, nil if it was not there.
	before []string
	// changed tells that there is more to write than that it was seen, moved
	// that what its tags name is another image.
	changed, moved bool
}

// hidden reports whether the image is not in the lists now.
func (i *reportedImage) hidden() bool { return i.id == 0 || i.gone }

func (b *reporting) take(ctx context.Context, q *Report) (Receipt, error) {
	r, err := b.registry(ctx, q)
	if err != nil || r.Registry == nil {
		return Receipt{Err: ErrNotFound}, err
	}
	full := r.ImageCount+r.images >= MaxReported
	p, err := b.repository(ctx, r, q.Path, full)
	if err != nil || p == nil {
		return Receipt{Err: ErrFull}, err
	}
	i, holder, err := b.find(ctx, p, q)
	if err != nil || full && i.hidden() {
		return Receipt{Err: ErrFull}, err
	}
	if err := b.release(ctx, r, p, i, holder, q.Tag); err != nil {
		return Receipt{}, err
	}
	if err := b.keep(ctx, r, p, i, q); err != nil {
		return Receipt{}, err
	}
	if q.Build != "" {
		r.JenkinsEnv = q.Build
	}
	b.tasks = append(b.tasks, []any{q.TaskID, q.AccountID, q.RegistryID, i.UUID, millis(b.tx.Now())})
	return Receipt{UUID: i.UUID, RepoID: p.repoID}, nil
}

// registry answers a registry of this transaction, without a Registry if there
// is none that reports.
func (b *reporting) registry(ctx context.Context, q *Report) (*reportedRegistry, error) {
	if r := b.registries[q.RegistryID]; r != nil {
		return r, nil
	}
	row, err := b.tx.Registry(ctx, q.AccountID, q.RegistryID)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err == nil && row.Type.Pull() {
		row = nil
	}
	r := &reportedRegistry{Registry: row, paths: map[string]*reportedRepository{}, changes: map[string]*ImageChange{}}
	b.registries[q.RegistryID] = r
	return r, nil
}

// repository answers a repository of this transaction. One that is not there is
// made or brought back, and nil if the registry is full.
func (b *reporting) repository(ctx context.Context, r *reportedRegistry, path string, full bool) (*reportedRepository, error) {
	if p := r.paths[path]; p != nil {
		return p, nil
	}
	p := &reportedRepository{path: path}
	err := b.tx.one(ctx, `SELECT id, repo_id FROM repositories WHERE registry_id = $1 AND path = $2 AND gone = 0`, []any{r.ID, path}, &p.id, &p.repoID)
	if errors.Is(err, ErrNotFound) {
		if full {
			return nil, nil
		}
		namespace, name := portolan.SplitRepository(path)
		r.repositories++
		err = b.tx.one(ctx, `INSERT INTO repositories (account_id, registry_id, path, namespace, name, namespace_folded, name_folded, repo_id, born)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (registry_id, path) DO UPDATE SET gone = 0 RETURNING id, repo_id`,
			[]any{r.AccountID, r.ID, path, namespace, name, portolan.Fold(namespace), portolan.Fold(name), NewRepoID(), reportedGeneration}, &p.id, &p.repoID)
	}
	r.paths[path] = p
	return p, err
}

// find answers the image that a report is of, visible, remembered or new, and
// the visible one that has its tag now, nil for none.
func (b *reporting) find(ctx context.Context, p *reportedRepository, q *Report) (i, holder *reportedImage, err error) {
	if holder, err = b.holder(ctx, p, q.Tag); err != nil {
		return nil, nil, err
	}
	if q.Digest == "" {
		i, err = b.findByTag(ctx, p, q, holder)
	} else {
		i, err = b.findByDigest(ctx, p, q, holder)
	}
	if err != nil || i != nil {
		return i, holder, err
	}
	return &reportedImage{Image: portolan.Image{UUID: q.NewUUID, FirstSeen: b.tx.Now()}}, holder, nil
}

// fromDigest selects the images of a repository that have a digest. The plus
// keeps the planner from looking at all of the repository.
const fromDigest = `FROM images i WHERE account_id = $1 AND substr(digest, 8, 8) = substr($2, 8, 8) AND @ANYERA AND digest = $2 AND +repository_id = $3`

// findByDigest answers the image of the digest; else the one of which only the
// tag, or only the Uuid, was known until now; else the one that is remembered.
func (b *reporting) findByDigest(ctx context.Context, p *reportedRepository, q *Report, holder *reportedImage) (*reportedImage, error) {
	known, err := b.image(ctx, fromDigest+` ORDER BY gone, gone_at DESC, id DESC LIMIT 1`, q.AccountID, q.Digest, p.id)
	if err != nil || known != nil && !known.gone {
		return known, err
	}
	if holder != nil && holder.Digest == "" {
		return holder, nil
	}
	named, err := b.named(ctx, p, q)
	if err != nil || named != nil && named.Digest == "" {
		return named, err
	}
	return known, nil
}

// findByTag answers the image that has the tag; else the one that the Uuid
// names; else what is remembered of a tag whose digest was never known.
func (b *reporting) findByTag(ctx context.Context, p *reportedRepository, q *Report, holder *reportedImage) (*reportedImage, error) {
	if holder != nil {
		return holder, nil
	}
	if named, err := b.named(ctx, p, q); err != nil || named != nil {
		return named, err
	}
	return b.image(ctx, `FROM images WHERE repository_id = $1 AND tag = $2 AND digest = '' AND gone > 0 ORDER BY gone_at DESC, id DESC LIMIT 1`, p.id, q.Tag)
}

// holder answers the visible image that has a tag, nil for none.
func (b *reporting) holder(ctx context.Context, p *reportedRepository, tag string) (*reportedImage, error) {
	if tag == "" {
		return nil, nil
	}
	return b.image(ctx, `FROM images WHERE id = (SELECT image_id FROM reported_tags WHERE repository_id = $1 AND tag = $2) AND gone = 0`, p.id, tag)
}

// named answers the visible image of the repository that the report's Uuid
// names, nil for none.
func (b *reporting) named(ctx context.Context, p *reportedRepository, q *Report) (*reportedImage, error) {
	if q.UUID == "" {
		return nil, nil
	}
	return b.image(ctx, `FROM images WHERE account_id = $1 AND uuid = $2 AND repository_id = $3 AND gone = 0`, q.AccountID, q.UUID, p.id)
}

// image answers an image, nil if there is none.
func (b *reporting) image(ctx context.Context, from string, args ...any) (*reportedImage, error) {
	var i reportedImage
	var s imageScan
	var gone int64
	err := b.tx.one(ctx, `SELECT id, gone, build, `+imageColumns+` `+from, args, append([]any{&i.id, &gone, &i.build}, s.targets(&i.Image)...)...)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i.gone = gone > 0
	err = s.finish(&i.Image)
	i.before = namesOf(i.Tags)
	return &i, err
}

// release takes a tag from the image that has it, if that is another one than
// the report is of. One that was known by this tag alone goes.
func (b *reporting) release(ctx context.Context, r *reportedRegistry, p *reportedRepository, i, holder *reportedImage, tag string) error {
	if holder == nil || holder.id == i.id {
		return nil
	}
	holder.Tags = slices.DeleteFunc(holder.Tags, func(t portolan.Tag) bool { return t.Name == tag })
	if holder.Digest == "" && len(holder.Tags) == 0 {
		r.images--
		p.images--
		r.note(p, holder, ChangeGone)
		_, err := b.tx.deleteImages(ctx, `DELETE FROM images WHERE id = $1`, holder.id)
		return err
	}
	r.note(p, holder, ChangeRetagged)
	t := textsOf(holder.Tags)
	_, err := b.tx.changeImages(ctx, `UPDATE images SET tag = $1, tags = $2, tag_times = $3, tags_folded = $4 WHERE id = $5`,
		t.newest, t.names, t.times, t.folded, holder.id)
	return err
}

// keep writes what the report says into its image.
func (b *reporting) keep(ctx context.Context, r *reportedRegistry, p *reportedRepository, i *reportedImage, q *Report) error {
	now, kind := b.tx.Now(), ChangeRetagged
	if i.hidden() {
		i.Tags, i.before, i.moved = nil, nil, true // those it had were not reported for long
		r.images++
		p.images++
		kind = ChangeAdded
	}
	dropped, tagged := i.addTag(q.Tag, now)
	i.merge(q, now)
	r.note(p, i, kind)
	if err := b.write(ctx, r, p, i); err != nil {
		return err
	}
	for _, t := range dropped {
		if _, err := b.tx.exec(ctx, `DELETE FROM reported_tags WHERE repository_id = $1 AND tag = $2`, p.id, t.Name); err != nil {
			return err
		}
	}
	if !tagged {
		return nil
	}
	_, err := b.tx.exec(ctx, `INSERT INTO reported_tags (repository_id, tag, image_id) VALUES ($1, $2, $3)
		ON CONFLICT (repository_id, tag) DO UPDATE SET image_id = excluded.image_id`, p.id, q.Tag, i.id)
	return err
}

// merge takes in what the report says. Unless it says when the image changed,
// that is when its tags came to name it.
func (i *reportedImage) merge(q *Report, now time.Time) {
	i.moved = take(&i.Digest, q.Digest) || i.moved
	said := []bool{i.moved, take(&i.ImageID, q.ImageID), take(&i.Size, q.Size), takeTime(&i.Created, q.Created), takeTime(&i.Updated, q.Updated)}
	i.changed = slices.Contains(said, true)
	if i.moved && q.Updated.IsZero() {
		i.Updated = now
	}
	take(&i.build, q.Build)
}

// note keeps what the transaction changes of an image, as one change of it.
func (r *reportedRegistry) note(p *reportedRepository, i *reportedImage, kind ChangeKind) {
	c := r.changes[i.UUID]
	switch {
	case c == nil:
		c = &ImageChange{Kind: kind, Path: p.path, UUID: i.UUID, Before: i.before}
		r.changes[i.UUID] = c
	case kind == ChangeGone && c.Kind == ChangeAdded: // it was never seen
		delete(r.changes, i.UUID)
	case kind == ChangeGone:
		c.Kind = kind
	}
	c.Digest, c.After = i.Digest, namesOf(i.Tags)
}

// noted are the changes that anybody can see.
func (r *reportedRegistry) noted() []ImageChange {
	var list []ImageChange
	for _, c := range r.changes {
		if c.Kind != ChangeRetagged || !slices.Equal(c.Before, c.After) {
			list = append(list, *c)
		}
	}
	return list
}

func namesOf(tags []portolan.Tag) []string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = t.Name
	}
	return names
}

// take takes what is said, and reports whether that is something new.
func take[T comparable](into *T, said T) bool {
	var none T
	if said == none || said == *into {
		return false
	}
	*into = said
	return true
}

func takeTime(into *time.Time, said time.Time) bool {
	if said.IsZero() || said.Equal(*into) {
		return false
	}
	*into = said
	return true
}

// addTag gives the image a tag unless it has it, and answers the oldest ones
// that it loses for that.
func (i *reportedImage) addTag(tag string, now time.Time) (dropped []portolan.Tag, added bool) {
	if tag == "" || slices.ContainsFunc(i.Tags, func(t portolan.Tag) bool { return t.Name == tag }) {
		return nil, false
	}
	for len(i.Tags) >= maxReportedTags {
		oldest := slices.MinFunc(i.Tags, func(a, b portolan.Tag) int { return a.Pushed.Compare(b.Pushed) })
		i.Tags = slices.DeleteFunc(i.Tags, func(t portolan.Tag) bool { return t == oldest })
		dropped = append(dropped, oldest)
	}
	i.Tags, i.moved = append(i.Tags, portolan.Tag{Name: tag, Pushed: now}), true
	slices.SortFunc(i.Tags, func(a, b portolan.Tag) int { return strings.Compare(a.Name, b.Name) })
	return dropped, true
}

// write writes the row.
func (b *reporting) write(ctx context.Context, r *reportedRegistry, p *reportedRepository, i *reportedImage) error {
	seen := millis(b.tx.Now())
	if i.id != 0 && !i.changed {
		_, err := b.tx.exec(ctx, `UPDATE images SET last_seen = $1, build = $2 WHERE id = $3`, seen, i.build, i.id)
		return err
	}
	t := textsOf(i.Tags)
	if i.id != 0 {
		_, err := b.tx.changeImages(ctx, `UPDATE images SET digest = $1, gone = 0, gone_at = 0, tag = $2, tags = $3, tag_times = $4, tags_folded = $5,
				image_id = $6, size = $7, created = $8, updated = $9, last_seen = $10, build = $11 WHERE id = $12`,
			i.Digest, t.newest, t.names, t.times, t.folded, i.ImageID, i.Size, millis(i.Created), millis(i.Updated), seen, i.build, i.id)
		return err
	}
	added := []newImage{{
		blockImage: blockImage{repository: p.id, born: reportedGeneration, tags: t.folded}, uuid: i.UUID,
		rest: []any{
			i.Digest, t.newest, t.names, t.times, "", "", i.ImageID, i.Size, "",
			millis(i.Created), 0, millis(i.Updated), millis(i.FirstSeen), seen, i.build,
		},
	}}
	err := b.tx.addImages(ctx, r.AccountID, r.ID, `digest, tag, tags, tag_times, media_type, artifact_type, image_id, size, platforms,
			created, pushed, updated, first_seen, last_seen, build`, added)
	i.id = added[0].id
	return err
}

// finish writes the counts, the changes, the entries and the tasks, once each.
func (b *reporting) finish(ctx context.Context) error {
	for _, r := range b.registries {
		if r.Registry == nil || len(r.paths) == 0 {
			continue
		}
		for _, p := range r.paths {
			if err := b.tx.countStaged(ctx, reportedGeneration, p.id, p.images); err != nil {
				return err
			}
		}
		if err := b.tx.NoteChanges(ctx, r.Registry, r.noted()); err != nil {
			return err
		}
		revision, err := b.tx.nextRevision(ctx, r.AccountID)
		if err != nil {
			return err
		}
		if _, err := b.tx.exec(ctx, `UPDATE registries SET revision = $1, image_count = image_count + $2, repository_count = repository_count + $3,
				jenkins_env = $4, sync_status = $5, last_sync = $6 WHERE id = $7`,
			revision, r.images, r.repositories, r.JenkinsEnv, portolan.SyncOK, millis(b.tx.Now()), r.ID); err != nil {
			return err
		}
	}
	_, err := b.tx.insertMany(ctx, `INSERT INTO scan_tasks (id, account_id, registry_id, uuid, created)`, b.tasks, "")
	return err
}

// tagTexts are an image's tags as its row has them.
type tagTexts struct{ newest, names, times, folded string }

func textsOf(tags []portolan.Tag) tagTexts {
	names, times := make([]string, len(tags)), make([]string, len(tags))
	for n, tag := range tags {
		names[n], times[n] = tag.Name, strconv.FormatInt(millis(tag.Pushed), 10)
	}
	t := tagTexts{newest: portolan.NewestTag(tags).Name, names: strings.Join(names, "\n"), times: strings.Join(times, "\n")}
	t.folded = portolan.Fold(t.names)
	return t
}
