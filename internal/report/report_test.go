package report_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/report"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const account, stranger = 1000000000000001, 1000000000000002

// rig is reports over a real store, with a clock that is moved by hand.
type rig struct {
	testing.TB
	db         *store.DB
	reports    *report.Service
	registries *registry.Service

	mu  sync.Mutex
	now time.Time
	log strings.Builder
}

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	r := &rig{TB: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.db = storetest.Open(t, url, store.Options{Now: r.clock})
	r.must(r.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddAccount(t.Context(), account, "a"), tx.AddAccount(t.Context(), stranger, "b"))
	}))
	master, err := secret.ParseMasterKey(strings.Repeat("01", 32))
	r.must(err)
	box, _, err := master.NewDataKey()
	r.must(err)
	tokens, err := box.Hasher("ci-token")
	r.must(err)
	r.registries = registry.New(registry.Config{DB: r.db, Tokens: tokens})
	r.reports = report.New(report.Config{DB: r.db, Tokens: tokens, Now: r.clock, Log: slog.New(slog.NewTextHandler(r, nil))})
	r.reports.Start(t.Context())
	t.Cleanup(r.reports.Stop)
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) wait(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// Write keeps the log.
func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// add adds a CI/CD registry.
func (r *rig) add(f registry.Fields) (*portolan.Registry, string) {
	r.Helper()
	ci, token, err := r.registries.AddCI(r.Context(), account, f)
	r.must(err)
	return ci, token
}

var (
	home = netip.MustParseAddr("192.0.2.7")
	far  = netip.MustParseAddr("203.0.113.9")
)

// refusedAs reports whether an error is what a client is told by a code and a
// part of the text.
func refusedAs(err error, code, part string) bool {
	e, ok := errors.AsType[*portolan.Error](err)
	return ok && e.Code == code && strings.Contains(e.Message, part)
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		ci, _ := r.add(registry.Fields{Name: "ci"})
		if ci.SyncStatus != portolan.SyncPending {
			t.Errorf("before the first report it is %s", ci.SyncStatus)
		}
		f := report.Fields{Namespace: "team/web", RepoName: "front", Tag: "v1", Digest: "SHA256:" + strings.Repeat("AB", 32), JenkinsEnv: "release"}
		one, err := r.reports.Submit(t.Context(), ci, &f)
		r.must(err)
		f.Digest = strings.Repeat("ab", 32)
		two, err := r.reports.Submit(t.Context(), ci, &f)
		r.must(err)
		if one.UUID != two.UUID || one.TaskID == two.TaskID || one.RepoInstanceID != ci.InstanceID || one.RepoRegionID != "cn-hangzhou" || len(one.TaskID) != 32 {
			t.Errorf("the same report twice: %+v, %+v", one, two)
		}
		list, total, err := r.db.Images(t.Context(), account, store.Criteria{}, 1, 10)
		r.must(err)
		if total != 1 || list[0].Digest.Wire() != f.Digest || list[0].Repository.Path() != "team/web/front" || list[0].UUID != one.UUID {
			t.Errorf("images %+v", list)
		}
		now, err := r.db.Registry(t.Context(), account, ci.ID)
		r.must(err)
		if now.SyncStatus != portolan.SyncOK || now.JenkinsEnv != "release" || now.ImageCount != 1 || now.RepositoryCount != 1 || !now.Modified.Equal(ci.Modified) {
			t.Errorf("registry %+v", now)
		}
		r.must(r.registries.Delete(t.Context(), account, ci.ID))
		if _, err := r.reports.Submit(t.Context(), ci, &f); !errors.Is(err, portolan.ErrNoPermission) {
			t.Errorf("a deleted registry: %v", err)
		}
	})
}

