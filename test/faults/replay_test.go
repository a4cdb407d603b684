package faults

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/app"
	"portolan/internal/iam"
	"portolan/internal/store/storetest"
)

// server is a server in this process.
type server struct {
	*app.App
	root iam.Credentials
	log  *journal
	stop func()
}

// startServer starts a server on a data folder; database "" is SQLite in it.
func startServer(t *testing.T, data, database, masterKey string) *server {
	t.Helper()
	s := &server{log: &journal{}}
	var err error
	s.App, err = app.New(t.Context(), app.Config{
		Data: data, Database: database, MasterKeyFile: masterKey, Listen: "127.0.0.1:0", MetricsListen: app.Off,
		AllowDial: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, JobPoll: 20 * time.Millisecond, Slice: time.Second,
		Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Cleanup(s.stop)
	if s.root, err = app.LoadCredentials(data); err != nil && masterKey == "" {
		t.Fatal(err)
	}
	return s
}

// send sends a call to a server and answers "ok" or the code.
func (c call) send(t *testing.T, addr string) string {
	t.Helper()
	status, a, err := c.sendTo(t.Context(), addr)
	switch {
	case err != nil:
		t.Error(err)
		return "error"
	case status == http.StatusOK:
		return "ok"
	}
	return a.Code
}

const used = "SignatureNonceUsed"

// add is a call that adds a registry which nobody serves.
func add(t *testing.T, s *server, name string) call {
	t.Helper()
	c, err := newCall(s.Addr(), s.root, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1", "Port", "1", "ProtocolType", "1", "UserName", name, "Password", password)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestReplay sends calls again: to the same server, after a restart, and to
// another server on the same store. A write is accepted once.
func TestReplay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		data := t.TempDir()
		database := ""
		if strings.HasPrefix(url, "postgres") {
			database = url
		}
		first := startServer(t, data, database, "")
		write := add(t, first, "one")
		read, err := newCall(first.Addr(), first.root, "PageImageRegistry")
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"ok", used, used} {
			if got := write.send(t, first.Addr()); got != want {
				t.Errorf("write %d: %s, want %s", i, got, want)
			}
			if got := read.send(t, first.Addr()); got != want {
				t.Errorf("read %d: %s, want %s", i, got, want)
			}
		}
		first.stop()
		first = startServer(t, data, database, "")
		if got := write.send(t, first.Addr()); got != used {
			t.Errorf("write after a restart: %s", got)
		}
		servers := []*server{first}
		if database != "" {
			servers = append(servers, startServer(t, t.TempDir(), database, filepath.Join(data, "master.key")))
		}
		race(t, servers)
	})
}

// race sends each call many times at once, to all servers.
func race(t *testing.T, servers []*server) {
	t.Helper()
	const times = 12
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		c := add(t, servers[0], name)
		answers := make([]string, times)
		var wg sync.WaitGroup
		for i := range times {
			wg.Go(func() { answers[i] = c.send(t, servers[i%len(servers)].Addr()) })
		}
		wg.Wait()
		accepted := 0
		for _, a := range answers {
			if a == "ok" {
				accepted++
			} else if a != used {
				t.Errorf("%s: %s", name, a)
			}
		}
		if accepted != 1 {
			t.Errorf("%s was accepted %d times: %v", name, accepted, answers)
		}
	}
}
