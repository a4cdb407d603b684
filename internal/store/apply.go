package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan"
)

// Kept is a repository as a reading finds it in the store, with the newest
// version of each of its images, published or not.
type Kept struct {
	ID        int64
	Images    []KeptImage
	Artifacts map[portolan.Digest]bool
}

// KeptImage is an image as the store has it.
type KeptImage struct {
	RowID int64
	Lacks int
	portolan.Image
}

const (
	imageColumns = `uuid, ` + imageFacts
	imageFacts   = `digest, tags, tag_times, media_type, artifact_type, image_id, size, platforms, created, pushed, updated, first_seen`
)

// imageTargets are where imageColumns are scanned into; finish completes the
// image afterwards.
type imageScan struct {
	tags, times, platforms             string
	created, pushed, updated, firstSaw int64
}

func (s *imageScan) targets(i *portolan.Image) []any {
	return []any{
		&i.UUID, &i.Digest, &s.tags, &s.times, &i.MediaType, &i.ArtifactType, &i.ImageID, &i.Size, &s.platforms,
		&s.created, &s.pushed, &s.updated, &s.firstSaw,
	}
}

func (s *imageScan) finish(i *portolan.Image) error {
	i.Created, i.Pushed, i.Updated, i.FirstSeen = instant(s.created), instant(s.pushed), instant(s.updated), instant(s.firstSaw)
	i.Platforms = splitPlatforms(s.platforms)
	if s.tags == "" {
		return nil
	}
	names, times := strings.Split(s.tags, "\n"), strings.Split(s.times, "\n")
	if len(names) != len(times) {
		return fmt.Errorf("image %s: %d tags have %d times", i.UUID, len(names), len(times))
	}
	i.Tags = make([]portolan.Tag, len(names))
	for k, name := range names {
		ms, err := strconv.ParseInt(times[k], 10, 64)
		if err != nil {
			return fmt.Errorf("image %s: read the time of tag %q: %w", i.UUID, name, err)
		}
		i.Tags[k] = portolan.Tag{Name: name, Pushed: instant(ms)}
	}
	return nil
}

func splitPlatforms(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// Keep answers what the store has of repositories of a reading's registry, by
// path. Repositories it does not have are left out.
func (db *DB) Keep(ctx context.Context, l *Lease, paths []string) (map[string]*Kept, error) {
	kept := map[string]*Kept{}
	err := db.View(ctx, func(tx *Tx) error {
		args := []any{l.Sync.RegistryID}
		byID := map[int64]*Kept{}
		err := each(ctx, tx, func(row scanner) error {
			k, path := &Kept{Artifacts: map[portolan.Digest]bool{}}, ""
			err := row.Scan(&k.ID, &path)
			kept[path], byID[k.ID] = k, k
			return err
		}, `SELECT id, path FROM repositories WHERE registry_id = $1 AND path `+amongTexts(tx, &args, paths), args...)
		if err != nil || len(byID) == 0 {
			return err
		}
		if err := tx.keepImages(ctx, byID); err != nil {
			return err
		}
		return tx.keepArtifacts(ctx, byID)
	})
	return kept, err
}

func (tx *Tx) keepArtifacts(ctx context.Context, byID map[int64]*Kept) error {
	var args []any
	return each(ctx, tx, func(row scanner) error {
		var repository int64
		var d portolan.Digest
		err := row.Scan(&repository, &d)
		if err == nil {
			byID[repository].Artifacts[d] = true
		}
		return err
	}, `SELECT repository_id, digest FROM artifacts WHERE repository_id `+amongNumbers(tx, &args, slices.Collect(maps.Keys(byID))), args...)
}

func (tx *Tx) keepImages(ctx context.Context, byID map[int64]*Kept) error {
	ids := slices.Collect(maps.Keys(byID))
	var args []any
	return each(ctx, tx, func(row scanner) error {
		var i KeptImage
		var s imageScan
		var repository int64
		if err := row.Scan(append([]any{&i.RowID, &repository, &i.Lacks}, s.targets(&i.Image)...)...); err != nil {
			return err
		}
		err := s.finish(&i.Image)
		byID[repository].Images = append(byID[repository].Images, i)
		return err
	}, `SELECT id, repository_id, lacks, `+imageColumns+` FROM images WHERE gone = 0 AND repository_id `+amongNumbers(tx, &args, ids), args...)
}

// Manifest is what is known of a digest.
type Manifest struct {
	Digest       portolan.Digest
	Kind         portolan.Kind
	MediaType    string
	ArtifactType string
	ImageID      portolan.Digest
	Size         int64
	Created      time.Time
	Subject      portolan.Digest
	Platforms    []string
}

// rank puts images first.
func (m *Manifest) rank() int {
	if m.Kind == portolan.KindImage {
		return 0
	}
	return 1
}

// Manifests answers what the account has learnt of digests, each once; unknown
// ones are left out. Only registries whose manifests are read and verified
// teach: what others tell of a digest holds for their own rows. A digest that
// is an image somewhere is one.
func (db *DB) Manifests(ctx context.Context, account int64, digests []portolan.Digest) ([]Manifest, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	var found []Manifest
	err := db.look(ctx, func(tx *Tx) error {
		args := []any{account}
		images, among, err := tx.amongDigests(ctx, &args, digests)
		if err != nil {
			return err
		}
		artifacts := "a.digest " + amongTexts(tx, &args, digests)
		found, err = collect(ctx, tx, scanManifest, `SELECT digest, 'image', media_type, artifact_type, image_id, size, created, '', platforms FROM images
			WHERE id IN (SELECT MAX(i.id) FROM `+images+` JOIN registries r ON r.id = i.registry_id
				WHERE i.account_id = $1 AND r.type IN ('oci', 'quay', 'acr') AND `+among+` GROUP BY i.digest)
			UNION ALL
			SELECT a.digest, a.kind, a.media_type, a.artifact_type, '', a.size, 0, a.subject, '' FROM artifacts a
			JOIN repositories p ON p.id = a.repository_id JOIN registries r ON r.id = p.registry_id
			WHERE a.account_id = $1 AND r.type IN ('oci', 'quay', 'acr') AND `+artifacts, args...)
		return err
	})
	slices.SortFunc(found, func(a, b Manifest) int {
		return cmp.Or(cmp.Compare(a.Digest, b.Digest), cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Kind, b.Kind))
	})
	return slices.CompactFunc(found, func(a, b Manifest) bool { return a.Digest == b.Digest }), err
}