func TestFields(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	ci, _ := r.add(registry.Fields{})
	digest := strings.Repeat("0", 64)
	now := r.clock().UnixMilli()
	tests := map[string]struct {
		fields     report.Fields
		code, text string // "" for one that is taken
	}{
		"tag":                    {report.Fields{RepoName: "app", Tag: "v1"}, "", ""},
		"digest":                 {report.Fields{RepoName: "app", Digest: digest}, "", ""},
		"sha512":                 {report.Fields{RepoName: "app", Digest: "sha512:" + digest + digest}, "", ""},
		"path in name":           {report.Fields{RepoName: "team/app", Tag: "v1"}, "", ""},
		"neither":                {report.Fields{RepoName: "app"}, "MissingTag", "Tag or Digest is mandatory"},
		"short digest":           {report.Fields{RepoName: "app", Digest: digest[1:]}, "InvalidParameter", "Digest must be 64 hex digits"},
		"digest of other things": {report.Fields{RepoName: "app", Digest: "md5:" + digest}, "InvalidParameter", "Digest must be"},
		"image id":               {report.Fields{RepoName: "app", Tag: "v1", ImageID: "x"}, "InvalidParameter", "ImageId must be"},
		"tag with space":         {report.Fields{RepoName: "app", Tag: "v 1"}, "InvalidParameter", "Tag must be"},
		"tag with newline":       {report.Fields{RepoName: "app", Tag: "v1\n"}, "InvalidParameter", "Tag must be"},
		"tag with dot":           {report.Fields{RepoName: "app", Tag: ".v1"}, "InvalidParameter", "Tag must be"},
		"slash in front":         {report.Fields{RepoName: "/app", Tag: "v1"}, "InvalidParameter", "RepoName must be a path"},
		"empty part":             {report.Fields{Namespace: "a//b", RepoName: "app", Tag: "v1"}, "InvalidParameter", "Namespace must be a path"},
		"control character":      {report.Fields{Namespace: "a\x01", RepoName: "app", Tag: "v1"}, "InvalidParameter", "Namespace must be a path"},
		"long path":              {report.Fields{Namespace: strings.Repeat("n", 252), RepoName: "app", Tag: "v1"}, "InvalidParameter", "at most 255 bytes"},
		"seconds":                {report.Fields{RepoName: "app", Tag: "v1", ImageCreate: now / 1000}, "InvalidParameter", "ImageCreate must be a time in milliseconds"},
		"the year 2000":          {report.Fields{RepoName: "app", Tag: "v1", ImageCreate: 946684800000}, "", ""},
		"1999":                   {report.Fields{RepoName: "app", Tag: "v1", ImageUpdate: 946684799999}, "InvalidParameter", "ImageUpdate must be"},
		"tomorrow":               {report.Fields{RepoName: "app", Tag: "v1", ImageUpdate: now + 86_400_000}, "", ""},
		"after tomorrow":         {report.Fields{RepoName: "app", Tag: "v1", ImageUpdate: now + 86_400_001}, "InvalidParameter", "the server's clock says"},
		"negative":               {report.Fields{RepoName: "app", Tag: "v1", ImageCreate: -1}, "InvalidParameter", "ImageCreate must be"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := r.reports.Submit(t.Context(), ci, &tt.fields)
			if tt.code == "" && err != nil || tt.code != "" && !refusedAs(err, tt.code, tt.text) {
				t.Errorf("%v, want %q with %q", err, tt.code, tt.text)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		open, token := r.add(registry.Fields{})
		listed, listedToken := r.add(registry.Fields{WhiteList: "192.0.2.0/24", BlackList: "192.0.2.200"})
		deleted, deletedToken := r.add(registry.Fields{})
		r.must(r.registries.Delete(t.Context(), account, deleted.ID))
		tests := map[string]struct {
			id    int64
			token string
			peer  netip.Addr
			why   string // in the reason; "" for one that may
		}{
			"token":              {open.ID, token, far, ""},
			"on the list":        {listed.ID, listedToken, home, ""},
			"mapped address":     {listed.ID, listedToken, netip.AddrFrom16(home.As16()), ""},
			"not on the list":    {listed.ID, listedToken, far, "not on WhiteList"},
			"on the black list":  {listed.ID, listedToken, netip.MustParseAddr("192.0.2.200"), "BlackList"},
			"unknown address":    {listed.ID, listedToken, netip.Addr{}, "WhiteList"},
			"other token":        {open.ID, listedToken, far, "not, or no longer"},
			"half a token":       {open.ID, token[:18], far, "not, or no longer"},
			"no token":           {open.ID, "", far, "not, or no longer"},
			"unknown registry":   {999, token, far, "no CI/CD registry"},
			"a deleted registry": {deleted.ID, deletedToken, far, "no CI/CD registry"},
		}
		for name, tt := range tests {
			got, err := r.reports.Open(t.Context(), tt.id, tt.token, tt.peer)
			if tt.why == "" && (err != nil || got.ID != tt.id) {
				t.Errorf("%s: %v", name, err)
			}
			if tt.why == "" {
				continue
			}
			if !refusedAs(err, "NoPermission", "caller has no permission") || !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%s: %v, want the reason %q", name, err, tt.why)
			}
		}
		r.must(r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.SuspendAccount(t.Context(), account, true) }))
		if _, err := r.reports.Open(t.Context(), open.ID, token, far); err == nil || !refusedAs(err, "NoPermission", "no permission") {
			t.Errorf("a suspended account: %v", err)
		}
	})
}

