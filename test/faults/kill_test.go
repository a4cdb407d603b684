package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/app"
	"portolan/internal/cli/samples"
	"portolan/internal/iam"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const (
	shortKills, fullKills = 10, 200
	// recovery is within what work goes on after a kill.
	recovery = time.Minute
	pullers  = 4 // registries that are read all the time
	// settleEvery is after how many kills readings may come to their end.
	settleEvery = 5
)

// child is a server in a process of its own, which is killed and started
// again.
type child struct {
	t        *testing.T
	data     string
	database string
	addr     string
	root     iam.Credentials
	cmd      *exec.Cmd
	log      *journal
}

// start starts the server and waits until it listens.
func (c *child) start() {
	c.t.Helper()
	file := filepath.Join(c.data, "addr")
	_ = os.Remove(file)
	c.log = &journal{}
	args := []string{
		"serve", "--data", c.data, "--listen", "127.0.0.1:0", "--addr-file", file, "--metrics-listen", app.Off, "--allow-dial", "127.0.0.0/8",
		"--slice", "500ms", "--job-timeout", "2s", "--rescue-after", "3s",
	}
	if strings.HasPrefix(c.database, "postgres") {
		args = append(args, "--database", c.database)
	}
	binary, err := os.Executable()
	c.must(err)
	c.cmd = exec.Command(binary, args...)
	c.cmd.Env = append(os.Environ(), childVariable+"=1")
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.must(c.cmd.Start())
	c.await("the server listens", func() bool {
		b, err := os.ReadFile(file)
		c.addr = strings.TrimSpace(string(b))
		return err == nil && c.addr != ""
	})
	c.root, err = app.LoadCredentials(c.data)
	c.must(err)
}

// kill ends the server as a power cut does.
func (c *child) kill() {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

func (c *child) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%v\n%s", err, c.log)
	}
}

// await looks until something holds, for as long as recovery may take.
func (c *child) await(what string, holds func() bool) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); !holds(); <-tick.C {
		if time.Since(start) > recovery {
			c.t.Fatalf("not within %s: %s\n%s", recovery, what, c.log)
		}
	}
}

// call sends a call; an answer that is not 200 is an error.
func (c *child) call(operation string, params ...string) (answer, error) {
	signed, err := newCall(c.addr, c.root, operation, params...)
	if err != nil {
		return answer{}, err
	}
	status, a, err := signed.sendTo(context.Background(), c.addr)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s: %d %s %s", operation, status, a.Code, a.Message)
	}
	return a, err
}

// page is the whole list of registries by id.
func (c *child) page() map[int64]entry {
	c.t.Helper()
	all := map[int64]entry{}
	for page := 1; ; page++ {
		a, err := c.call("PageImageRegistry", "PageSize", "1000", "CurrentPage", strconv.Itoa(page))
		c.must(err)
		for _, e := range a.List {
			if _, twice := all[e.ID]; twice {
				c.t.Errorf("registry %d is listed twice", e.ID)
			}
			all[e.ID] = e
		}
		if len(a.List) == 0 {
			if len(all) != a.PageInfo.TotalCount {
				c.t.Errorf("%d registries are listed, the total is %d", len(all), a.PageInfo.TotalCount)
			}
			return all
		}
	}
}

// acknowledged is what the server has said that it did.
type acknowledged struct {
	mu    sync.Mutex
	names map[int64]string          // of registries that were added: the last acknowledged name
	asked map[int64]map[string]bool // names that were sent after it, and may have been taken
	added int                       // asked for, acknowledged or not
}

func (a *acknowledged) ask(id int64, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked[id][name] = true
}

func (a *acknowledged) done(id int64, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names[id], a.asked[id] = name, map[string]bool{}
}

// write adds registries and changes them until a call is not answered.
func (a *acknowledged) write(c *child, worker, round int) {
	for n := 0; ; n++ {
		name := fmt.Sprintf("w%d-%d-%d", worker, round, n)
		a.mu.Lock()
		a.added++
		a.mu.Unlock()
		// Nobody listens at port 1: its reading fails at once.
		got, err := c.call("AddPrivateRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1", "Port", "1", "ProtocolType", "1", "UserName", name, "Password", password, "RegistryName", name)
		if err != nil {
			return
		}
		id, err := idOf(got)
		if err != nil {
			c.t.Error(err)
			return
		}
		a.mu.Lock()
		a.names[id], a.asked[id] = name, map[string]bool{}
		a.mu.Unlock()
		a.ask(id, name+"-changed")
		if _, err := c.call("ModifyImageRegistry", "Id", strconv.FormatInt(id, 10), "RegistryName", name+"-changed"); err != nil {
			return
		}
		a.done(id, name+"-changed")
	}
}

