package store

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A sieve names every era that a digest is in, and hardly another.
func TestSieve(t *testing.T) {
	t.Parallel()
	eras := []int64{0, 1, 62, 63, 64, 140}
	random := rand.New(rand.NewPCG(1, 2))
	s := newSieve()
	known := map[int64][]string{}
	for _, era := range eras {
		for range eraSize {
			d := fmt.Sprintf("%08x", random.Uint32())
			known[era] = append(known[era], d)
			s.put(era, d)
		}
	}
	for era, digits := range known {
		for _, d := range digits[:100] {
			if list := s.eras(d); !slices.Contains(list, era) {
				t.Fatalf("%s of era %d is in %v", d, era, list)
			}
		}
	}
	wrong, asked := 0, 10_000
	for range asked {
		wrong += len(s.eras(fmt.Sprintf("x%07x", random.Uint32()>>4)))
	}
	if wrong > asked*len(eras)/150 {
		t.Errorf("%d eras are named for %d digests that are in none", wrong, asked)
	}
}
