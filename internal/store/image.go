package store

import (
	"context"
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
	publishedCount    = `CASE WHEN p.staged <= r.published THEN p.staged_count ELSE p.image_count END`
	fromImages        = ` FROM images i JOIN registries r ON r.id = i.registry_id JOIN repositories p ON p.id = i.repository_id`
	fromRepositories  = ` FROM repositories p JOIN registries r ON r.id = p.registry_id`
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
		if total, err = tx.countImages(ctx, account, c, registries); err != nil {
			return err
		}
		list, err = tx.imagePage(ctx, account, c, skipped(page, size), size, total)
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

// countImages counts without looking at images where the counts of registries
// or repositories tell it: those of registries from memory, if they belong to
// the state that the transaction sees.
func (tx *Tx) countImages(ctx context.Context, account int64, c Criteria, registries *Registries) (total int, err error) {
	if c.ofRegistries() {
		images, generation := registries.imagesOf(&c)
		var now int64
		if err := tx.one(ctx, `SELECT registry_generation FROM accounts WHERE id = $1`, []any{account}, &now); err != nil || now == generation {
			return images, err
		}
	}
	args := []any{account}
	where := c.where(&args)
	switch {
	case c.ofRegistries():
		err = tx.one(ctx, `SELECT COALESCE(SUM(r.image_count), 0) FROM registries r WHERE r.account_id = $1 AND r.deleted = 0`+where, args, &total)
	case c.ofRepositories():
		err = tx.one(ctx, `SELECT COALESCE(SUM(`+publishedCount+`), 0)`+fromRepositories+` WHERE p.account_id = $1 AND `+visibleRepository+where, args, &total)
	default:
		err = tx.one(ctx, `SELECT count(*)`+fromImages+` WHERE i.account_id = $1 AND `+visibleImage+where, args, &total)
	}
	return total, err
}

// imagePage reads from the nearer end of the order, so that the last pages are
// as quick as the first.
func (tx *Tx) imagePage(ctx context.Context, account int64, c Criteria, offset, limit, total int) ([]portolan.Image, error) {
	limit = min(limit, total-offset)
	if limit <= 0 {
		return nil, nil
	}
	direction, backwards := "DESC", offset > total/2
	if backwards {
		direction, offset = "ASC", total-offset-limit
	}
	args := []any{account}
	where := c.where(&args)
	n := len(args)
	order := "i.updated"
	if c.few() {
		order = "+i.updated" // found by their key and sorted, not met in the order's index
	}
	list, err := collect(ctx, tx, scanImage, fmt.Sprintf(`SELECT `+imageFields+fromImages+` WHERE i.account_id = $1 AND `+visibleImage+`%s
		ORDER BY %s %s, i.uuid %[3]s LIMIT $%d OFFSET $%d`, where, order, direction, n+1, n+2), append(args, limit, offset)...)
	if backwards {
		slices.Reverse(list)
	}
	return list, err
}

const imageFields = `i.uuid, i.digest, i.tags, i.tag_times, i.media_type, i.artifact_type, i.image_id, i.size, i.platforms,
	i.created, i.pushed, i.updated, i.first_seen, p.repo_id, p.namespace, p.name, p.visibility,
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
		in := marks(&args, uuids)
		var err error
		list, err = collect(ctx, tx, scanImage, `SELECT `+imageFields+fromImages+` WHERE i.account_id = $1 AND `+visibleImage+` AND i.uuid IN (`+in+`)`, args...)
		return err
	})
	return list, err
}

// Repositories answers a page (from 1) of an account's repositories by id, the
// newest first, and the number of all that the criteria select.
func (db *DB) Repositories(ctx context.Context, account int64, c Criteria, page, size int) (list []portolan.Repository, total int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		args := []any{account}
		where := c.whereRepository(&args)
		if err := tx.one(ctx, `SELECT count(*)`+fromRepositories+` WHERE p.account_id = $1 AND `+visibleRepository+where, args, &total); err != nil {
			return err
		}
		n := len(args)
		list, err = collect(ctx, tx, scanRepository, fmt.Sprintf(`SELECT p.repo_id, p.namespace, p.name, p.visibility, `+publishedCount+`,
			r.id, r.account_id, r.type, r.region_id, r.instance_id, r.domain_name, r.port, r.protocol, r.net_type`+fromRepositories+`
			WHERE p.account_id = $1 AND `+visibleRepository+`%s ORDER BY p.id DESC LIMIT $%d OFFSET $%d`, where, n+1, n+2),
			append(args, size, skipped(page, size))...)
		return err
	})
	return list, total, err
}

func scanRepository(row scanner) (portolan.Repository, error) {
	r := &portolan.Registry{}
	p := portolan.Repository{Registry: r}
	err := row.Scan(&p.RepoID, &p.Namespace, &p.Name, &p.Visibility, &p.ImageCount,
		&r.ID, &r.AccountID, &r.Type, &r.RegionID, &r.InstanceID, &r.DomainName, &r.Port, &r.Protocol, &r.NetType)
	return p, err
}

// Distinct answers up to limit distinct values of a field, in order, that
// contain a text, compared folded, over the account's visible rows.
func (db *DB) Distinct(ctx context.Context, account int64, f Field, containing string, limit int) ([]string, error) {
	columns := map[Field]string{
		FieldRepoName: "p.name", FieldRepoNamespace: "p.namespace", FieldInstance: "r.instance_id", FieldRepo: "p.repo_id",
		FieldRegion: "r.region_id", FieldTag: "i.tag", FieldDigest: "i.digest", FieldImageID: "i.image_id", FieldUUID: "i.uuid",
	}
	column, ok := columns[f]
	if !ok {
		return nil, fmt.Errorf("field %s has no distinct values", f)
	}
	// The other columns are ASCII.
	folded := map[Field]string{FieldRepoName: "p.name_folded", FieldRepoNamespace: "p.namespace_folded"}[f]
	if folded == "" {
		folded = "LOWER(" + column + ")"
	}
	if !utf8.ValidString(containing) || strings.Contains(containing, "\x00") {
		return nil, nil
	}
	c := Criteria{Terms: []Term{{Field: f, Values: []string{containing}}}}
	from, visible, owner := fromRepositories, visibleRepository, "p.account_id"
	if !c.ofRepositories() {
		from, visible, owner = fromImages, visibleImage, "i.account_id"
	}
	var list []string
	err := db.View(ctx, func(tx *Tx) error {
		var err error
		list, err = collect(ctx, tx, func(row scanner) (v string, err error) { return v, row.Scan(&v) },
			`SELECT DISTINCT `+column+from+` WHERE `+owner+` = $1 AND `+visible+` AND `+column+` <> '' AND @INSTR(`+folded+`, CAST($2 AS TEXT)) > 0
			ORDER BY 1 LIMIT $3`, account, portolan.Fold(containing), limit)
		return err
	})
	return list, err
}

// Recount counts a registry's visible images row by row, for checks: it must
// equal ImageCount.
func (db *DB) Recount(ctx context.Context, registry int64) (images, inRepositories, kept int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		if err := tx.one(ctx, `SELECT count(*)`+fromImages+` WHERE i.registry_id = $1 AND `+visibleImage, []any{registry}, &images); err != nil {
			return err
		}
		if err := tx.one(ctx, `SELECT COALESCE(SUM(`+publishedCount+`), 0)`+fromRepositories+` WHERE p.registry_id = $1 AND `+visibleRepository,
			[]any{registry}, &inRepositories); err != nil {
			return err
		}
		return tx.one(ctx, `SELECT image_count FROM registries WHERE id = $1`, []any{registry}, &kept)
	})
	return images, inRepositories, kept, err
}
