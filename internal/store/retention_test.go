package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// remembered is an image as the model has it.
type remembered struct {
	uuid string
	// since is when it was last reported or became gone.
	since time.Time
	shown bool
}

// model is what a registry should hold: images by their number.
type model struct {
	*fixture
	registry int64
	reports  bool
	days     int
	images   map[int]*remembered
}

const modelPath = "team/app"

func (m *model) numbers(fits func(*remembered) bool) []int {
	var list []int
	for _, n := range slices.Sorted(maps.Keys(m.images)) {
		if fits(m.images[n]) {
			list = append(list, n)
		}
	}
	return list
}

func isShown(i *remembered) bool { return i.shown }
func isGone(i *remembered) bool  { return !i.shown }

// add shows an image: a new one, one that is back, or one that is there.
func (m *model) add(n int) {
	m.Helper()
	i := m.images[n]
	if m.reports {
		got := m.told(store.Report{RegistryID: m.registry, Path: modelPath, Tag: fmt.Sprint("t", n), Digest: digest(n)})
		if i != nil && got != i.uuid {
			m.Errorf("image %d is back as %s, was %s", n, got, i.uuid)
		}
		m.images[n] = &remembered{got, m.now(), true}
		return
	}
	if i != nil && i.shown {
		return
	}
	image := m.image(n, fmt.Sprint("t", n))
	l := m.claim(m.registry)
	kept, err := m.Keep(m.Context(), l, []string{modelPath})
	m.must(err)
	if k := kept[modelPath]; k != nil {
		former := store.Former{RepositoryID: k.ID, Digest: digest(n)}
		history, err := m.Histories(m.Context(), account, []store.Former{former})
		m.must(err)
		if h, known := history[former]; known != (i != nil) || known && h.UUID != i.uuid {
			m.Errorf("the history of image %d is %v, want %v", n, h, i)
		} else if known {
			image.UUID = h.UUID
		}
	} else if i != nil {
		m.Errorf("nothing is remembered of image %d", n)
	}
	m.must(m.Apply(m.Context(), l, []store.Change{m.inserting(modelPath, image)}, true))
	m.publish(l, 1)
	m.images[n] = &remembered{image.UUID, m.now(), true}
}

// drop makes an image gone that is shown.
func (m *model) drop(n int) {
	m.Helper()
	m.change(m.registry, modelPath, -1, func(k *store.Kept, c *store.Change) {
		for _, i := range k.Images {
			if i.Digest == digest(n) {
				c.Drop = append(c.Drop, i.RowID)
			}
		}
	})
	m.images[n].shown, m.images[n].since = false, m.now()
}

// retain is what retention does at once.
func (m *model) retain(cutoff time.Time) (removed int) {
	for n, i := range m.images {
		switch {
		case !i.since.Before(cutoff):
		case !i.shown:
			delete(m.images, n)
			removed++
		case m.reports:
			i.shown, i.since = false, m.now()
			removed++
		}
	}
	return removed
}

// hourly is what the server does by itself.
func (m *model) hourly() {
	m.Helper()
	for {
		n, err := m.ExpireReported(m.Context(), 3)
		m.must(err)
		if n == 0 {
			break
		}
	}
	m.purge()
	m.retain(m.cutoff(m.days))
}

func (m *model) cutoff(days int) time.Time { return m.now().Add(-time.Duration(days) * day) }

func (m *model) entry() *portolan.Registry {
	m.Helper()
	r, err := m.Registry(m.Context(), account, m.registry)
	m.must(err)
	return r
}

