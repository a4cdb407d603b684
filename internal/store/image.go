package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"portolan"
)

// Conditions of visibility: rows of the published generation of registries
// that are not deleted.
const (
	visibleImage      = `r.deleted = 0 AND i.born <= r.published AND (i.gone = 0 OR i.gone > r.published)`
	visibleRepository = `r.deleted = 0 AND p.born <= r.published AND (p.gone = 0 OR p.gone > r.published)`
	publishedAccess   = `CASE WHEN p.shown_from <= r.published THEN p.staged_visibility ELSE p.visibility END`
	publishedCount    = `CASE WHEN p.staged <= r.published THEN p.staged_count ELSE p.image_count END`
	fromImages        = ` FROM images i JOIN registries r ON r.id = i.registry_id JOIN repositories p ON p.id = i.repository_id`
	fromRepositories  = ` FROM repositories p JOIN registries r ON r.id = p.registry_id`
	// Visible rows that the database is to meet in the order of an index.
	walkImages       = ` FROM @IMAGES`
	walkRepositories = ` FROM @REPOSITORIES`
)

// Images answers a page (from 1) of an account's images, the last updated
// first, and the number of all that the criteria select. Both belong to one
// state.
func (db *DB) Images(ctx context.Context, account int64, c Criteria, page, size int) (list []portolan.Image, total int, err error) {
	registries, err := db.Registries(ctx, account)
	if err != nil {
		return nil, 0, err
	}
	err = db.View(ctx, func(tx *Tx) error {
		w := &imageWalk{tx: tx, account: account, criteria: &c, registries: registries}
		list, total, err = w.page(ctx, skipped(page, size), size)
		return err
	})
	return attach(list, registries), total, err
}

// attach gives each image its registry; an image whose registry was added
// since the registries were looked up is complete but for it.
func attach(list []portolan.Image, registries *Registries) []portolan.Image {
	for i := range list {
		if r := registries.Get(list[i].Repository.Registry.ID); r != nil {
			list[i].Repository.Registry = r
		}
	}
	return list
}

const imageFields = `i.uuid, i.digest, i.tags, i.tag_times, i.media_type, i.artifact_type, i.image_id, i.size, i.platforms,
	i.created, i.pushed, i.updated, i.first_seen, p.repo_id, p.namespace, p.name, ` + publishedAccess + `,
	r.id, r.account_id, r.type, r.region_id, r.instance_id, r.domain_name, r.port, r.protocol, r.net_type`

func scanImage(row scanner) (portolan.Image, error) {
	var i portolan.Image
	var s imageScan
	p := &i.Repository
	r := &portolan.Registry{}
	p.Registry = r
	if err := row.Scan(append(s.targets(&i), &p.RepoID, &p.Namespace, &p.Name, &p.Visibility,
		&r.ID, &r.AccountID, &r.Type, &r.RegionID, &r.InstanceID, &r.DomainName, &r.Port, &r.Protocol, &r.NetType)...); err != nil {
		return i, err
	}
	return i, s.finish(&i)
}

// ImagesByUUID answers the visible images with the ids, in no order.
func (db *DB) ImagesByUUID(ctx context.Context, account int64, uuids []string) ([]portolan.Image, error) {
	if len(uuids) == 0 {
		return nil, nil
	}
	var list []portolan.Image
	err := db.View(ctx, func(tx *Tx) error {
		args := []any{account}
		var err error
		list, err = collect(ctx, tx, scanImage, `SELECT `+imageFields+fromImages+` WHERE i.account_id = $1 AND `+visibleImage+` AND i.uuid `+amongTexts(tx, &args, uuids), args...)
		return err
	})
	return list, err
}

// Repositories answers a page (from 1) of an account's repositories by id, the
// newest first, and the number of all that the criteria select.
func (db *DB) Repositories(ctx context.Context, account int64, c Criteria, page, size int) (list []portolan.Repository, total int, err error) {
	registries, err := db.Registries(ctx, account)
	if err != nil {
		return nil, 0, err
	}
	err = db.View(ctx, func(tx *Tx) error {
		offset := skipped(page, size)
		if c.ofPaths() && c.ofRepositories() {
			found, err := tx.matching(ctx, account, &c)
			if total = found.repositories; err != nil {
				return err
			}
			if found.few {
				start := min(offset, total)
				list, err = tx.repositoriesByID(ctx, found.ids[start:min(start+size, total)])
				return err
			}
		} else if total, err = tx.countRepositories(ctx, account, &c, registries); err != nil {
			return err
		}
		list, err = tx.repositoryPage(ctx, account, &c, nearer(offset, size, total))
		return err
	})
	return list, total, err
}

func (tx *Tx) countRepositories(ctx context.Context, account int64, c *Criteria, registries *Registries) (total int, err error) {
	if c.ofRegistries() {
		_, repositories, generation := registries.countsOf(c)
		if now, err := tx.registryGeneration(ctx, account); err != nil || now == generation {
			return repositories, err
		}
	}
	args := []any{account}
	where := c.whereRepository(&args)
	err = tx.one(ctx, `SELECT count(*)`+fromRepositories+` WHERE p.account_id = $1 AND `+visibleRepository+where, args, &total)
	return total, err
}

func (tx *Tx) registryGeneration(ctx context.Context, account int64) (generation int64, err error) {
	return generation, tx.one(ctx, `SELECT registry_generation FROM accounts WHERE id = $1`, []any{account}, &generation)
}

