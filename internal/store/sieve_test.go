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
	const eras = 70
	random := rand.New(rand.NewPCG(1, 2))
	s := newSieve()
	known := make([][]string, eras)
	for era := range known {
		for range eraSize {
			d := fmt.Sprintf("%08x", random.Uint32())
			known[era] = append(known[era], d)
			s.put(int64(era), d)
		}
	}
	for era, digits := range known {
		for _, d := range digits[:100] {
			if list := s.eras(d); !slices.Contains(list, int64(era)) {
				t.Fatalf("%s of era %d is in %v", d, era, list)
			}
		}
	}
	wrong, asked := 0, 10_000
	for range asked {
		wrong += len(s.eras(fmt.Sprintf("x%07x", random.Uint32()>>4)))
	}
	if wrong > asked*eras/150 {
		t.Errorf("%d eras are named for %d digests that are in none", wrong, asked)
	}
}
