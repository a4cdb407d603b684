package quay_test

import (
	"fmt"
	"testing"
	"time"

	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/quay/quaytest"
)

// readAll reads a registry as the engine does.
func readAll(t *testing.T, fake *quaytest.Server, known *connectortest.Memory) (rows, manifests int) {
	t.Helper()
	s := openDirect(t, fake)
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, rows, manifests = inventory(t, s, known)
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rows, manifests
}

// The number of requests is what a reading costs Quay. Every reading is two
// for each token (before and after) and one if there are private repositories,
// a page for 100 repositories, and the lists of tags: one for each repository
// with fewer than 500; a longer one, after that one, pages that overlap and one
// that sees that nothing came. A first reading is one more for each digest. An
// unchanged one lists every tag all the same, for last_modified does not tell
// that an older tag is gone.
func TestRequestCounts(t *testing.T) {
	t.Parallel()
	const long1000 = 1 + 11 + 1
	for name, tt := range map[string]struct {
		counts map[string]int
		lists  int // requests for tags
	}{
		"one":                     {repositoriesOf(1, 1), 1},
		"empty":                   {repositoriesOf(1, 0), 1},
		"499 tags in one answer":  {map[string]int{"acme/many": 499}, 1},
		"1,000 tags":              {map[string]int{"acme/many": 1_000}, long1000},
		"100 repositories":        {repositoriesOf(100, 120), 100},
		"101 repositories":        {repositoriesOf(101, 1), 101},
		"2,000 repositories of 5": {repositoriesOf(2_000, 5), 2_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			digests := 0
			tags := 0
			for _, n := range tt.counts {
				tags += n
				digests += min(n, 1) // all tags of a repository name one image
			}
			every := 2 + (len(tt.counts)+99)/100 + 1 + tt.lists
			fake := quaytest.New(model(tt.counts))
			known := &connectortest.Memory{}
			for _, reading := range []struct {
				name            string
				requests, reads int
			}{{"cold", every + digests, digests}, {"unchanged", every, 0}} {
				fake.Reset()
				rows, manifests := readAll(t, fake, known)
				if got := len(fake.Requests()); got != reading.requests || manifests != reading.reads || rows != tags {
					t.Errorf("%s: %d requests, %d manifests, %d rows; want %d, %d, %d", reading.name, got, manifests, rows, reading.requests, reading.reads, tags)
				}
				for _, r := range fake.Requests() {
					mustBePolite(t, r)
				}
			}
		})
	}
}

func repositoriesOf(count, tags int) map[string]int {
	counts := map[string]int{}
	for i := range count {
		counts[fmt.Sprintf("acme/r%04d", i)] = tags
	}
	return counts
}

// Quay answers more than 5 requests a second with 429 and no word how long to
// wait.
func TestTooFast(t *testing.T) {
	t.Parallel()
	now := newClock()
	m := model(repositoriesOf(30, 2))
	m.Now, m.Burst = now.Now, 5
	fake := quaytest.New(m)
	s, transport := openPatient(t, fake, now)
	_, rows, _ := inventory(t, s, &connectortest.Memory{})
	if rows != 60 || transport.Meter().Throttled() <= 0 {
		t.Errorf("%d rows, throttled for %s", rows, transport.Meter().Throttled())
	}
	if passed := now.Now().Sub(newClock().Now()); passed > 5*time.Minute {
		t.Errorf("it took %s", passed)
	}
}
