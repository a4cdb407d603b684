package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// tell reports images and answers the receipts.
func (f *fixture) tell(list ...store.Report) []store.Receipt {
	f.Helper()
	for i := range list {
		list[i].TaskID, list[i].NewUUID = strings.ReplaceAll(uuid.NewString(), "-", ""), uuid.Must(uuid.NewV7()).String()
		if list[i].AccountID == 0 {
			list[i].AccountID = account
		}
	}
	receipts, err := f.Report(f.Context(), list)
	f.must(err)
	return receipts
}

// told is tell for one that has to be kept; it answers its Uuid.
func (f *fixture) told(q store.Report) string {
	f.Helper()
	r := f.tell(q)[0]
	f.must(r.Err)
	return r.UUID
}

// shown is what the lists have of a registry: path, digest and tags, by Uuid.
func (f *fixture) shown(registry int64) map[string]string {
	f.Helper()
	c := store.Criteria{Terms: []store.Term{{Field: store.FieldInstance, Values: []string{fmt.Sprint(registry)}}}}
	list, total, err := f.Images(f.Context(), account, c, 1, 1000)
	f.must(err)
	if total != len(list) {
		f.Errorf("%d images are listed, the total is %d", len(list), total)
	}
	repositories, n, err := f.Repositories(f.Context(), account, c, 1, 1000)
	f.must(err)
	r, err := f.Registry(f.Context(), account, registry)
	f.must(err)
	if n != len(repositories) || n != r.RepositoryCount {
		f.Errorf("%d repositories are listed, the total is %d, the registry has %d", len(repositories), n, r.RepositoryCount)
	}
	f.exact(registry, len(list))
	shown := map[string]string{}
	for _, i := range list {
		var tags []string
		for _, t := range i.Tags {
			tags = append(tags, t.Name)
		}
		shown[i.UUID] = strings.Trim(fmt.Sprint(i.Repository.Path(), " ", strings.TrimLeft(i.Digest.Wire(), "0"), " ", strings.Join(tags, ",")), " ")
	}
	return shown
}

func (f *fixture) shows(registry int64, want map[string]string) {
	f.Helper()
	if d := cmp.Diff(want, f.shown(registry)); d != "" {
		f.Errorf("images (-want +got):\n%s", d)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		one := f.told(store.Report{RegistryID: r, Path: "team/app", Tag: "v1", Digest: digest(1), Build: "b1"})
		f.shows(r, map[string]string{one: "team/app 1 v1"})

		// The same again refreshes: the same Uuid, nothing new.
		f.pass(time.Minute)
		if again := f.told(store.Report{RegistryID: r, Path: "team/app", Tag: "v1", Digest: digest(1), Build: "b2"}); again != one {
			t.Errorf("the same image is %s and then %s", one, again)
		}
		got, err := f.Registry(t.Context(), account, r)
		f.must(err)
		if got.JenkinsEnv != "b2" || got.SyncStatus != portolan.SyncOK || !got.LastSync.Equal(f.now()) {
			t.Errorf("the registry is %+v", got)
		}
		// Another tag, then a report without one.
		f.told(store.Report{RegistryID: r, Path: "team/app", Tag: "latest", Digest: digest(1)})
		f.told(store.Report{RegistryID: r, Path: "team/app", Digest: digest(1)})
		f.shows(r, map[string]string{one: "team/app 1 latest,v1"})
		// A new digest takes the tag along.
		two := f.told(store.Report{RegistryID: r, Path: "team/app", Tag: "latest", Digest: digest(2)})
		f.shows(r, map[string]string{one: "team/app 1 v1", two: "team/app 2 latest"})
		// A tag alone is the image that has it.
		if by := f.told(store.Report{RegistryID: r, Path: "team/app", Tag: "latest"}); by != two {
			t.Errorf("latest is %s, want %s", by, two)
		}
		// In another repository it is another image.
		three := f.told(store.Report{RegistryID: r, Path: "app", Tag: "latest", Digest: digest(2)})
		f.shows(r, map[string]string{one: "team/app 1 v1", two: "team/app 2 latest", three: "app 2 latest"})
	})
}

func TestReportWithoutDigest(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		a := f.told(store.Report{RegistryID: r, Path: "app", Tag: "a"})
		b := f.told(store.Report{RegistryID: r, Path: "app", Tag: "b"})
		f.shows(r, map[string]string{a: "app  a", b: "app  b"})
		// Its digest becomes known: it is the same image.
		if is := f.told(store.Report{RegistryID: r, Path: "app", Tag: "a", Digest: digest(1)}); is != a {
			t.Errorf("it became %s, want %s", is, a)
		}
		// The other turns out to be that image, too.
		if is := f.told(store.Report{RegistryID: r, Path: "app", Tag: "b", Digest: digest(1)}); is != a {
			t.Errorf("b is %s, want %s", is, a)
		}
		f.shows(r, map[string]string{a: "app 1 a,b"})
		// By its Uuid a build can name an image without its tag.
		c := f.told(store.Report{RegistryID: r, Path: "app", Tag: "c"})
		if is := f.told(store.Report{RegistryID: r, Path: "app", Digest: digest(3), UUID: c}); is != c {
			t.Errorf("c became %s, want %s", is, c)
		}
		if is := f.told(store.Report{RegistryID: r, Path: "app", Tag: "c2", UUID: c}); is != c {
			t.Errorf("c2 is %s, want %s", is, c)
		}
		f.shows(r, map[string]string{a: "app 1 a,b", c: "app 3 c,c2"})
		// One that it does not know is ignored.
		d := f.told(store.Report{RegistryID: r, Path: "other", Tag: "d", UUID: c})
		f.shows(r, map[string]string{a: "app 1 a,b", c: "app 3 c,c2", d: "other  d"})
	})
}

