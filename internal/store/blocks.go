package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// To look for tags in a million rows takes 300 ns a row, whatever index they
// are in. So the tags of some images of a registry are kept together once more,
// in a block, with what tells whether an image is visible. A block is derived:
// it says what the rows of its images say, to every reader, for whoever writes
// those does it by addImages, changeImages and deleteImages, and the transaction
// then writes the blocks before it ends.

const (
	// blockImages and blockBytes are the size up to which images are added to a
	// block. A row of PostgreSQL mostly fits a page then.
	blockImages = 200
	blockBytes  = 4_000
	// mostBytes is up to which a block grows when tags are added to its images.
	// Then those go to the newest one.
	mostBytes = 4 * blockBytes
	// leastImages and leastBytes are down to which it shrinks. Then all do, or a
	// registry would have more and more blocks of ever fewer images.
	leastImages = blockImages / 8
	leastBytes  = blockBytes / 8
	// mostMoved bounds the images of a registry that go to other blocks in a
	// transaction.
	mostMoved = 200
	// betweenImages is between the tags of two images: no tag has a newline, nor
	// is one empty.
	betweenImages = "\n\n"
)

// blockImage is what a block says of an image: in heads its numbers, a line
// each, in tags its tags, folded.
type blockImage struct {
	id, repository, born, gone int64
	tags                       string
}

// bytesOf is the size of images in a block.
func bytesOf(images []blockImage) (bytes int) {
	for _, i := range images {
		bytes += len(i.tags) + len(betweenImages)
	}
	return bytes
}

// changedBlocks are what a transaction changes of a registry's blocks.
type changedBlocks struct {
	// The newest block, to which images are added, with how many it has and how
	// many bytes, and the newest there was.
	known           bool
	newest, started int64
	images, bytes   int
	moved           int // images that went to it from others
	// written are the images that were written, by block, nil for deleted ones.
	written map[int64]map[int64]*blockImage
	// read are the images of the blocks that were read.
	read map[int64][]blockImage
}

func (b *changedBlocks) note(block, id int64, image *blockImage) {
	if b.written[block] == nil {
		b.written[block] = map[int64]*blockImage{}
	}
	b.written[block][id] = image
}

// lockImages has a transaction write images of registries. Until it ends no
// other one does: each would write blocks without what the other one changed of
// them. It comes before the locks of accounts and images. A reading is locked
// before it, and one that ends after its account: that is no circle, since what
// locks an account after images reports them, and such a registry is not read.
func (tx *Tx) lockImages(ctx context.Context, registries ...int64) error {
	registries = slices.Compact(slices.Sorted(slices.Values(registries)))
	tx.noteBlocks(registries...)
	if !tx.db.Postgres() { // has one writer
		return nil
	}
	_, err := tx.exec(ctx, `SELECT pg_advisory_xact_lock(-id) FROM unnest($1::bigint[]) id`, registries)
	return err
}

// noteBlocks is for registries that are locked.
func (tx *Tx) noteBlocks(registries ...int64) {
	if tx.blocks == nil {
		tx.blocks = map[int64]*changedBlocks{}
	}
	for _, id := range registries {
		if tx.blocks[id] == nil {
			tx.blocks[id] = &changedBlocks{written: map[int64]map[int64]*blockImage{}, read: map[int64][]blockImage{}}
		}
	}
}

// locked are the blocks of a registry that is locked.
func (tx *Tx) locked(registry int64) (*changedBlocks, error) {
	b := tx.blocks[registry]
	if b == nil {
		return nil, fmt.Errorf("images of registry %d are written without its lock", registry)
	}
	return b, nil
}

// newestBlock answers the blocks of a locked registry, with the newest one.
func (tx *Tx) newestBlock(ctx context.Context, registry int64) (*changedBlocks, error) {
	b, err := tx.locked(registry)
	if err != nil || b.known {
		return b, err
	}
	err = b.readFrom(ctx, tx, `registry_id = $1 ORDER BY block DESC LIMIT 1`, registry)
	for number, images := range b.read {
		if number >= b.newest {
			b.newest, b.images, b.bytes = number, len(images), bytesOf(images)
		}
	}
	b.started, b.known = b.newest, err == nil
	return b, err
}

