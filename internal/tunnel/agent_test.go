package tunnel_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"portolan/internal/netguard"
	"portolan/internal/tunnel"
)

func TestEnrolment(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.tokens["token"] = tunnel.Identity{ID: "1", Name: "one", Owner: owner, VpcID: "vpc-1"}
	c := r.config("secret", "vpc-1")
	c.Token = "token"
	first := r.run(c)
	if s := <-r.opened; s.Agent.Name != "one" {
		t.Errorf("session %+v", s)
	}
	first.stop()
	if err := <-first.ended; err != nil {
		t.Error(err)
	}
	<-r.closed
	r.run(c) // the token is not looked at again
	<-r.opened
}

// What the server does not want is not tried again.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		secret, token, vpc string
		want               string
	}{
		"no such secret":    {"x", "", "vpc-1", tunnel.CodeUnknown},
		"no such token":     {"x", "y", "vpc-1", "AgentTokenUsed"},
		"another VPC":       {"known", "", "vpc-2", "AgentVpcMismatch"},
		"no secret":         {"", "", "vpc-1", tunnel.CodeUnknown},
		"token and the VPC": {"known", "y", "vpc-2", "AgentVpcMismatch"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.knows("known", owner, "vpc-1")
			c := r.config(tt.secret, tt.vpc)
			c.Token = tt.token
			err := <-r.run(c).ended
			if refusal, ok := errors.AsType[*tunnel.RefusalError](err); !ok || refusal.Code != tt.want || refusal.Message == "" {
				t.Errorf("ended with %#v, want %s", err, tt.want)
			}
			if len(r.opened) > 0 {
				t.Error("a session was opened")
			}
		})
	}
}

// A used token stays used, whoever comes with it.
func TestTokenIsUsedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.tokens["token"] = tunnel.Identity{ID: "1", Name: "one", Owner: owner, VpcID: "vpc-1"}
	c := r.config("first", "vpc-1")
	c.Token = "token"
	r.run(c)
	<-r.opened
	c.Secret = "second"
	if refusal, ok := errors.AsType[*tunnel.RefusalError](<-r.run(c).ended); !ok || refusal.Code != "AgentTokenUsed" {
		t.Errorf("again: %v", refusal)
	}
}

// A server that cannot say yes or no is asked again, and tells nothing of why.
func TestTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := r.config("secret", "vpc-1")
	c.Token = "broken"
	a := r.run(c)
	resp, err := r.server.Client().Post(r.server.URL+tunnel.EnrollPath, "", strings.NewReader(`{"token":"broken"}`))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusInternalServerError || strings.Contains(string(body), "hunter2") {
		t.Errorf("%d %s %v", resp.StatusCode, body, err)
	}
	r.knows("secret", owner, "vpc-1")
	<-r.opened
	r.hub.Cut("secret")
	<-r.closed
	<-r.opened // connected again
	if len(a.ended) > 0 {
		t.Error("it ended")
	}
}

// An agent that is cut and no longer known ends, with what it carried.
func TestRevoked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", "vpc-1")
	c, err := r.dial("vpc-1", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	r.forget("a")
	r.hub.Cut("a")
	r.hub.Cut("nobody")
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	if refusal, ok := errors.AsType[*tunnel.RefusalError](<-a.ended); !ok || refusal.Code != tunnel.CodeUnknown {
		t.Errorf("ended with %v", refusal)
	}
	if _, ok := r.hub.Route(owner, "vpc-1"); ok {
		t.Error("there is still a route")
	}
}

// An agent that comes again is the agent: its old session is dead or unwanted.
func TestReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("a", owner, "vpc-1")
	old := r.session("a", "vpc-1")
	first := <-r.opened
	r.start("a", "vpc-1")
	<-old.CloseChan()
	if ended := <-r.closed; ended.ID != first.ID {
		t.Errorf("ended %+v, want %+v", ended, first)
	}
	if list := r.hub.Sessions(); len(list) != 1 || list[0].ID == first.ID {
		t.Errorf("sessions %+v", list)
	}
}

// An agent that is stopped takes nothing new, and carries what it has to its
// end.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", "vpc-1")
	address := echo(t)
	c, err := r.dial("vpc-1", address)
	if err != nil {
		t.Fatal(err)
	}
	a.stop()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		extra, err := r.dial("vpc-1", address)
		if err != nil {
			break
		}
		_ = extra.Close()
		<-tick.C
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("while it drains: %q, %v", b, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
}

// What does not end in time is ended.
func TestDrainEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("a", owner, "vpc-1")
	config := r.config("a", "vpc-1")
	config.Drain = time.Millisecond
	a := r.run(config)
	<-r.opened
	c, err := r.dial("vpc-1", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	a.stop()
	if err := <-a.ended; err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
}

func TestClosedHub(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("a", owner, "vpc-1")
	old := r.session("a", "vpc-1")
	r.hub.Close()
	<-old.CloseChan()
	resp := r.upgrade("a", "vpc-1")
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("it answers %d", resp.StatusCode)
	}
}