func scanManifest(row scanner) (m Manifest, err error) {
	var created int64
	var platforms string
	err = row.Scan(&m.Digest, &m.Kind, &m.MediaType, &m.ArtifactType, &m.ImageID, &m.Size, &created, &m.Subject, &platforms)
	m.Created, m.Platforms = instant(created), splitPlatforms(platforms)
	return m, err
}

// Change is what a reading found out about one repository, or a part of that
// when it is too much for one transaction.
type Change struct {
	Staged       StagedRepository
	RepositoryID int64 // 0 for a repository that is new
	// Make makes the repository if it is new or back.
	Make bool
	// State is the staged state to end in, with the last part; "" before.
	State string

	Insert   []portolan.Image // new images
	Versions []portolan.Image // new versions of changed ones
	Replace  []int64          // the rows that Versions replace, one each
	Seen     []int64          // rows that lacked and are back
	Lack     []int64          // rows that a complete listing lacks
	Denied   bool             // the lacking rows' repository refused to answer
	Drop     []int64          // rows out of scope: gone without a guard

	// Manifests that are no images: new ones, and those no longer there.
	Artifacts     []Manifest
	DropArtifacts []portolan.Digest
}

// Rows is a measure of the change's size in written rows.
func (c *Change) Rows() int {
	return 1 + len(c.Insert) + 2*len(c.Replace) + len(c.Seen) + len(c.Lack) + len(c.Drop) + len(c.Artifacts) + len(c.DropArtifacts)
}

// Apply writes changes of different repositories into the reading's generation,
// invisible until it is published. counts tells whether a row that lacks now was lacking in a
// reading that counts for the vanish guard.
func (db *DB) Apply(ctx context.Context, l *Lease, changes []Change, counts bool) error {
	rows := 0
	for i := range changes {
		rows += changes[i].Rows()
	}
	var done *Tx
	err := db.leasedImages(ctx, l, func(tx *Tx) error {
		done = tx
		if err := tx.apply(ctx, l.Sync, changes, counts); err != nil {
			return fmt.Errorf("apply changes of %d repositories: %w", len(changes), err)
		}
		return nil
	})
	if err == nil {
		db.pace.took(rows, done.held, db.dialect.hold)
		db.grown(ctx, &db.growth, rows, "images", "repositories", "artifacts", "image_blocks")
		db.checkpoint(ctx, rows+blockRows*done.blocksPut)
	}
	return err
}

