package inventory_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestReading(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		for repo := range 30 {
			r.fill(fmt.Sprintf("team/app-%d", repo), repo*50+1, 50)
		}
		r.put("team/app-0", "latest", 1)
		s := r.sync(store.SyncRequest{})
		if s.Status != portolan.SyncOK || s.Ledger.ImagesAdded != 1500 || s.Ledger.DuplicateTags != 1 || r.count() != 1500 || s.Ledger.ManifestsRead != 1500 {
			t.Fatalf("first reading: %s %+v", s.Status, s.Ledger)
		}
		if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesAdded+s.Ledger.ImagesUpdated+s.Ledger.ImagesGone+s.Ledger.ManifestsRead != 0 {
			t.Fatalf("nothing changed, yet: %+v", s.Ledger)
		}
		r.clock.add(time.Hour)
		r.put("team/app-0", "latest", 2)
		r.drop("team/app-1", 53, 1)
		if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesUpdated != 2 || s.Ledger.ImagesGone != 1 || r.count() != 1499 {
			t.Fatalf("a tag moved and one was deleted: %+v count %d", s.Ledger, r.count())
		}
		r.same()
		list, total, err := r.db.Images(t.Context(), r.account, store.Criteria{}, 1, 2)
		if err != nil || total != 1499 || len(list) != 2 || list[0].Repository.Path() != "team/app-0" {
			t.Fatalf("images: %v total %d: %+v", err, total, list)
		}
		if g := r.entry(); g.SyncStatus != portolan.SyncOK || !g.LastSync.Equal(r.clock.Now()) || g.ImageCount != 1499 {
			t.Errorf("the entry says %+v", g)
		}
	})
}

// A digest is one image in each repository; what is no image is not counted.
func TestKinds(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.put("a/app", "v1", 1)
		r.put("b/app", "v1", 1)
		r.put("b/app", "v2", 1)
		r.put("b/app", "chart", 2)
		r.kinds[digestOf(2)] = portolan.KindOther
		r.put("b/app", "sha256-"+strings.Repeat("a", 64)+".sig", 3)
		r.kinds[digestOf(3)] = portolan.KindImage
		s := r.sync(store.SyncRequest{})
		want := portolan.Ledger{
			RepositoriesListed: 2, RepositoriesRead: 2, RowsListed: 5, TagsRead: 5, ImagesSeen: 2, DuplicateTags: 1, Accessories: 1, OtherArtifacts: 1, ImagesAdded: 2,
		}
		l := s.Ledger
		l.ManifestsRead, l.Issues = 0, nil
		if fmt.Sprint(l) != fmt.Sprint(want) || r.count() != 2 {
			t.Errorf("the ledger is\n%+v, want\n%+v", l, want)
		}
		for d, n := range r.fetched {
			if n != 1 {
				t.Errorf("%s was fetched %d times", d, n)
			}
		}
		r.put("b/app", "release", 3) // what was an accessory by its tag alone
		if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesAdded != 1 || s.Ledger.DuplicateTags != 2 || s.Ledger.Accessories != 0 {
			t.Errorf("a digest with a normal tag too is judged by that: %+v", s.Ledger)
		}
		for d, n := range r.fetched {
			if n != 1 {
				t.Errorf("%s was fetched %d times", d, n)
			}
		}
	})
}

// An image keeps its Uuid when its tags change and when it is back.
func TestUUID(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.fill("app", 1, 2)
		r.sync(store.SyncRequest{})
		first := r.image("v00001")
		r.clock.add(time.Hour)
		r.put("app", "latest", 1)
		if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesUpdated != 1 {
			t.Errorf("a new tag makes a new version: %+v", s.Ledger)
		}
		if i := r.image("latest"); i.UUID != first.UUID || !i.FirstSeen.Equal(first.FirstSeen) || !i.Updated.Equal(r.clock.Now()) || len(i.Tags) != 2 {
			t.Errorf("the new version is %+v, the old %+v", i, first)
		}
		tags := r.repos["app"]
		delete(r.repos, "app")
		if r.sync(store.SyncRequest{}); r.count() != 0 {
			t.Errorf("it is gone, yet %d are counted", r.count())
		}
		r.repos["app"] = tags
		if s := r.sync(store.SyncRequest{}); s.Ledger.ImagesAdded != 2 {
			t.Errorf("it is back: %+v", s.Ledger)
		}
		if i := r.image("latest"); i.UUID != first.UUID || !i.FirstSeen.Equal(first.FirstSeen) {
			t.Errorf("back is %+v, it was %+v", i, first)
		}
		r.same()
	})
}