// previewed is the preview of a cutoff, all its pages walked, compared with the
// model.
func (m *model) previewed(cutoff time.Time) store.Preview {
	m.Helper()
	want, got := map[string]string{}, map[string]string{}
	for n, i := range m.images {
		if i.since.Before(cutoff) && (m.reports || !i.shown) {
			want[i.uuid] = fmt.Sprint(digest(n), i.shown, i.since)
		}
	}
	var p store.Preview
	for page := 1; ; page++ {
		list, whole, err := m.PreviewRetention(m.Context(), m.entry(), cutoff, page, 3)
		m.must(err)
		if page > 1 && whole != p {
			m.Errorf("page %d is of another preview", page)
		}
		p = whole
		for _, x := range list {
			got[x.UUID] = fmt.Sprint(x.Digest, x.Reported, x.Since)
		}
		if len(list) == 0 {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" || p.Total() != len(want) {
		m.Errorf("preview of %d (-want +got):\n%s", p.Total(), d)
	}
	return p
}

// run runs a preview, after something happened meanwhile or not.
func (m *model) run(p store.Preview, want int, changed bool) {
	m.Helper()
	n, err := m.Retain(m.Context(), m.entry(), p.Cutoff, func(now store.Preview) bool { return now == p })
	if changed {
		if !errors.Is(err, store.ErrPreviewOutdated) || n != 0 {
			m.Errorf("an outdated preview removes %d, %v", n, err)
		}
		return
	}
	m.must(err)
	if n != want {
		m.Errorf("%d are removed, want %d", n, want)
	}
}

// check compares rows, counts and histories.
func (m *model) check(step string) {
	m.Helper()
	m.exact(m.registry, len(m.numbers(isShown)))
	want := map[string]bool{}
	for _, i := range m.images {
		want[fmt.Sprint(i.uuid, i.shown)] = true
	}
	rows, err := m.Writer().QueryContext(m.Context(), "SELECT uuid, gone FROM images WHERE superseded = 0")
	m.must(err)
	defer func() { _ = rows.Close() }()
	shown, got := map[string]bool{}, map[string]bool{}
	for rows.Next() {
		var uuid string
		var gone int
		m.must(rows.Scan(&uuid, &gone))
		shown[uuid] = shown[uuid] || gone == 0
	}
	m.must(rows.Err())
	for uuid, is := range shown { // what is back may have a row of the time before
		got[fmt.Sprint(uuid, is)] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		m.Fatalf("%s (-want +got):\n%s", step, d)
	}
}

func (m *model) step(random *rand.Rand) string {
	m.Helper()
	pick := func(list []int) int {
		if len(list) == 0 {
			return 0
		}
		return list[random.IntN(len(list))]
	}
	switch random.IntN(8) {
	case 0, 1:
		m.add(1 + random.IntN(12))
		return "add"
	case 2:
		if n := pick(m.numbers(isGone)); n > 0 {
			m.add(n)
		}
		return "return"
	case 3:
		if n := pick(m.numbers(isShown)); n > 0 && !m.reports {
			m.drop(n)
		}
		return "gone"
	case 4:
		m.pass(time.Duration(random.IntN(4*24)) * time.Hour)
		return "age"
	case 5:
		m.hourly()
		return "purge"
	case 6:
		m.days = 1 + random.IntN(12)
		m.update(func(ctx context.Context, tx *store.Tx) error {
			r, err := tx.Registry(ctx, account, m.registry)
			if err != nil {
				return err
			}
			r.PersistenceDay = m.days
			return tx.SetRegistry(ctx, r, nil)
		})
		return "days"
	}
	cutoff := m.cutoff(random.IntN(12))
	p := m.previewed(cutoff)
	before := p.Total()
	if random.IntN(3) == 0 { // something happens meanwhile
		m.add(1 + random.IntN(12))
		m.pass(time.Hour)
		m.hourly()
	}
	again := m.previewed(cutoff)
	changed := again.Digest != p.Digest
	m.run(p, before, changed)
	if !changed {
		m.retain(cutoff)
	}
	return "run"
}

// Rows, counts, histories, previews and runs agree with a model in memory.
func TestRetentionModel(t *testing.T) {
	t.Parallel()
	for _, kind := range []portolan.RegistryType{portolan.OCI, portolan.CICD} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%s %d", map[portolan.RegistryType]string{portolan.OCI: "read", portolan.CICD: "reported"}[kind], seed), func(t *testing.T) {
				t.Parallel()
				storetest.Each(t, func(t *testing.T, url string) {
					f := newFixture(t, url)
					m := &model{fixture: f, registry: f.add(account, "a", kind), reports: kind == portolan.CICD, days: 30, images: map[int]*remembered{}}
					random := rand.New(rand.NewPCG(seed, 6))
					for n := range 150 {
						what := m.step(random)
						m.check(fmt.Sprintf("step %d, %s", n, what))
					}
				})
			})
		}
	}
}

// An image that is back before its time is not in a preview, and its history
// is not taken by the run of an older one.
func TestRunSparesWhatReturns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		m := &model{fixture: f, registry: f.add(account, "a", portolan.OCI), days: 30, images: map[int]*remembered{}}
		for n := range 4 {
			m.add(n + 1)
		}
		m.drop(1)
		m.drop(2)
		f.pass(2 * day)
		p := m.previewed(m.cutoff(1))
		m.add(1)
		m.run(p, 0, true)
		m.check("back")
		m.run(m.previewed(m.cutoff(1)), 1, false)
		m.retain(m.cutoff(1))
		m.check("run")
	})
}

// A transaction deletes few tags, however many its images have.
func TestExpireFewTags(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		r := f.add(account, "ci", portolan.CICD)
		reports := make([]store.Report, 4)
		for n := range reports {
			reports[n] = store.Report{
				AccountID: account, RegistryID: r, Path: "app", Tag: fmt.Sprint("v", n), Digest: digest(n), TaskID: fmt.Sprint("task", n), NewUUID: fmt.Sprint("u", n),
			}
		}
		_, err := f.Report(t.Context(), reports)
		f.must(err)
		names, times := strings.Repeat("t\n", 399)+"t", strings.Repeat("1\n", 399)+"1"
		_, err = f.Writer().ExecContext(t.Context(), "UPDATE images SET tags = $1, tag_times = $2", names, times)
		f.must(err)
		f.pass(31 * day)
		for _, want := range []int{2, 2, 0} {
			if n, err := f.ExpireReported(t.Context(), 100); err != nil || n != want {
				t.Errorf("%d expired at once, want %d, %v", n, want, err)
			}
		}
		f.exact(r, 0)
	})
}