// retire makes rows gone in a generation. Rows born in the same generation
// were never visible and are deleted; what is visible of an image that is gone
// is then the version before.
func (tx *Tx) retire(ctx context.Context, generation int64, ids []int64, superseded bool) error {
	if !superseded {
		if err := tx.inRows(ctx, `UPDATE images SET superseded = 0 WHERE id IN (SELECT o.id FROM images n
				JOIN images o ON o.account_id = n.account_id AND o.uuid = n.uuid AND o.superseded = 1 AND o.gone = $1
			WHERE n.born = $1 AND n.id %s)`, []any{generation}, ids); err != nil {
			return err
		}
	}
	if _, err := tx.amongRows(ctx, tx.deleteImages, `DELETE FROM images WHERE born = $1 AND id %s`, []any{generation}, ids); err != nil {
		return err
	}
	_, err := tx.amongRows(ctx, tx.changeImages, `UPDATE images SET gone = $1, gone_at = $2, superseded = $3, lacks = 0, denied = 0 WHERE id %s`,
		[]any{generation, millis(tx.Now()), flag(superseded)}, ids)
	return err
}

// inRows runs a statement over ids, in chunks.
func (tx *Tx) inRows(ctx context.Context, query string, args []any, ids []int64) error {
	_, err := tx.amongRows(ctx, tx.exec, query, args, ids)
	return err
}

// amongRows is inRows by exec, changeImages or deleteImages, and answers how
// many rows were changed.
func (tx *Tx) amongRows(ctx context.Context, run func(context.Context, string, ...any) (int64, error), query string, args []any, ids []int64) (changed int64, err error) {
	const chunk = 256
	for part := range slices.Chunk(ids, chunk) {
		a := slices.Clone(args)
		n, err := run(ctx, fmt.Sprintf(query, amongNumbers(tx, &a, part)), a...)
		if changed += n; err != nil {
			return changed, err
		}
	}
	return changed, nil
}

// countStaged changes the number of images that the repository will have when
// the generation is published; the published number stays beside it.
func (tx *Tx) countStaged(ctx context.Context, generation, repository int64, delta int) error {
	if delta == 0 {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE repositories SET image_count = CASE WHEN staged < $1 THEN staged_count ELSE image_count END,
		staged_count = staged_count + $2, staged = $1 WHERE id = $3`, generation, delta, repository)
	return err
}

// Former names an image of a repository that may have been there before.
type Former struct {
	RepositoryID int64
	Digest       portolan.Digest
}

// History is what the store remembers of an image that was gone.
type History struct {
	UUID      string
	FirstSeen time.Time
}

// Histories answers, of images, those that were there before and are
// remembered.
func (db *DB) Histories(ctx context.Context, account int64, asked []Former) (map[Former]History, error) {
	found := map[Former]History{}
	for part := range slices.Chunk(asked, fetchBatch) {
		repositories, digests := make([]int64, len(part)), make([]portolan.Digest, len(part))
		for i, f := range part {
			repositories[i], digests[i] = f.RepositoryID, f.Digest
		}
		err := db.look(ctx, func(tx *Tx) error {
			args := []any{account}
			images, among, err := tx.amongDigests(ctx, &args, digests)
			if err != nil {
				return err
			}
			return each(ctx, tx, func(row scanner) error {
				var f Former
				var h History
				var firstSeen int64
				err := row.Scan(&f.RepositoryID, &f.Digest, &h.UUID, &firstSeen)
				h.FirstSeen = instant(firstSeen)
				found[f] = h
				return err
			}, `SELECT i.repository_id, i.digest, i.uuid, i.first_seen FROM `+images+` WHERE i.account_id = $1 AND i.gone > 0 AND i.superseded = 0
				AND `+among+` AND +i.repository_id `+amongNumbers(tx, &args, repositories)+` ORDER BY i.id`, args...)
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789"

// NewRepoID makes the id of a repository, crr- and 16 of a-z, 0-9.
func NewRepoID() string { return "crr-" + randomID() }

// NewInstanceID makes the id of a registry's instance, cri- and 16 of a-z, 0-9.
func NewInstanceID() string { return "cri-" + randomID() }

// randomID leaves the tiny bias of the modulus: it names things, it keeps
// nothing secret.
func randomID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = idAlphabet[int(b[i])%len(idAlphabet)]
	}
	return string(b)
}