func (tx *Tx) repositoryPage(ctx context.Context, account int64, c *Criteria, s stretch) ([]portolan.Repository, error) {
	if s.limit <= 0 {
		return nil, nil
	}
	args := []any{account}
	where := c.whereRepository(&args)
	n := len(args)
	from := walkRepositories + ` WHERE p.account_id`
	if c.oneRegistry() {
		from = fromRepositories + ` AND ` + visibleRepository + ` WHERE r.account_id` // as their own index has them
	}
	list, err := collect(ctx, tx, scanRepository, fmt.Sprintf(`SELECT `+repositoryFields+` FROM (SELECT p.id%s = $1%s
			ORDER BY p.id %s LIMIT $%d OFFSET $%d) x JOIN repositories p ON p.id = x.id JOIN registries r ON r.id = p.registry_id ORDER BY x.id DESC`,
		from, where, s.direction(), n+1, n+2), append(args, s.limit, s.offset)...)
	return list, err
}

// repositoriesByID answers repositories, the newest first, as their ids are.
func (tx *Tx) repositoriesByID(ctx context.Context, ids []int64) ([]portolan.Repository, error) {
	var list []portolan.Repository
	for part := range slices.Chunk(ids, fetchBatch) {
		var args []any
		more, err := collect(ctx, tx, scanRepository, `SELECT `+repositoryFields+fromRepositories+` WHERE p.id `+amongNumbers(tx, &args, part)+` ORDER BY p.id DESC`, args...)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

const repositoryFields = `p.repo_id, p.namespace, p.name, ` + publishedAccess + `, ` + publishedCount + `,
	r.id, r.account_id, r.type, r.region_id, r.instance_id, r.domain_name, r.port, r.protocol, r.net_type`

func scanRepository(row scanner) (portolan.Repository, error) {
	r := &portolan.Registry{}
	p := portolan.Repository{Registry: r}
	err := row.Scan(&p.RepoID, &p.Namespace, &p.Name, &p.Visibility, &p.ImageCount,
		&r.ID, &r.AccountID, &r.Type, &r.RegionID, &r.InstanceID, &r.DomainName, &r.Port, &r.Protocol, &r.NetType)
	return p, err
}

// recentImages is how many images are looked at for the values of a field of
// theirs: of a million it would take seconds to find that few have a text.
const recentImages = 10_000

// Distinct answers up to limit distinct values of a field, in order, that
// contain a text, compared folded, over the account's visible rows. Values of
// images are the newest of the 10,000 images that were updated last; a whole
// digest or uuid is found in all.
func (db *DB) Distinct(ctx context.Context, account int64, f Field, containing string, limit int) (list []string, err error) {
	if !utf8.ValidString(containing) || strings.Contains(containing, "\x00") {
		return nil, nil
	}
	column, ok := map[Field]string{
		FieldRepoName: "p.name", FieldRepoNamespace: "p.namespace", FieldInstance: "r.instance_id", FieldRepo: "p.repo_id",
		FieldRegion: "r.region_id", FieldDigest: "i.digest", FieldImageID: "i.image_id", FieldUUID: "i.uuid", FieldTag: "i.tags",
	}[f]
	if !ok {
		return nil, fmt.Errorf("field %s has no distinct values", f)
	}
	find := (*Tx).distinct
	if f.ofImage() {
		find = (*Tx).recentValues
	}
	containing = portolan.Fold(containing)
	err = db.View(ctx, func(tx *Tx) error {
		list, err = find(tx, ctx, account, column, containing, limit)
		return err
	})
	if err != nil || len(list) > 0 {
		return list, err
	}
	return db.wholeValue(ctx, account, f, containing)
}

// wholeValue answers a digest or uuid if there is an image with it.
func (db *DB) wholeValue(ctx context.Context, account int64, f Field, text string) ([]string, error) {
	switch f {
	case FieldUUID:
	case FieldDigest:
		d, err := portolan.ParseDigest(text)
		if err != nil {
			return nil, nil // a part of one
		}
		text = string(d)
	default:
		return nil, nil
	}
	images, _, err := db.Images(ctx, account, Criteria{Terms: []Term{{Field: f, Values: []string{text}}}}, 1, 1)
	if err != nil || len(images) == 0 {
		return nil, err
	}
	return []string{text}, nil
}

// distinct is Distinct for fields of repositories.
func (tx *Tx) distinct(ctx context.Context, account int64, column, containing string, limit int) ([]string, error) {
	folded := "LOWER(" + column + ")" // of ASCII
	if column == "p.name" || column == "p.namespace" {
		folded = column + "_folded"
	}
	return collect(ctx, tx, scanValue[string],
		`SELECT DISTINCT `+column+fromRepositories+` WHERE p.account_id = $1 AND `+visibleRepository+` AND `+column+` <> '' AND @INSTR(`+folded+`, CAST($2 AS TEXT)) > 0
		ORDER BY 1 LIMIT $3`, account, containing, limit)
}

// recentValues is Distinct for fields of images. An image has several tags in
// one text.
func (tx *Tx) recentValues(ctx context.Context, account int64, column, containing string, limit int) (list []string, err error) {
	err = each(ctx, tx, func(row scanner) error {
		values, err := scanValue[string](row)
		if err != nil {
			return err
		}
		for v := range strings.SplitSeq(values, "\n") {
			at, known := slices.BinarySearch(list, v)
			if known || v == "" || !strings.Contains(portolan.Fold(v), containing) {
				continue
			}
			if list = slices.Insert(list, at, v); len(list) == limit {
				return errEnough
			}
		}
		return nil
	}, `SELECT `+column+walkImages+` WHERE i.account_id = $1 ORDER BY i.updated DESC, i.uuid DESC LIMIT $2`, account, tx.db.recent)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, err
}
