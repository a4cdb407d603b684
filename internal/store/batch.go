package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"portolan"
)

// apply writes changes of different repositories together: a statement costs as
// much as some rows, and on PostgreSQL a round trip.
func (tx *Tx) apply(ctx context.Context, s *portolan.Sync, changes []Change, counts bool) error {
	ids, err := tx.repositories(ctx, s, changes)
	if err != nil {
		return err
	}
	if err := tx.applyImages(ctx, s, changes, ids, counts); err != nil {
		return err
	}
	if err := tx.applyArtifacts(ctx, s, changes, ids); err != nil {
		return err
	}
	return tx.endStaged(ctx, s, changes)
}

// repositories answers the ids of the changes' repositories, 0 for one that
// there is not and that nothing is kept of, and stages their counts. It makes
// those that are new or back. Only the last part of a complete listing says
// when it was read: what is half applied must not look up to date.
func (tx *Tx) repositories(ctx context.Context, s *portolan.Sync, changes []Change) ([]int64, error) {
	ids := make([]int64, len(changes))
	var rows [][]any
	at := map[string]int{}
	for i := range changes {
		c := &changes[i]
		if _, twice := at[c.Staged.Path]; twice {
			return nil, fmt.Errorf("two changes of %s at once", c.Staged.Path)
		}
		if c.Make {
			rows = append(rows, tx.repositoryRow(s, c))
			at[c.Staged.Path] = i
			continue
		}
		if ids[i] = c.RepositoryID; ids[i] == 0 {
			continue
		}
		if err := tx.countStaged(ctx, s.Generation, ids[i], c.delta()); err != nil {
			return nil, err
		}
	}
	return ids, tx.withRows(ctx, upsertRepositories, rows, func(ctx context.Context, text string, args []any) error {
		return each(ctx, tx, func(row scanner) error {
			var id int64
			var path string
			err := row.Scan(&id, &path)
			ids[at[path]] = id
			return err
		}, text, args...)
	})
}

// upsertRepositories is the statement for rows. Their last two columns are
// countStaged's change of the count.
const upsertRepositories = `INSERT INTO repositories (account_id, registry_id, path, namespace, name, namespace_folded, name_folded, repo_id,
		staged_visibility, shown_from, fingerprint, born, read_at, staged_count, staged) @ROWS
	ON CONFLICT (registry_id, path) DO UPDATE SET fingerprint = excluded.fingerprint, read_at = excluded.read_at,
		visibility = CASE WHEN repositories.shown_from < excluded.shown_from THEN repositories.staged_visibility ELSE repositories.visibility END,
		staged_visibility = excluded.staged_visibility, shown_from = excluded.shown_from,
		born = CASE WHEN repositories.gone > 0 THEN excluded.born ELSE repositories.born END, gone = 0,
		image_count = CASE WHEN repositories.staged < excluded.staged THEN repositories.staged_count ELSE repositories.image_count END,
		staged_count = repositories.staged_count + excluded.staged_count, staged = excluded.staged
	RETURNING id, path`

func (tx *Tx) repositoryRow(s *portolan.Sync, c *Change) []any {
	r := c.Staged
	readAt, fingerprint := int64(0), ""
	if c.State == StagedDone {
		readAt, fingerprint = millis(tx.Now()), r.Fingerprint
	}
	namespace, name := portolan.SplitRepository(r.Path)
	return []any{
		s.AccountID, s.RegistryID, r.Path, namespace, name, portolan.Fold(namespace), portolan.Fold(name), NewRepoID(),
		r.Visibility, s.Generation, fingerprint, s.Generation, readAt, c.delta(), s.Generation,
	}
}

// delta is by how much the change changes the number of images.
func (c *Change) delta() int { return len(c.Insert) - len(c.Drop) }

