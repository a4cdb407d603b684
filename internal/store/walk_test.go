package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// Pages far from either end begin at a mark that an earlier page has passed;
// those marks must not outlive a change.
func TestFarPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		id := f.add(account, "a", portolan.OCI)
		var images []portolan.Image
		for n := range 5_100 {
			images = append(images, f.image(n, fmt.Sprintf("v%d", n)))
		}
		f.fill(id, "team/app", images...)
		whole := f.pages(store.Criteria{}, 1_000)
		if got := f.pages(store.Criteria{}, 170); !slices.Equal(got, whole) {
			t.Error("small pages make another list than large ones")
		}
		f.fill(f.add(account, "b", portolan.OCI), "team/more", f.image(3, "first"))
		whole = f.pages(store.Criteria{}, 1_000)
		if len(whole) != len(images)+1 {
			t.Fatalf("%d images after one was added", len(whole))
		}
		if got := f.pages(store.Criteria{}, 170); !slices.Equal(got, whole) {
			t.Error("small pages make another list than large ones after a change")
		}
	})
}

// A tag that few images have and one that many have are found in different
// ways; the list and its total must be the same as by looking at each.
func TestTagPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		long := strings.Repeat("x", 600)
		for r := range 3 {
			var images []portolan.Image
			for n := range 700 {
				tag := fmt.Sprintf("Rel-%d-%d", r, n)
				if n%350 == 7 {
					tag += long
				}
				images = append(images, f.image(1_000*r+n, tag))
			}
			f.fill(f.add(account, fmt.Sprint(r), portolan.OCI), "team/app", images...)
		}
		f.fill(f.add(other, "x", portolan.OCI), "not/ours", f.image(1, "rel-1-1"))
		for _, text := range []string{"REL", "rel-1", "-17", "7x", "nothing"} {
			var want []string
			all, _, err := f.Images(t.Context(), account, store.Criteria{}, 1, 5_000)
			f.must(err)
			for _, i := range all {
				if strings.Contains(portolan.Fold(i.Tags[0].Name), portolan.Fold(text)) {
					want = append(want, i.UUID)
				}
			}
			c := store.Criteria{Terms: []store.Term{{Field: store.FieldTag, Values: []string{text}}}}
			if got := f.pages(c, 300); !slices.Equal(got, want) {
				t.Errorf("%s: %d images, want %d", text, len(got), len(want))
			}
		}
		searchAtOnce(f, "rel", 2_100)
	})
}

// searchAtOnce searches for a tag more often than there are connections.
func searchAtOnce(f *fixture, text string, want int) {
	f.Helper()
	var searches sync.WaitGroup
	for range 40 {
		searches.Go(func() {
			_, total, err := f.Images(f.Context(), account, store.Criteria{Terms: []store.Term{{Field: store.FieldTag, Values: []string{text}}}}, 1, 10)
			if err != nil || total != want {
				f.Errorf("%s: %d, %v", text, total, err)
			}
		})
	}
	searches.Wait()
}