func TestReportRefused(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		ci, pull := f.add(account, "ci", portolan.CICD), f.add(account, "pull", portolan.OCI)
		got := f.tell(
			store.Report{RegistryID: ci, Path: "app", Tag: "a"},
			store.Report{RegistryID: pull, Path: "app", Tag: "a"},
			store.Report{RegistryID: 999, Path: "app", Tag: "a"},
			store.Report{RegistryID: ci, AccountID: other, Path: "app", Tag: "a"},
			store.Report{RegistryID: ci, Path: "app", Tag: "b"},
		)
		for i, want := range []error{nil, store.ErrNotFound, store.ErrNotFound, nil, nil} {
			if i != 3 && !errors.Is(got[i].Err, want) {
				t.Errorf("report %d: %v, want %v", i, got[i].Err, want)
			}
		}
		if n := len(f.shown(ci)); n < 2 {
			t.Errorf("%d images", n)
		}
		f.exact(pull, 0)
	})
}

// Whatever is reported in whatever order, counts are what the lists show, no
// tag names two images, and no digest is there twice.
func TestReportsAtRandom(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		chance := rand.New(rand.NewPCG(7, 11))
		tags, uuids := []string{"", "a", "b", "c", "d"}, []string{""}
		for range 150 {
			batch := make([]store.Report, 1+chance.IntN(6))
			for i := range batch {
				q := store.Report{RegistryID: r, Path: fmt.Sprint("app", chance.IntN(2)), Tag: tags[chance.IntN(len(tags))], UUID: uuids[chance.IntN(len(uuids))]}
				if n := chance.IntN(5); n > 0 || q.Tag == "" {
					q.Digest = digest(1 + n)
				}
				batch[i] = q
			}
			for _, receipt := range f.tell(batch...) {
				f.must(receipt.Err)
				uuids = append(uuids[max(0, len(uuids)-8):], receipt.UUID)
			}
			f.pass(time.Duration(chance.IntN(200)) * time.Hour)
			for {
				n, err := f.ExpireReported(t.Context(), 2)
				f.must(err)
				if n == 0 {
					break
				}
			}
			if chance.IntN(4) == 0 {
				f.purge()
			}
			f.consistent(r)
		}
	})
}

func (f *fixture) consistent(registry int64) {
	f.Helper()
	var seen []string
	tags := 0
	for _, text := range f.shown(registry) {
		parts := strings.SplitN(text+"  ", " ", 3)
		if parts[1] != "" {
			seen = append(seen, parts[0]+"@"+parts[1])
		}
		for tag := range strings.SplitSeq(strings.TrimSpace(parts[2]), ",") {
			if tag != "" {
				seen = append(seen, parts[0]+":"+tag)
				tags++
			}
		}
	}
	slices.Sort(seen)
	if len(slices.Compact(slices.Clone(seen))) != len(seen) {
		f.Fatalf("there twice: %v", seen)
	}
	if n := f.rows("reported_tags", "1 = 1"); n != tags {
		f.Fatalf("%d tags are kept, %d are shown", n, tags)
	}
}

func TestExpireReported(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		pull := f.add(account, "pull", portolan.OCI)
		f.fill(pull, "app", f.image(9, "old"))
		expire := func(want int) {
			t.Helper()
			if n, err := f.ExpireReported(t.Context(), 10); err != nil || n != want {
				t.Errorf("%d expired, %v; want %d", n, err, want)
			}
		}
		a := f.told(store.Report{RegistryID: r, Path: "app", Tag: "a", Digest: digest(1)})
		b := f.told(store.Report{RegistryID: r, Path: "lib", Tag: "b"})
		f.pass(15 * day)
		c := f.told(store.Report{RegistryID: r, Path: "app", Tag: "c", Digest: digest(2)})
		f.pass(15 * day)
		expire(0) // not silent for longer than 30 days
		f.pass(time.Millisecond)

		expire(2)
		expire(0)
		f.shows(r, map[string]string{c: "app 2 c"})
		f.exact(pull, 1) // age alone removes nothing of a registry that is read

		// Within the time that it is remembered it comes back as itself.
		f.pass(29 * day)
		f.purge()
		if is := f.told(store.Report{RegistryID: r, Path: "app", Digest: digest(1)}); is != a {
			t.Errorf("it came back as %s, want %s", is, a)
		}
		if is := f.told(store.Report{RegistryID: r, Path: "lib", Tag: "b"}); is != b {
			t.Errorf("b came back as %s, want %s", is, b)
		}
		f.shows(r, map[string]string{a: "app 1", b: "lib  b", c: "app 2 c"})
		expire(1) // c
		f.pass(31 * day)
		expire(2)
		f.pass(31 * day)
		f.purge()
		if n := f.rows("images", "last_seen > 0") + f.rows("repositories", "gone > 0") + f.rows("reported_tags", "1 = 1"); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if is := f.told(store.Report{RegistryID: r, Path: "app", Digest: digest(1)}); is == a {
			t.Errorf("what was forgotten came back as itself")
		}
	})
}