// blockFor answers the block to which an image of a locked registry is added,
// with so many bytes of tags.
func (tx *Tx) blockFor(ctx context.Context, registry int64, bytes int) (int64, error) {
	b, err := tx.newestBlock(ctx, registry)
	if err != nil {
		return 0, err
	}
	if b.newest == 0 || b.images >= blockImages || b.images > 0 && b.bytes+bytes > blockBytes {
		b.newest, b.images, b.bytes = b.newest+1, 0, 0
	}
	b.images, b.bytes = b.images+1, b.bytes+bytes+len(betweenImages)
	return b.newest, nil
}

// newImage is an image to be added: what its block says of it, and the rest of
// its row. Its id is told when it is added.
type newImage struct {
	blockImage
	uuid string
	rest []any
}

// addImages adds images to a locked registry, the rest of whose rows has some
// columns. SQLite tells the id of a row by itself; to return it, it would keep a
// journal of each statement.
func (tx *Tx) addImages(ctx context.Context, account, registry int64, columns string, images []newImage) error {
	b, err := tx.locked(registry)
	if err != nil {
		return err
	}
	numbers, rows, at := make([]int64, len(images)), make([][]any, len(images)), make(map[string]int, len(images))
	for n := range images {
		i := &images[n]
		if numbers[n], err = tx.blockFor(ctx, registry, len(i.tags)); err != nil {
			return err
		}
		rows[n] = append([]any{account, registry, i.repository, i.born, numbers[n], i.tags, i.uuid}, i.rest...)
		at[i.uuid] = n
	}
	added := func(n int, id int64) {
		images[n].id = id
		b.note(numbers[n], id, &images[n].blockImage)
	}
	next := 0
	return tx.withRows(ctx, `INSERT INTO images (account_id, registry_id, repository_id, born, block, tags_folded, uuid, `+columns+`) @ROWS`, rows,
		func(ctx context.Context, text string, args []any) error {
			if !tx.db.Postgres() {
				id, err := tx.insert(ctx, text, args)
				added(next, id)
				next++
				return err
			}
			return each(ctx, tx, func(row scanner) error {
				var id int64
				var uuid string
				err := row.Scan(&id, &uuid)
				added(at[uuid], id)
				return err
			}, text+` RETURNING id, uuid`, args...)
		})
}

// insert adds a row to a table of SQLite and answers its id.
func (tx *Tx) insert(ctx context.Context, query string, args []any) (int64, error) {
	res, err := tx.run(ctx, query, args)
	if err != nil {
		return 0, tx.db.dialect.translate(err)
	}
	return res.LastInsertId()
}

// changeImages runs a statement that changes images of locked registries, and
// answers how many.
func (tx *Tx) changeImages(ctx context.Context, statement string, args ...any) (int64, error) {
	return tx.writeImages(ctx, false, statement, args)
}

// deleteImages is changeImages for a statement that deletes them.
func (tx *Tx) deleteImages(ctx context.Context, statement string, args ...any) (int64, error) {
	return tx.writeImages(ctx, true, statement, args)
}

// writtenColumns are what the blocks have to know of an image that was written.
const writtenColumns = `registry_id, block, id, repository_id, born, gone, tags_folded`

func (tx *Tx) writeImages(ctx context.Context, deletes bool, statement string, args []any) (written int64, err error) {
	err = each(ctx, tx, func(row scanner) error {
		var registry, block int64
		i := &blockImage{}
		if err := row.Scan(&registry, &block, &i.id, &i.repository, &i.born, &i.gone, &i.tags); err != nil {
			return err
		}
		b, err := tx.locked(registry)
		if err != nil {
			return err
		}
		written++
		id := i.id
		if deletes {
			i = nil
		}
		b.note(block, id, i)
		return nil
	}, statement+` RETURNING `+writtenColumns, args...)
	return written, err
}

