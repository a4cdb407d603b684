package store

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"

	"portolan"
)

// eraSize is how many images in a row SQLite's index of digests keeps together:
// digests come at random, and the pages that a reading writes to are then those
// of its own era, which are few. It is part of the schema.
const eraSize = 16_384

// sieve tells in which eras a digest may be, so that it need not be looked for
// in all, and mostly in none. It has a bit for each place and era, and three
// places for each digest: with the 2 MB that a million ids take, one era in 200
// is wrong. Images are taken in when they are asked for: ids only grow. A
// report changes digests later, of a CI/CD registry, which is not asked for here.
type sieve struct {
	seed maphash.Seed

	mu     sync.Mutex
	begun  bool
	taken  int64      // all images up to this id are in
	groups [][]uint64 // by 64 eras, by place
}

const (
	sieveBits  = 18
	placesEach = 3
	groupSize  = 64
)

func newSieve() *sieve { return &sieve{seed: maphash.MakeSeed()} }

// places are where a digest's digits are, by their hash.
func (s *sieve) places(digits string) (places [placesEach]uint64) {
	h := maphash.String(s.seed, digits)
	for n := range places {
		places[n] = h >> (n * sieveBits) & (1<<sieveBits - 1)
	}
	return places
}

func (s *sieve) put(era int64, digits string) {
	for int64(len(s.groups))*groupSize <= era {
		s.groups = append(s.groups, nil)
	}
	group := &s.groups[era/groupSize]
	if *group == nil {
		*group = make([]uint64, 1<<sieveBits)
	}
	for _, p := range s.places(digits) {
		(*group)[p] |= 1 << (era % groupSize)
	}
}

// eras answers the eras in which digits may be.
func (s *sieve) eras(digits string) (list []int64) {
	places := s.places(digits)
	for n, group := range s.groups {
		if group == nil {
			continue
		}
		found := ^uint64(0)
		for _, p := range places {
			found &= group[p]
		}
		for era := int64(n) * groupSize; found != 0; era, found = era+1, found>>1 {
			if found&1 != 0 {
				list = append(list, era)
			}
		}
	}
	return list
}

// take takes in the images that were added since: at first the eras that are
// over, from the index. What is not committed it must not see, for then its ids
// may be given out again: it is not for writing transactions.
func (s *sieve) take(ctx context.Context, tx *Tx) error {
	if !s.begun {
		var last int64
		if err := tx.one(ctx, `SELECT COALESCE(MAX(id), 0) / @ERA FROM images`, nil, &last); err != nil {
			return err
		}
		for era := (s.taken + 1) / eraSize; era < last; era++ {
			if _, err := s.takeRows(ctx, tx, `SELECT id, substr(digest, 8, 8) FROM images i WHERE i.id / @ERA = $1`, era); err != nil {
				return err
			}
			s.taken = (era+1)*eraSize - 1
		}
		s.begun = true
	}
	last, err := s.takeRows(ctx, tx, `SELECT id, substr(digest, 8, 8) FROM images WHERE id > $1 ORDER BY id`, s.taken)
	s.taken = max(s.taken, last)
	return err
}

// takeRows answers the id of the last row.
func (s *sieve) takeRows(ctx context.Context, tx *Tx, query string, from int64) (last int64, err error) {
	err = each(ctx, tx, func(row scanner) error {
		var id int64
		var digits string
		if err := row.Scan(&id, &digits); err != nil {
			return err
		}
		last = id
		s.put(id/eraSize, digits)
		return nil
	}, query, from)
	return last, err
}

// digitsPlace is where an image may be: its era and its digits.
type digitsPlace = [2]any

// placesOf answers where images with digits may be.
func (tx *Tx) placesOf(ctx context.Context, digits []string) (places []digitsPlace, err error) {
	s := tx.db.sieve
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.take(ctx, tx); err != nil {
		return nil, err
	}
	for _, d := range digits {
		for _, era := range s.eras(d) {
			places = append(places, digitsPlace{era, d})
		}
	}
	return places, nil
}

// amongDigests answers what images i are selected from, and the condition that
// their digests are among some.
func (tx *Tx) amongDigests(ctx context.Context, args *[]any, digests []portolan.Digest) (from, condition string, err error) {
	digits := make([]string, len(digests))
	for n, d := range digests {
		const before, indexed = len("sha256:"), 8
		digits[n] = string(d[min(before, len(d)):min(before+indexed, len(d))])
	}
	if tx.db.sieve == nil {
		return `images i`, `substr(i.digest, 8, 8) ` + amongTexts(tx, args, digits) + ` AND i.digest ` + amongTexts(tx, args, digests), nil
	}
	slices.Sort(digits)
	places, err := tx.placesOf(ctx, slices.Compact(digits))
	if err != nil || len(places) == 0 {
		return `images i`, nothing, err
	}
	list, err := json.Marshal(places)
	if err != nil {
		return "", "", err
	}
	*args = append(*args, string(list))
	return fmt.Sprintf(`json_each($%d) q CROSS JOIN images i`, len(*args)),
		`i.id / @ERA = q.value ->> 0 AND substr(i.digest, 8, 8) = q.value ->> 1 AND i.digest ` + amongTexts(tx, args, digests), nil
}