// check compares the list with what was acknowledged.
func (a *acknowledged) check(c *child) {
	c.t.Helper()
	all := c.page()
	users := map[string]bool{}
	for id, name := range a.names {
		e, there := all[id]
		if !there || e.RegistryName != name && !a.asked[id][e.RegistryName] {
			c.t.Errorf("registry %d was acknowledged as %s, and is %+v", id, name, e)
		}
	}
	writers := 0
	for id, e := range all {
		if !strings.HasPrefix(e.RegistryName, "w") {
			continue // one that is read
		}
		writers++
		if users[e.UserName] {
			c.t.Errorf("registry %d is there twice: %+v", id, e)
		}
		users[e.UserName] = true
	}
	if writers < len(a.names) || writers > a.added {
		c.t.Errorf("%d registries were acknowledged of %d asked for; %d are there", len(a.names), a.added, writers)
	}
}

// slowly lets a registry take its time, so that a kill hits readings.
func slowly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := time.NewTimer(5 * time.Millisecond)
		defer t.Stop()
		<-t.C
		next.ServeHTTP(w, r)
	})
}

// TestKill kills a server again and again while it is written to and reads.
func TestKill(t *testing.T) {
	full := long(t)
	t.Parallel()
	kills := shortKills
	if full {
		kills = fullKills
	}
	chance := random(t)
	handler, err := samples.New()
	if err != nil {
		t.Fatal(err)
	}
	registry := httptest.NewServer(slowly(handler))
	defer registry.Close()
	_, port, err := net.SplitHostPort(registry.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("databases", func(t *testing.T) {
		for _, kind := range []string{storetest.SQLite, storetest.Postgres} {
			seeded := rand.New(rand.NewPCG(chance.Uint64(), 1))
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				c := &child{t: t, data: t.TempDir(), database: storetest.URL(t, kind), log: &journal{}}
				if kind == storetest.SQLite {
					c.database = "sqlite:" + filepath.Join(c.data, "portolan.db")
				}
				t.Cleanup(c.kill)
				killAgain(c, seeded, kills, port)
			})
		}
	})
}

func killAgain(c *child, chance *rand.Rand, kills int, port string) {
	c.start()
	var pull []int64
	for n := range pullers {
		got, err := c.call("AddPrivateRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1", "Port", port, "ProtocolType", "1", "RegistryName", fmt.Sprint("pull ", n),
			"ExtraParam", fmt.Sprintf(`{"namespaces":["library","platform","data","toolbox","charts"],"repositories":["none-%d"]}`, n), "UserName", fmt.Sprint("reader", n), "Password", password)
		c.must(err)
		id, err := idOf(got)
		c.must(err)
		pull = append(pull, id)
	}
	writes := &acknowledged{names: map[int64]string{}, asked: map[int64]map[string]bool{}}
	var slowest time.Duration
	for round := range kills {
		var wg sync.WaitGroup
		for worker := range 2 {
			wg.Go(func() { writes.write(c, worker, round) })
		}
		for _, id := range pull {
			_, err := c.call("SyncImageRegistry", "RegistryId", strconv.FormatInt(id, 10), "Full", "true")
			c.must(err)
		}
		<-time.After(time.Duration(chance.IntN(700)) * time.Millisecond)
		_ = c.cmd.Process.Kill()
		wg.Wait()
		c.kill()
		start := time.Now()
		c.start()
		writes.check(c)
		if (round+1)%settleEvery != 0 {
			continue // the next kill hits what is being taken up again
		}
		for _, id := range pull {
			c.await(fmt.Sprintf("registry %d is read", id), func() bool { return c.settled(id) })
		}
		slowest = max(slowest, time.Since(start))
	}
	c.t.Logf("%d kills, %d of %d registries acknowledged, back to work after %s at most", kills, len(writes.names), writes.added, slowest.Round(time.Millisecond))
	c.recount(pull)
}

// settled reports whether the latest reading of a registry is over.
func (c *child) settled(id int64) bool {
	c.t.Helper()
	a, err := c.call("DescribeImageRegistrySync", "RegistryId", strconv.FormatInt(id, 10))
	c.must(err)
	var s struct {
		Status, ErrorCode, ErrorMessage string
		ImagesSeen, Unexplained         int
	}
	c.must(unmarshal(a, &s))
	switch portolan.SyncStatus(s.Status) {
	case portolan.SyncOK:
		if s.ImagesSeen != samples.Images || s.Unexplained != 0 {
			c.t.Errorf("registry %d: %+v", id, s)
		}
		return true
	case portolan.SyncPartial, portolan.SyncFailed:
		c.t.Fatalf("registry %d: %+v", id, s)
	}
	return false
}

// recount proves that counts are what is there, from another process.
func (c *child) recount(pull []int64) {
	c.t.Helper()
	db, err := store.Open(c.t.Context(), c.database, store.Options{})
	c.must(err)
	defer func() { _ = db.Close() }()
	for _, id := range pull {
		images, inRepositories, kept, err := db.Recount(c.t.Context(), id)
		c.must(err)
		if images != samples.Images || inRepositories != samples.Images || kept != samples.Images {
			c.t.Errorf("registry %d: %d images, %d in its repositories, %d counted, want %d", id, images, inRepositories, kept, samples.Images)
		}
	}
}