// writeBlocks writes the blocks of the images that were written.
func (tx *Tx) writeBlocks(ctx context.Context) error {
	for _, registry := range slices.Sorted(maps.Keys(tx.blocks)) {
		if err := tx.writeBlocksOf(ctx, registry, tx.blocks[registry]); err != nil {
			return fmt.Errorf("write the blocks of registry %d: %w", registry, err)
		}
	}
	return nil
}

func (tx *Tx) writeBlocksOf(ctx context.Context, registry int64, b *changedBlocks) error {
	numbers := slices.Sorted(maps.Keys(b.written))
	if err := b.readThese(ctx, tx, registry, numbers); err != nil {
		return err
	}
	moving := map[int64][]blockImage{}
	for _, number := range numbers {
		before := b.read[number]
		b.read[number] = updated(before, b.written[number])
		moving[number] = misplaced(before, b.read[number], b.written[number])
		if number == b.newest {
			b.images, b.bytes = len(b.read[number]), bytesOf(b.read[number])
		}
	}
	for _, number := range numbers {
		to, err := tx.moveImages(ctx, registry, number, moving[number])
		if err != nil {
			return err
		}
		numbers = append(numbers, to...)
	}
	slices.Sort(numbers)
	return tx.putBlocks(ctx, registry, b, slices.Compact(numbers))
}

// misplaced are the images that a block should not have any more: all that are
// left of one that has shrunk, or those that have made it too large.
func misplaced(before, after []blockImage, written map[int64]*blockImage) []blockImage {
	switch bytes := bytesOf(after); {
	case len(after) < len(before) && len(after) <= leastImages && bytes <= leastBytes:
		return slices.Clone(after)
	case len(after) > 1 && bytes > mostBytes:
		return slices.DeleteFunc(slices.Clone(after), func(i blockImage) bool { return written[i.id] == nil })
	}
	return nil
}