// Fewer days act at the next run.
func TestExpireAfterFewerDays(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		f.told(store.Report{RegistryID: r, Path: "app", Tag: "a"})
		f.pass(2 * day)
		f.update(func(ctx context.Context, tx *store.Tx) error {
			g, err := tx.Registry(ctx, account, r)
			if err != nil {
				return err
			}
			g.PersistenceDay = 1
			return tx.SetRegistry(ctx, g, nil)
		})
		if n, err := f.ExpireReported(t.Context(), 10); err != nil || n != 1 {
			t.Errorf("%d expired, %v", n, err)
		}
	})
}

func TestTasks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		q := store.Report{RegistryID: r, AccountID: account, Path: "app", Tag: "a", Build: "7", TaskID: strings.Repeat("ab", 16), NewUUID: uuid.NewString()}
		_, err := f.Report(t.Context(), []store.Report{q})
		f.must(err)
		task, err := f.Task(t.Context(), account, q.TaskID)
		f.must(err)
		if task.RegistryID != r || task.UUID != q.NewUUID || !task.Created.Equal(f.now().Truncate(time.Millisecond)) || task.Build != "7" || task.Image == nil {
			t.Errorf("task %+v", task)
		}
		if _, err := f.Task(t.Context(), other, q.TaskID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another account's task: %v", err)
		}
		f.pass(89 * day)
		f.purge()
		if _, err := f.Task(t.Context(), account, q.TaskID); err != nil {
			t.Errorf("after 89 days: %v", err)
		}
		f.pass(2 * day)
		f.purge()
		if _, err := f.Task(t.Context(), account, q.TaskID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after 91 days: %v", err)
		}
	})
}

func TestTokens(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r, pull := f.add(account, "ci", portolan.CICD), f.add(account, "pull", portolan.OCI)
		set := func(hash string, grace time.Duration) {
			until := time.Time{}
			if grace > 0 {
				until = f.now().Add(grace)
			}
			f.update(func(ctx context.Context, tx *store.Tx) error {
				return tx.SetToken(ctx, account, r, hash, []byte(hash), until)
			})
		}
		known := func(hash string, want bool) {
			t.Helper()
			got, err := f.HolderOf(t.Context(), account, []byte(hash))
			if want && (err != nil || got.ID != r) || !want && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: %v, known should be %t", hash, err, want)
			}
			if _, err := f.HolderOf(t.Context(), other, []byte(hash)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("another account knows %s: %v", hash, err)
			}
		}
		set("one", 0)
		f.pass(time.Second)
		set("two", 0)
		known("one", false)
		known("two", true)
		set("three", time.Hour)
		known("two", true)
		var tokens store.Tokens
		right := func(t store.Tokens) bool { tokens = t; return true }
		h, err := f.Holder(t.Context(), r, right)
		f.must(err)
		if string(tokens.Hash) != "three" || string(tokens.OldHash) != "two" || !tokens.OldUntil.Equal(f.now().Add(time.Hour)) ||
			h.Registry.TokenPrefix != "three" || !h.Registry.Modified.Equal(f.now()) || h.Suspended || !h.Known {
			t.Errorf("tokens %+v, holder %+v", tokens, h)
		}
		if h, err := f.Holder(t.Context(), r, func(store.Tokens) bool { return false }); err != nil || !h.Known || h.Registry != nil {
			t.Errorf("with a wrong token: %+v, %v", h, err)
		}
		f.pass(time.Hour)
		known("two", false)
		known("three", true)
		err = f.Update(t.Context(), func(tx *store.Tx) error {
			return tx.SetToken(t.Context(), account, pull, "x", []byte("x"), time.Time{})
		})
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a registry that is read got a token: %v", err)
		}
		if h, err := f.Holder(t.Context(), pull, right); err != nil || h.Known || h.Registry != nil {
			t.Errorf("a registry that is read is a holder: %+v, %v", h, err)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteRegistry(ctx, account, r) })
		known("three", false)
		if h, err := f.Holder(t.Context(), r, right); err != nil || h.Known || h.Registry != nil {
			t.Errorf("a deleted registry is a holder: %+v, %v", h, err)
		}
	})
}
