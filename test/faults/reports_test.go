package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const (
	reportKillsShort, reportKillsFull = 5, 60
	reporters                         = 8
)

// taken are the reports that the server has acknowledged: the image's id by
// that of the task, and the image by its id.
type taken struct {
	mu     sync.Mutex
	tasks  map[string]string
	images map[string]string
}

// report sends reports until one is not answered.
func (a *taken) report(c *child, registry int64, token string, worker, round int) {
	for n := 0; ; n++ {
		// Every image is reported by two, at the same time.
		image := fmt.Sprintf("app%d:r%d-%d", n%3, round, worker/2*1_000_000+n)
		repo, tag, _ := strings.Cut(image, ":")
		form := url.Values{"Namespace": {"team"}, "RepoName": {repo}, "Tag": {tag}}
		uuid, task, err := sendReport(c.addr, registry, token, form)
		if err != nil {
			return
		}
		a.mu.Lock()
		if known := a.images[uuid]; known != "" && known != image {
			c.t.Errorf("%s and %s have the same id", known, image)
		}
		a.tasks[task], a.images[uuid] = uuid, image
		a.mu.Unlock()
	}
}

func sendReport(addr string, registry int64, token string, form url.Values) (uuid, task string, err error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, fmt.Sprintf("http://%s/reports/%d", addr, registry), strings.NewReader(form.Encode()))
	if err != nil {
		return "", "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := plain.Do(req)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", err
	}
	var a struct {
		Data struct {
			UUID   string `json:"Uuid"`
			TaskID string `json:"TaskId"`
		}
	}
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("report: %d %s", resp.StatusCode, b)
	}
	return a.Data.UUID, a.Data.TaskID, nil
}

// check proves that all that was acknowledged is there, and that counts are
// what is there.
func (a *taken) check(c *child, registry int64) {
	c.t.Helper()
	db, err := store.Open(c.t.Context(), c.database, store.Options{KeepSchema: true})
	c.must(err)
	defer func() { _ = db.Close() }()
	for task, uuid := range a.tasks {
		got, err := db.Task(c.t.Context(), c.root.AccountID, task)
		if err != nil || got.UUID != uuid || got.Image == nil {
			c.t.Errorf("task %s of %s was acknowledged, and is %+v, %v", task, a.images[uuid], got, err)
			continue
		}
		if is := got.Image.Repository.Name + ":" + got.Image.Tags[0].Name; is != a.images[uuid] {
			c.t.Errorf("%s was acknowledged as %s, and is %s", uuid, a.images[uuid], is)
		}
	}
	images, inRepositories, kept, err := db.Recount(c.t.Context(), registry)
	c.must(err)
	if images < len(a.images) || inRepositories != images || kept != images {
		c.t.Errorf("%d images were acknowledged; %d are there, %d in repositories, %d counted", len(a.images), images, inRepositories, kept)
	}
}

// TestKillReports kills a server again and again while builds report to it.
func TestKillReports(t *testing.T) {
	full := long(t)
	t.Parallel()
	kills := reportKillsShort
	if full {
		kills = reportKillsFull
	}
	chance := random(t)
	for _, kind := range []string{storetest.SQLite, storetest.Postgres} {
		seeded := rand.New(rand.NewPCG(chance.Uint64(), 2))
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := &child{t: t, data: t.TempDir(), database: storetest.URL(t, kind), log: &journal{}}
			if kind == storetest.SQLite {
				c.database = "sqlite:" + filepath.Join(c.data, "portolan.db")
			}
			t.Cleanup(c.kill)
			killReports(c, seeded, kills)
		})
	}
}

func killReports(c *child, chance *rand.Rand, kills int) {
	c.start()
	got, err := c.call("CreateJenkinsImageRegistry", "RegistryName", "ci")
	c.must(err)
	var made struct {
		ID    int64 `json:"Id"`
		Token string
	}
	c.must(unmarshal(got, &made))
	reports := &taken{tasks: map[string]string{}, images: map[string]string{}}
	for round := range kills {
		var wg sync.WaitGroup
		for worker := range reporters {
			wg.Go(func() { reports.report(c, made.ID, made.Token, worker, round) })
		}
		<-time.After(time.Duration(50+chance.IntN(300)) * time.Millisecond)
		_ = c.cmd.Process.Kill()
		wg.Wait()
		c.kill()
		c.start()
		reports.check(c, made.ID)
	}
	c.t.Logf("%d kills, %d reports of %d images acknowledged", kills, len(reports.tasks), len(reports.images))
	if len(reports.tasks) == 0 {
		c.t.Error("no report was acknowledged")
	}
}