// updated is a block's images with those that were written.
func updated(images []blockImage, written map[int64]*blockImage) []blockImage {
	list, had := make([]blockImage, 0, len(images)+len(written)), make(map[int64]bool, len(written))
	for _, i := range images {
		now, changed := written[i.id]
		if !changed {
			list = append(list, i)
			continue
		}
		if had[i.id] = true; now != nil {
			list = append(list, *now)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(written)) {
		if added := written[id]; added != nil && !had[id] {
			list = append(list, *added)
		}
	}
	return list
}

// moveImages moves images of a block to the newest one, and answers the blocks
// to which they went. If they are too many, they stay until it is written again.
func (tx *Tx) moveImages(ctx context.Context, registry, number int64, images []blockImage) (to []int64, err error) {
	if len(images) == 0 {
		return nil, nil
	}
	b, err := tx.newestBlock(ctx, registry)
	few := number == b.newest && len(images) == len(b.read[number]) && bytesOf(images) <= leastBytes
	if err != nil || few || b.moved+len(images) > mostMoved {
		return nil, err
	}
	b.moved += len(images)
	b.read[number] = slices.DeleteFunc(b.read[number], func(i blockImage) bool { return slices.Contains(images, i) })
	moved := map[int64][]int64{}
	for _, i := range images {
		newest, err := tx.blockFor(ctx, registry, len(i.tags))
		if err != nil {
			return nil, err
		}
		b.read[newest], moved[newest] = append(b.read[newest], i), append(moved[newest], i.id)
	}
	to = slices.Sorted(maps.Keys(moved))
	for _, newest := range to {
		if err := tx.inRows(ctx, `UPDATE images SET block = $1 WHERE id %s`, []any{newest}, moved[newest]); err != nil {
			return nil, err
		}
	}
	return to, nil
}

// readThese reads blocks of a registry by number that were not read before.
func (b *changedBlocks) readThese(ctx context.Context, tx *Tx, registry int64, numbers []int64) error {
	wanted := slices.DeleteFunc(slices.Clone(numbers), func(number int64) bool { return b.has(number) || b.known && number > b.started })
	for part := range slices.Chunk(wanted, fetchBatch) {
		args := []any{registry}
		if err := b.readFrom(ctx, tx, `registry_id = $1 AND block `+amongNumbers(tx, &args, part), args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *changedBlocks) has(number int64) bool {
	_, read := b.read[number]
	return read
}

func (b *changedBlocks) readFrom(ctx context.Context, tx *Tx, where string, args ...any) error {
	return each(ctx, tx, func(row scanner) error {
		var number int64
		var tags, heads string
		err := row.Scan(&number, &tags, &heads)
		if err == nil && !b.has(number) {
			b.read[number], err = blockOf(tags, heads)
		}
		return err
	}, `SELECT block, tags, heads FROM image_blocks WHERE `+where, args...)
}

// putBlocks writes blocks of a registry, and deletes those without images.
func (tx *Tx) putBlocks(ctx context.Context, registry int64, b *changedBlocks, numbers []int64) error {
	var rows [][]any
	var empty []int64
	for _, number := range numbers {
		if len(b.read[number]) == 0 {
			empty = append(empty, number)
		} else {
			rows = append(rows, blockRow(registry, number, b.read[number]))
		}
	}
	tx.blocksPut += len(rows)
	if _, err := tx.insertMany(ctx, `INSERT INTO image_blocks (registry_id, block, newest, retired, tags, heads)`, rows,
		`ON CONFLICT (registry_id, block) DO UPDATE SET newest = excluded.newest, retired = excluded.retired, tags = excluded.tags, heads = excluded.heads`); err != nil {
		return err
	}
	return tx.inRows(ctx, `DELETE FROM image_blocks WHERE registry_id = $1 AND block %s`, []any{registry}, empty)
}

func blockRow(registry, number int64, images []blockImage) []any {
	var newest, retired int64
	tags, heads := make([]string, len(images)), make([]byte, 0, 24*len(images))
	for n, i := range images {
		newest = max(newest, i.born)
		if i.gone > 0 {
			retired++
		}
		if n > 0 {
			heads = append(heads, '\n')
		}
		tags[n], heads = i.tags, i.appendHead(heads)
	}
	return []any{registry, number, newest, retired, strings.Join(tags, betweenImages), string(heads)}
}

func (i *blockImage) appendHead(b []byte) []byte {
	b = append(strconv.AppendInt(b, i.id, 10), ' ')
	b = append(strconv.AppendInt(b, i.repository, 10), ' ')
	b = append(strconv.AppendInt(b, i.born, 10), ' ')
	return strconv.AppendInt(b, i.gone, 10)
}

// blockOf reads a block's images.
func blockOf(tags, heads string) ([]blockImage, error) {
	images := make([]blockImage, 0, blockImages)
	for head := range strings.SplitSeq(heads, "\n") {
		i, err := headOf(head)
		if err != nil {
			return nil, err
		}
		i.tags, tags, _ = strings.Cut(tags, betweenImages)
		images = append(images, i)
	}
	return images, nil
}

func headOf(head string) (i blockImage, err error) {
	var numbers [4]int64
	n := 0
	for _, c := range []byte(head) {
		switch {
		case c == ' ' && n < len(numbers)-1:
			n++
		case '0' <= c && c <= '9':
			numbers[n] = numbers[n]*10 + int64(c-'0')
		default:
			return i, fmt.Errorf("the head %q of an image in a block cannot be read", head)
		}
	}
	if n < len(numbers)-1 {
		return i, fmt.Errorf("the head %q of an image in a block is too short", head)
	}
	return blockImage{id: numbers[0], repository: numbers[1], born: numbers[2], gone: numbers[3]}, nil
}

// bornIn hands on the images of a registry that were born in a generation.
func (tx *Tx) bornIn(ctx context.Context, registry, generation int64, fn func(*blockImage)) error {
	return each(ctx, tx, func(row scanner) error {
		heads, err := scanValue[string](row)
		if err != nil {
			return err
		}
		images, err := blockOf("", heads)
		for n := range images {
			if images[n].born == generation {
				fn(&images[n])
			}
		}
		return err
	}, `SELECT heads FROM image_blocks WHERE registry_id = $1 AND newest >= $2`, registry, generation)
}

// visible reports whether the image is in the lists of a registry of which a
// generation is published: visibleImage.
func (i *blockImage) visible(published int64) bool {
	return i.born <= published && (i.gone == 0 || i.gone > published)
}
