package faults

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"portolan/internal/cli/samples"
)

// disk is a place with little room.
type disk struct {
	// folder is where the server's files are.
	folder string
	// fill leaves no room, free gives it back.
	fill, free func()
}

// TestFullDisk fills the disk of a server on SQLite while it is written to
// and reads: calls that need room fail clearly, nothing is lost, and with
// room all goes on.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	t.Run("file system", func(t *testing.T) {
		t.Parallel()
		folder := filepath.Join(t.TempDir(), "small")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=32m"); err != nil {
			t.Skipf("a small file system cannot be mounted here: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(folder, syscall.MNT_DETACH) })
		ballast := filepath.Join(folder, "ballast")
		testFull(t, nil, &disk{
			folder: folder,
			fill:   func() { fill(t, ballast) },
			free:   func() { _ = os.Remove(ballast) },
		})
	})
	t.Run("page limit", func(t *testing.T) {
		t.Parallel()
		testFull(t, func(s *server, pages string) {
			if _, err := s.DB().Writer().ExecContext(t.Context(), "PRAGMA max_page_count = "+pages); err != nil {
				t.Error(err)
			}
		}, &disk{folder: t.TempDir()})
	})
}

// fill writes a file until there is no room.
func fill(t *testing.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}

const fewWrites, manyWrites = 20, 5_000

func testFull(t *testing.T, limit func(*server, string), d *disk) {
	handler, err := samples.New()
	if err != nil {
		t.Fatal(err)
	}
	registry := httptest.NewServer(handler)
	t.Cleanup(registry.Close)
	_, port, err := net.SplitHostPort(registry.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, d.folder, "", "")
	if limit != nil {
		d.fill = func() { limit(s, "1") } // no fewer than there are
		d.free = func() { limit(s, "1000000") }
	}
	known := map[int64]string{}
	write := func(n int) (int, answer) {
		name := fmt.Sprint("entry ", n)
		status, a := s.call(t, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1", "Port", "1", "ProtocolType", "1", "UserName", name, "Password", password, "RegistryName", name)
		if status == http.StatusOK {
			id, err := idOf(a)
			if err != nil {
				t.Error(err)
			}
			known[id] = name
		}
		return status, a
	}
	for n := range fewWrites {
		if status, a := write(n); status != http.StatusOK {
			t.Fatalf("with room: %d %s", status, a.Code)
		}
	}
	d.fill()
	refused := false
	for n := fewWrites; n < manyWrites && !refused; n++ {
		status, a := write(n)
		if refused = status != http.StatusOK; refused && (status != http.StatusServiceUnavailable || a.Code != "ServiceUnavailable" || !strings.Contains(a.Message, "no room left")) {
			t.Errorf("without room: %d %s %s", status, a.Code, a.Message)
		}
	}
	if !refused {
		t.Fatal("the disk is never full")
	}
	if !strings.Contains(s.log.String(), "no room left") {
		t.Errorf("the log does not say that there is no room:\n%s", s.log)
	}
	s.holds(t, known)
	d.free()
	id := s.added(t, port)
	s.holds(t, known)
	s.await(t, id)
	s.stop()
	s = startServer(t, d.folder, "", "")
	s.holds(t, known)
	if images, inRepositories, kept, err := s.DB().Recount(t.Context(), id); err != nil || images != samples.Images || inRepositories != kept || kept != images {
		t.Errorf("%d images, %d in repositories, %d counted, %v", images, inRepositories, kept, err)
	}
	var verdict string
	if err := s.DB().Writer().QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %q %v", verdict, err)
	}
}

func (s *server) call(t *testing.T, operation string, params ...string) (int, answer) {
	t.Helper()
	c, err := newCall(s.Addr(), s.root, operation, params...)
	if err != nil {
		t.Fatal(err)
	}
	status, a, err := c.sendTo(t.Context(), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return status, a
}

// holds fails the test if an entry that was acknowledged is not listed.
func (s *server) holds(t *testing.T, known map[int64]string) {
	t.Helper()
	names := map[int64]string{}
	for page := 1; ; page++ {
		status, a := s.call(t, "PageImageRegistry", "PageSize", "1000", "CurrentPage", strconv.Itoa(page))
		if status != http.StatusOK {
			t.Fatalf("the list: %d %s", status, a.Code)
		}
		for _, e := range a.List {
			names[e.ID] = e.RegistryName
		}
		if len(a.List) == 0 {
			break
		}
	}
	for id, name := range known {
		if names[id] != name {
			t.Errorf("registry %d is %q, acknowledged as %q", id, names[id], name)
		}
	}
}

// added adds a registry that answers. There is room.
func (s *server) added(t *testing.T, port string) int64 {
	t.Helper()
	status, a := s.call(t, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1", "Port", port, "ProtocolType", "1")
	if status != http.StatusOK {
		t.Fatalf("with room again: %d %s %s", status, a.Code, a.Message)
	}
	id, err := idOf(a)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// await waits until a registry is read.
func (s *server) await(t *testing.T, id int64) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < recovery; <-tick.C {
		if _, a := s.call(t, "PageImageRegistry", "PageSize", "1"); len(a.List) == 1 && a.List[0].ID == id && a.List[0].SyncStatus == "ok" {
			return
		}
	}
	t.Errorf("registry %d is not read within %s", id, recovery)
}