// image finds the only image with a tag.
func (r *rig) image(tag string) portolan.Image {
	r.t.Helper()
	list, _, err := r.db.Images(r.t.Context(), r.account, store.Criteria{Terms: []store.Term{{Field: store.FieldTagIs, Values: []string{tag}}}}, 1, 10)
	if err != nil || len(list) != 1 {
		r.t.Fatalf("images tagged %s: %v %v", tag, list, err)
	}
	return list[0]
}

// Bulk lists are used for small groups, and never believed against doubt.
func TestBulk(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		b := &bulkShelf{shelf: r.shelf, bulk: map[string]error{}, groups: map[string]int{}, changes: func(time.Time) ([]string, bool, error) { return nil, false, nil }}
		r.source = b
		for i, p := range []string{"good/a", "good/b", "bad/a", "bad/b", "short/a", "short/b"} {
			r.fill(p, i*10+1, 5)
		}
		r.fill("large/a", 100, connector.MaxBulk+1)
		b.bulk["bad"] = failing(portolan.ServerFailure)
		b.leaveOut = "short/a"
		if s := r.sync(store.SyncRequest{}); s.Status != portolan.SyncOK || s.Ledger.RepositoriesRead != 7 {
			t.Errorf("%s %+v", s.Status, s.Ledger)
		}
		r.same()
		if b.groups["good"] != 1 || b.groups["large"] != 0 || b.groups["bad"] != 1 {
			t.Errorf("groups listed: %v", b.groups)
		}
		for path, want := range map[string]int{"good/a": 0, "good/b": 0, "bad/a": 1, "bad/b": 1, "short/a": 1, "short/b": 0, "large/a": 1} {
			if b.listed[path] != want {
				t.Errorf("%s was listed %d times by itself, want %d", path, b.listed[path], want)
			}
		}
	})
}

// What a proven feed calls unchanged is skipped, but for a day at most.
func TestSkipUnchanged(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var changed []string
		proven := false
		var asked time.Time
		b := &bulkShelf{shelf: r.shelf, groups: map[string]int{}, changes: func(since time.Time) ([]string, bool, error) {
			asked = since
			return changed, proven, nil
		}}
		b.bulk = map[string]error{"x": failing(portolan.ServerFailure)}
		r.source = b
		r.fill("x/a", 1, 3)
		r.fill("x/b", 10, 3)
		skips := func(name string, want int, q store.SyncRequest) {
			t.Helper()
			if s := r.sync(q); s.Ledger.RepositoriesSkipped != want || s.Status != portolan.SyncOK {
				t.Errorf("%s: %d are skipped, want %d (%s)", name, s.Ledger.RepositoriesSkipped, want, s.Status)
			}
			r.same()
		}
		skips("nothing known", 0, store.SyncRequest{})
		started := r.clock.Now()
		r.clock.add(time.Hour)
		skips("unproven", 0, store.SyncRequest{})
		proven = true
		skips("proven", 2, store.SyncRequest{})
		if asked.After(started.Add(time.Hour)) {
			t.Errorf("changes were asked since %s", asked)
		}
		changed = []string{"x/a"}
		skips("one changed", 1, store.SyncRequest{})
		r.put("x/b", "new", 20)
		changed = nil
		skips("fingerprint differs", 1, store.SyncRequest{})
		skips("full", 0, store.SyncRequest{Full: true})
		r.clock.add(25 * time.Hour)
		skips("a day later", 0, store.SyncRequest{})
		skips("read again", 2, store.SyncRequest{})
		r.fail["x/a"] = failing(portolan.ServerFailure)
		changed = []string{"x/a"}
		r.sync(store.SyncRequest{})
		delete(r.fail, "x/a")
		changed = nil
		skips("after one that was not ok", 0, store.SyncRequest{})
	})
}