// An old token ends at once, or after its grace.
func TestRotation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		ci, one := r.add(registry.Fields{})
		known := func(token string, want bool) {
			t.Helper()
			_, byID := r.reports.Open(t.Context(), ci.ID, token, far)
			_, byToken := r.reports.Holder(t.Context(), account, token, far)
			if (byID == nil) != want || (byToken == nil) != want {
				t.Errorf("by id: %v; by token: %v; known should be %t", byID, byToken, want)
			}
			if _, err := r.reports.Holder(t.Context(), stranger, token, far); !errors.Is(err, portolan.ErrNoPermission) {
				t.Errorf("another account: %v", err)
			}
		}
		known(one, true)
		r.wait(time.Minute)
		two, err := r.registries.RefreshToken(t.Context(), account, ci.ID, 0)
		r.must(err)
		known(one, false)
		known(two, true)
		three, err := r.registries.RefreshToken(t.Context(), account, ci.ID, time.Hour)
		r.must(err)
		known(two, true)
		known(three, true)
		r.wait(time.Hour)
		known(two, false)
		known(three, true)
		if !strings.Contains(r.logged(), "the token is not, or no longer") || strings.Contains(r.logged(), one) {
			t.Errorf("log:\n%s", r.logged())
		}
		now, err := r.db.Registry(t.Context(), account, ci.ID)
		r.must(err)
		if now.TokenPrefix != three[:8] || !now.Modified.Equal(ci.Modified.Add(time.Minute)) {
			t.Errorf("prefix %s, modified %s", now.TokenPrefix, now.Modified)
		}
	})
}

// Reports that come together are each answered for themselves, and all that
// were acknowledged are there, also when the writer ends meanwhile.
func TestTogether(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const senders, each = 16, 20
		r := newRig(t, url)
		ci, _ := r.add(registry.Fields{})
		var mu sync.Mutex
		tasks := map[string]string{}
		var wg sync.WaitGroup
		for n := range senders {
			wg.Go(func() {
				for k := range each {
					if n == 0 && k == each/2 {
						r.reports.Stop()
					}
					// Every image is reported by two.
					receipt, err := r.reports.Submit(context.WithoutCancel(t.Context()), ci, &report.Fields{RepoName: "app", Tag: fmt.Sprintf("t%d", n/2*each+k)})
					if err != nil {
						if !refusedAs(err, "ServiceUnavailable", "nothing was saved") {
							t.Error(err)
						}
						return
					}
					mu.Lock()
					tasks[receipt.TaskID] = receipt.UUID
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		uuids := map[string]bool{}
		for task, uuid := range tasks {
			got, err := r.db.Task(t.Context(), account, task)
			if err != nil || got.UUID != uuid || got.Image == nil {
				t.Fatalf("task %s: %+v, %v", task, got, err)
			}
			uuids[uuid] = true
		}
		images, inRepositories, kept, err := r.db.Recount(t.Context(), ci.ID)
		if err != nil || images != len(uuids) || inRepositories != images || kept != images {
			t.Errorf("%d acknowledged images; %d are there, %d in repositories, %d counted, %v", len(uuids), images, inRepositories, kept, err)
		}
	})
}

// BenchmarkReports tells how many reports a second are kept that come from many
// builds at the same time.
func BenchmarkReports(b *testing.B) {
	for _, kind := range []string{storetest.SQLite, storetest.Postgres} {
		b.Run(kind, func(b *testing.B) {
			r := newRig(b, storetest.URL(b, kind))
			ci, _ := r.add(registry.Fields{})
			var n int
			var mu sync.Mutex
			b.SetParallelism(64)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					mu.Lock()
					n++
					k := n
					mu.Unlock()
					f := report.Fields{RepoName: fmt.Sprint("app", k%50), Tag: fmt.Sprint("v", k), Digest: fmt.Sprintf("%064x", k), JenkinsEnv: `{"build":"7"}`}
					if _, err := r.reports.Submit(b.Context(), ci, &f); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
		})
	}
}