func (tx *Tx) applyImages(ctx context.Context, s *portolan.Sync, changes []Change, ids []int64, counts bool) error {
	var images []newImage
	var replace, drop, seen []int64
	var lack [2][]int64 // by whether their repository refused to answer
	for i := range changes {
		c := &changes[i]
		if ids[i] == 0 {
			continue
		}
		images = appendImages(images, s, ids[i], c.Insert)
		images = appendImages(images, s, ids[i], c.Versions)
		replace, drop, seen = append(replace, c.Replace...), append(drop, c.Drop...), append(seen, c.Seen...)
		lack[flag(c.Denied)] = append(lack[flag(c.Denied)], c.Lack...)
	}
	if err := tx.addImages(ctx, s.AccountID, s.RegistryID, `tag, `+imageFacts, images); err != nil {
		return err
	}
	if err := tx.retire(ctx, s.Generation, replace, true); err != nil {
		return err
	}
	if err := tx.retire(ctx, s.Generation, drop, false); err != nil {
		return err
	}
	if err := tx.inRows(ctx, `UPDATE images SET lacks = 0, lacked = 0, denied = 0 WHERE id %s`, nil, seen); err != nil {
		return err
	}
	for denied, rows := range lack {
		if err := tx.inRows(ctx, `UPDATE images SET lacks = CASE WHEN $2 = 1 OR lacks = 0 THEN lacks + 1 ELSE lacks END, lacked = $1, denied = $3
			WHERE lacked < $1 AND id %s`, []any{s.Generation, flag(counts), denied}, rows); err != nil {
			return err
		}
	}
	return nil
}

func appendImages(rows []newImage, s *portolan.Sync, repository int64, list []portolan.Image) []newImage {
	for k := range list {
		i := &list[k]
		t := textsOf(i.Tags)
		rows = append(rows, newImage{
			blockImage: blockImage{repository: repository, born: s.Generation, tags: t.folded},
			uuid:       i.UUID,
			rest: []any{
				t.newest, i.Digest, t.names, t.times, i.MediaType, i.ArtifactType, i.ImageID, i.Size, strings.Join(i.Platforms, ","),
				millis(i.Created), millis(i.Pushed), millis(i.Updated), millis(i.FirstSeen),
			},
		})
	}
	return rows
}

// applyArtifacts keeps the facts of manifests that are no images, and forgets
// those that are no longer there.
func (tx *Tx) applyArtifacts(ctx context.Context, s *portolan.Sync, changes []Change, ids []int64) error {
	var rows [][]any
	for i := range changes {
		if ids[i] == 0 {
			continue
		}
		for _, m := range changes[i].Artifacts {
			rows = append(rows, []any{ids[i], s.AccountID, m.Digest, m.Kind, m.MediaType, m.ArtifactType, m.Subject, m.Size})
		}
		for part := range slices.Chunk(changes[i].DropArtifacts, fetchBatch) {
			args := []any{ids[i]}
			if _, err := tx.exec(ctx, `DELETE FROM artifacts WHERE repository_id = $1 AND digest `+amongTexts(tx, &args, part), args...); err != nil {
				return err
			}
		}
	}
	_, err := tx.insertMany(ctx, `INSERT INTO artifacts (repository_id, account_id, digest, kind, media_type, artifact_type, subject, size)`, rows,
		`ON CONFLICT (repository_id, digest) DO NOTHING`)
	return err
}

// endStaged marks the repositories that are done with.
func (tx *Tx) endStaged(ctx context.Context, s *portolan.Sync, changes []Change) error {
	type end struct {
		state    string
		vanished int
	}
	paths := map[end][]string{}
	for i := range changes {
		if e := (end{changes[i].State, changes[i].Staged.Vanished}); e.state != "" {
			paths[e] = append(paths[e], changes[i].Staged.Path)
		}
	}
	for e, list := range paths {
		err := inFew(ctx, tx, list, func(ctx context.Context, part []string) error {
			args := []any{e.state, e.vanished, s.ID}
			_, err := tx.exec(ctx, `UPDATE sync_repositories SET state = $1, vanished = $2 WHERE sync_id = $3 AND path `+amongTexts(tx, &args, part), args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
