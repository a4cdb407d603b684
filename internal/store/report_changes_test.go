package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// What reports change, and what expires, is among the changes: once for each
// image of a transaction, and nothing that nobody could see.
func TestReportChanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		seen := 0
		expect := func(what string, want ...string) {
			t.Helper()
			list, total, err := f.Changes(t.Context(), account, store.ChangeFilter{RegistryID: r}, 1, 1000)
			f.must(err)
			if total != len(list) {
				t.Errorf("%s: %d changes, the total is %d", what, len(list), total)
			}
			var got []string
			for _, c := range list[:total-seen] { // the newest come first
				got = append(got, fmt.Sprintf("%s %s %.9s %v %v", c.Kind, c.Path, c.Digest.Wire()[min(len(c.Digest.Wire()), 55):], c.Before, c.After))
			}
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", what, d)
			}
			seen = total
			f.pass(time.Second)
		}
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "v1", Digest: digest(1)}, store.Report{RegistryID: r, Path: "app", Tag: "latest", Digest: digest(1)})
		expect("a new image", "added app 000000001 [] [latest v1]")
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "v1", Digest: digest(1), Build: "again"})
		expect("the same again")
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "latest", Digest: digest(2)})
		expect("a tag that moves", "added app 000000002 [] [latest]", "retagged app 000000001 [latest v1] [v1]")
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "x"}, store.Report{RegistryID: r, Path: "app", Tag: "x", Digest: digest(2)})
		expect("one that turns out to be another at once", "retagged app 000000002 [latest] [latest x]")
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "y"})
		expect("one of unknown digest", "added app  [] [y]")
		f.tell(store.Report{RegistryID: r, Path: "app", Tag: "y", Digest: digest(2)})
		expect("that turns out to be another", "gone app  [y] []", "retagged app 000000002 [latest x] [latest x y]")
		f.pass(31 * day)
		_, err := f.ExpireReported(t.Context(), 10)
		f.must(err)
		list, _, err := f.Changes(t.Context(), account, store.ChangeFilter{RegistryID: r, Kind: store.ChangeGone}, 1, 10)
		f.must(err)
		if len(list) != 2 {
			t.Errorf("expired: %+v", list)
		}
	})
}
