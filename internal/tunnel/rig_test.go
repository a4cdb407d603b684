package tunnel_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/netguard"
	"portolan/internal/tunnel"
)

const (
	owner = 1000000000000001
	other = 1000000000000002
)

// rig is a server with a hub, over TLS, and who is known to it.
type rig struct {
	testing.TB
	hub    *tunnel.Hub
	server *httptest.Server

	mu     sync.Mutex
	known  map[string]tunnel.Identity // by secret
	tokens map[string]tunnel.Identity
	opened chan tunnel.Session
	closed chan tunnel.Session
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{
		TB: t, known: map[string]tunnel.Identity{}, tokens: map[string]tunnel.Identity{},
		opened: make(chan tunnel.Session, 100), closed: make(chan tunnel.Session, 100),
	}
	r.hub = tunnel.NewHub(tunnel.HubConfig{
		Authenticate: r.authenticate, Exchange: r.exchange,
		Opened: func(_ context.Context, s tunnel.Session) { r.opened <- s },
		Closed: func(_ context.Context, s tunnel.Session) { r.closed <- s },
	})
	mux := http.NewServeMux()
	for path, h := range r.hub.Handlers() {
		mux.Handle(path, h)
	}
	r.server = httptest.NewUnstartedServer(mux)
	r.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	r.server.StartTLS()
	t.Cleanup(func() {
		r.hub.Close()
		r.server.Close()
	})
	return r
}

func (r *rig) authenticate(_ context.Context, secret, vpc string) (tunnel.Identity, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	who, ok := r.known[secret]
	switch {
	case !ok:
		return who, &tunnel.RefusalError{Code: tunnel.CodeUnknown, Message: "nobody has this secret"}
	case who.VpcID != vpc:
		return who, &tunnel.RefusalError{Code: "AgentVpcMismatch", Message: "the agent is for " + who.VpcID}
	}
	return who, nil
}

func (r *rig) exchange(_ context.Context, token, secret, _ string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	who, ok := r.tokens[token]
	if token == "broken" {
		return errors.New("the database is down, the password is hunter2")
	}
	if !ok {
		return &tunnel.RefusalError{Code: "AgentTokenUsed", Message: "the token was used"}
	}
	delete(r.tokens, token)
	r.known[secret] = who
	return nil
}

// knows makes an agent known by its name, which is its secret and id too.
func (r *rig) knows(name string, owner int64, vpc string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[name] = tunnel.Identity{ID: name, Name: name, Owner: owner, VpcID: vpc}
}

func (r *rig) url() *url.URL {
	u, err := url.Parse(r.server.URL)
	if err != nil {
		r.Fatal(err)
	}
	return u
}

// config is an agent of a name that may dial loopback.
func (r *rig) config(name, vpc string) tunnel.AgentConfig {
	guard, err := netguard.New(netguard.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Permit: "Start the agent with --allow-dial"})
	if err != nil {
		r.Fatal(err)
	}
	transport := r.server.Client().Transport.(*http.Transport).Clone()
	transport.ForceAttemptHTTP2 = false
	r.Cleanup(transport.CloseIdleConnections)
	return tunnel.AgentConfig{
		Server: r.url(), Transport: transport, VpcID: vpc, Secret: name, Dial: guard.Dial,
		Retry: time.Millisecond, Drain: time.Minute,
	}
}

// agent is one that runs.
type agent struct {
	stop  context.CancelFunc
	ended chan error
}

func (r *rig) run(c tunnel.AgentConfig) *agent {
	r.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &agent{stop: cancel, ended: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.ended <- tunnel.NewAgent(c).Run(ctx)
	}()
	r.Cleanup(func() {
		cancel()
		r.hub.Close()
		<-done
	})
	return a
}

// start runs a known agent, and waits until it is connected.
func (r *rig) start(name, vpc string) *agent {
	r.Helper()
	r.knows(name, owner, vpc)
	a := r.run(r.config(name, vpc))
	<-r.opened
	return a
}

// guard is the server's, with routes through the hub.
func (r *rig) guard() *netguard.Guard {
	g, err := netguard.New(netguard.Config{Routes: r.hub.Route})
	if err != nil {
		r.Fatal(err)
	}
	return g
}

func (r *rig) dial(vpc, address string) (net.Conn, error) {
	dial, ok := r.hub.Route(owner, vpc)
	if !ok {
		return nil, errors.New("no route")
	}
	return dial(r.Context(), "tcp", address)
}

// echo sends back what it gets, until it is hung up.
func echo(t testing.TB) (address string) {
	t.Helper()
	return listen(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// listen serves each connection with a function, and closes it afterwards.
func listen(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer func() { _ = c.Close() }()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func (r *rig) forget(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, name)
}

// fingerprint is the SHA-256 of a server's certificate.
func fingerprint(s *httptest.Server) string {
	sum := sha256.Sum256(s.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

// TestMain holds that nothing of this package runs on when its tests are done.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leftovers(); code == 0 && left != "" {
		_, _ = os.Stderr.WriteString("goroutines that were left behind:\n" + left)
		code = 1
	}
	os.Exit(code)
}

// leftovers are goroutines of tunnels. They are given time to end.
func leftovers() string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var left string
	for range 1000 {
		left = ""
		buffer := make([]byte, 1<<20)
		buffer = buffer[:runtime.Stack(buffer, true)]
		for g := range strings.SplitSeq(string(buffer), "\n\n") {
			if (strings.Contains(g, "internal/tunnel.") || strings.Contains(g, "hashicorp/yamux")) && !strings.Contains(g, "timerproc") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			return ""
		}
		<-tick.C
	}
	return left
}
