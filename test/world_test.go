package test

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"portolan/internal/app"
	"portolan/internal/cli"
	"portolan/internal/cli/samples"
	"portolan/internal/connector/quay/quaytest"
	"portolan/internal/store"
)

// world is what a script has started.
type world struct {
	stop context.CancelFunc
	done chan int
	log  lockedBuffer
	quay *quaytest.Server
}

type worldKey struct{}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// registry [-slow] [USER PASSWORD] serves a registry with the sample images,
// and tells its port in $REGISTRY_PORT. With a user it wants that one's
// password. A slow one never answers a manifest.
func startRegistry(ts *testscript.TestScript, _ bool, args []string) {
	handler, err := samples.New()
	ts.Check(err)
	if len(args) == 1 && args[0] == "-slow" {
		handler = slow(handler)
	}
	if len(args) == 2 {
		handler = guarded(handler, args[0], args[1])
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: handler}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	ts.Defer(func() { _ = server.Close(); wg.Wait() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv("REGISTRY_PORT", port)
}

func guarded(next http.Handler, user, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u+"\n"+p), []byte(user+"\n"+password)) == 0 {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func slow(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") {
			<-r.Context().Done()
			return
		}
		next.ServeHTTP(w, r)
	})
}

// server [FLAG]... runs portolan serve on $WORK/data, and sets what clients
// need to speak to it. More than once it is the same deployment again.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	addr := ts.MkAbs("server.addr")
	_ = os.Remove(addr)
	ctx, cancel := context.WithCancel(context.Background())
	args = append([]string{
		"serve", "--data", ts.MkAbs("data"), "--listen", "127.0.0.1:0", "--addr-file", addr,
		"--metrics-listen", app.Off, "--allow-dial", "127.0.0.0/8",
	}, args...)
	w.stop, w.done = cancel, make(chan int, 1)
	go func() { w.done <- cli.Main(ctx, args, bytes.NewReader(nil), &w.log, &w.log, ts.Getenv) }()
	ts.Defer(func() { w.end() })
	endpoint := w.await(ts, addr, neg)
	if neg {
		return
	}
	ts.Setenv("SERVER_ADDRESS", endpoint)
	ts.Setenv("PORTOLAN_ENDPOINT", "http://"+endpoint)
	c, err := app.LoadCredentials(ts.MkAbs("data"))
	ts.Check(err)
	ts.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", c.AccessKeyID)
	ts.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", c.AccessKeySecret)
}

// await waits until the server has told its address, or has ended if it
// should.
func (w *world) await(ts *testscript.TestScript, file string, ends bool) string {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range maxTicks {
		select {
		case code := <-w.done:
			w.done <- code
			if !ends || code == 0 {
				ts.Fatalf("the server ended with %d:\n%s", code, w.log.take())
			}
			_, _ = ts.Stderr().Write([]byte(w.log.take()))
			return ""
		case <-tick.C:
		}
		if b, err := os.ReadFile(file); err == nil && !ends {
			return strings.TrimSpace(string(b))
		}
	}
	ts.Fatalf("the server neither listens nor ends:\n%s", w.log.take())
	return ""
}

// stop stops the server as a signal does; what it logged is standard error.
func stopServer(ts *testscript.TestScript, _ bool, _ []string) {
	w := worldOf(ts)
	if code := w.end(); code != 0 {
		ts.Fatalf("the server ended with %d:\n%s", code, w.log.take())
	}
	_, _ = ts.Stderr().Write([]byte(w.log.take()))
}

func (w *world) end() int {
	if w.stop == nil {
		return 0
	}
	w.stop()
	code := <-w.done
	w.stop = nil
	return code
}

// capture NAME REGEXP sets a variable to what the group of the expression
// matches in the last standard output.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	re, err := regexp.Compile(`(?m)` + args[1])
	ts.Check(err)
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		ts.Fatalf("no match for %s", args[1])
	}
	ts.Setenv(args[0], m[1])
}

// until REGEXP COMMAND… runs a command until its output matches.
func until(ts *testscript.TestScript, _ bool, args []string) {
	re, err := regexp.Compile(args[0])
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range maxTicks {
		if err := ts.Exec(args[1], args[2:]...); err == nil && re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		<-tick.C
	}
	ts.Fatalf("no match for %s", args[0])
}

// maxTicks is more than any wait needs on a slow machine.
const maxTicks = 10_000

// newer makes the store look as if a newer version had written it.
func makeNewer(ts *testscript.TestScript, _ bool, _ []string) {
	ctx := context.Background()
	db, err := store.Open(ctx, "sqlite:"+ts.MkAbs("data/portolan.db"), store.Options{})
	ts.Check(err)
	_, err = db.Writer().ExecContext(ctx, `INSERT INTO schema_version (version) VALUES (99999)`)
	ts.Check(errors.Join(err, db.Close()))
}

// lockedBuffer keeps what a server logs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.buf.Reset()
	return b.buf.String()
}