func TestRequestsOfStrangers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, tt := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no upgrade":    {http.MethodGet, tunnel.ConnectPath, "", http.StatusUpgradeRequired},
		"no enrolment":  {http.MethodGet, tunnel.EnrollPath, "", http.StatusMethodNotAllowed},
		"no JSON":       {http.MethodPost, tunnel.EnrollPath, "x", http.StatusBadRequest},
		"too much JSON": {http.MethodPost, tunnel.EnrollPath, `{"token":"` + strings.Repeat("x", 10_000) + `"}`, http.StatusBadRequest},
		"no such token": {http.MethodPost, tunnel.EnrollPath, `{"token":"x"}`, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := http.NewRequestWithContext(t.Context(), tt.method, r.server.URL+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := r.server.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != tt.want {
				t.Errorf("answered %d, want %d", resp.StatusCode, tt.want)
			}
		})
	}
}

// upgrade asks as an agent does.
func (r *rig) upgrade(secret, vpc string) *http.Response {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.server.URL+tunnel.ConnectPath, http.NoBody)
	if err != nil {
		r.Fatal(err)
	}
	req.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"portolan-agent/1"}, "Authorization": {"Bearer " + secret}, "Portolan-Agent-Vpc": {vpc}}
	resp, err := r.config(secret, vpc).Transport.RoundTrip(req)
	if err != nil {
		r.Fatal(err)
	}
	return resp
}

// session is one of an agent that does what a test wants.
func (r *rig) session(secret, vpc string) *yamux.Session {
	r.Helper()
	resp := r.upgrade(secret, vpc)
	line, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		r.Fatalf("answered %d", resp.StatusCode)
	}
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	s, err := yamux.Server(line, config)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = s.Close() })
	return s
}

// Agents that break the rules fail their streams, and no more.
func TestBadAgents(t *testing.T) {
	t.Parallel()
	header := func(size uint16, body string) []byte {
		return append(binary.BigEndian.AppendUint16(nil, size), body...)
	}
	for name, sent := range map[string][]byte{
		"too large": header(4097, strings.Repeat("x", 4097)),
		"no JSON":   header(3, "abc"),
		"cut":       header(100, "{"),
		"nothing":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.knows("bad", owner, "vpc-1")
			mux := r.session("bad", "vpc-1")
			<-r.opened
			go func() {
				for {
					stream, err := mux.AcceptStream()
					if err != nil {
						return
					}
					_, _ = stream.Write(sent)
					_ = stream.Close()
				}
			}()
			for range 3 {
				if _, err := r.dial("vpc-1", "x.test:1"); err == nil {
					t.Error("it is taken for a connection")
				}
			}
			if n := r.hub.Sessions()[0].Streams; n != 0 {
				t.Errorf("%d streams are counted", n)
			}
		})
	}
}

// Hanging up does not depend on the agent: what is waited for ends at once.
func TestHangUpOnBadAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("bad", owner, "vpc-1")
	mux := r.session("bad", "vpc-1")
	<-r.opened
	go func() {
		stream, err := mux.AcceptStream()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = stream.Write([]byte("\x00\x02{}")) // and nothing more; the server may hang up before it is back
	}()
	c, err := r.dial("vpc-1", "x.test:1")
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := c.Read(make([]byte, 1))
		read <- err
	}()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
}

// Only the server opens streams.
func TestAgentOpensNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("bad", owner, "vpc-1")
	mux := r.session("bad", "vpc-1")
	_, _ = mux.OpenStream() // the server may end the session before it is back
	<-mux.CloseChan()
	<-r.closed
}

// The same from the other side: an agent stands what a server sends.
func TestBadServer(t *testing.T) {
	t.Parallel()
	sessions := make(chan *yamux.Session, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		line, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(line, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: portolan-agent/1\r\n\r\n")
		config := yamux.DefaultConfig()
		config.LogOutput = io.Discard
		mux, err := yamux.Client(line, config)
		if err != nil {
			t.Error(err)
			return
		}
		sessions <- mux
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	guard, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- tunnel.NewAgent(tunnel.AgentConfig{Server: u, Transport: &http.Transport{}, Dial: guard.Dial, Drain: time.Minute}).Run(ctx)
	}()
	mux := <-sessions
	for _, sent := range []string{"\xff\xff" + strings.Repeat("x", 100), "\x00\x03abc", "\x00\x02{}", "\x00\x0f{\"address\":\"x\"}"} {
		stream, err := mux.Open()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(stream, sent)
		if got, _ := bufio.NewReader(stream).ReadString(0); strings.HasPrefix(got, "\x00\x02{}") {
			t.Errorf("%q: a connection is made", sent)
		}
		_ = stream.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = mux.Close()
}

// A server that speaks something else is not one.
func TestOtherServer(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		http.Error(w, "<html>", http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	go func() {
		ended <- tunnel.NewAgent(tunnel.AgentConfig{Server: u, Transport: &http.Transport{}, Dial: dial, Retry: time.Millisecond}).Run(ctx)
	}()
	<-asked
	<-asked // it goes on
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
