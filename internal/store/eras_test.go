package store_test

import (
	"fmt"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// nextEra lets the next image be of a later era of SQLite's index.
func (f *fixture) nextEra(eras int64) {
	f.Helper()
	if f.Postgres() {
		return
	}
	_, err := f.Writer().ExecContext(f.Context(), fmt.Sprintf("UPDATE sqlite_sequence SET seq = seq + %d WHERE name = 'images'", eras*store.EraSize))
	f.must(err)
}

// Digests are found in whatever era their image is, also in one that was still
// growing when it was asked for.
func TestDigestsInEras(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "a", portolan.OCI)
		// All but the first have the digits that are indexed in common.
		digestOf := func(n int) portolan.Digest {
			if n == 0 {
				return portolan.Digest("sha256:" + strings.Repeat("f", 64))
			}
			return digest(n)
		}
		var asked []portolan.Digest
		for n := range 6 {
			image := f.image(n)
			image.Digest = digestOf(n)
			f.fill(r, fmt.Sprintf("app-%d", n), image)
			asked = append(asked, image.Digest)
			known, err := f.Manifests(t.Context(), account, append([]portolan.Digest{digest(99)}, asked...))
			if err != nil || len(known) != len(asked) {
				t.Errorf("%d of %d are known, %v", len(known), len(asked), err)
			}
			if n == 1 || n == 3 {
				f.nextEra(int64(n * n * 10))
			}
		}
		again := storetest.Open(t, url, store.Options{Now: f.now})
		if known, err := again.Manifests(t.Context(), account, asked); err != nil || len(known) != len(asked) {
			t.Errorf("%d of %d are known to a server that starts, %v", len(known), len(asked), err)
		}
		for n, d := range asked {
			list, total, err := f.Images(t.Context(), account, store.Criteria{Terms: []store.Term{{Field: store.FieldDigest, Values: []string{string(d), "sha256:none"}}}}, 1, 10)
			if err != nil || total != 1 || len(list) != 1 || list[0].Digest != d {
				t.Errorf("the criterion finds %d of %d, %v", len(list), n, err)
			}
		}
		if known, err := f.Manifests(t.Context(), other, asked); err != nil || len(known) != 0 {
			t.Errorf("another account knows %v, %v", known, err)
		}
	})
}

// What asks for digests looks at few places of their index, whatever else is
// asked for with them.
func TestDigestsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.fill(f.add(account, "a", portolan.OCI), "app", f.image(1))
		from, among, err := f.AmongDigests(t.Context(), digest(1), digest(2))
		f.must(err)
		queries := map[string]string{
			"of many":  `SELECT i.id FROM ` + from + ` JOIN registries r ON r.id = i.registry_id WHERE i.account_id = 1 AND ` + among,
			"before":   `SELECT i.id FROM ` + from + ` WHERE i.account_id = 1 AND ` + among + ` AND +i.repository_id IN (1, 2)`,
			"a report": f.ReportedDigest(),
		}
		digests := store.Term{Field: store.FieldDigest, Values: []string{"x", "y"}}
		for _, with := range []store.Field{"", store.FieldInstance, store.FieldRepo, store.FieldRepoName, store.FieldTag, store.FieldUUID} {
			c := store.Criteria{Terms: []store.Term{digests}}
			if with != "" {
				c.Terms = append(c.Terms, store.Term{Field: with, Values: []string{"1"}})
			}
			queries["a criterion, with "+string(with)] = f.Counting(account, &c)
		}
		for name, query := range queries {
			text := f.plan(query)
			byUUID := strings.Contains(name, "uuid") && strings.Contains(text, "images_uuid")
			if !strings.Contains(text, "images_digits") && !byUUID || strings.Contains(text, "SCAN i") {
				t.Errorf("%s: %s", name, text)
			}
		}
	})
}
