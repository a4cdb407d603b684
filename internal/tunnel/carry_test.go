package tunnel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"portolan"
	"portolan/internal/netguard"
	"portolan/internal/tunnel"
)

// A registry behind an agent is read as any other, over both protocols.
func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("a", "vpc-1")
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, req.Method+" "+strconv.Itoa(len(b))+" ")
		_, _ = w.Write(b)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	t.Cleanup(plain.Close)
	t.Cleanup(secure.Close)
	for _, s := range []*httptest.Server{plain, secure} {
		u, err := url.Parse(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		target := netguard.Target{Host: "registry.test", HostIP: "10.0.0.1", NetType: portolan.NetVPC, Owner: owner, VpcID: "vpc-1"}
		guard, err := netguard.New(netguard.Config{Routes: func(o int64, vpc string) (netguard.DialFunc, bool) {
			dial, ok := r.hub.Route(o, vpc)
			return func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, u.Host) }, ok
		}})
		if err != nil {
			t.Fatal(err)
		}
		if s == secure {
			target.CertificateSHA256 = fingerprint(s)
		}
		client, err := guard.Client(target)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.CloseIdleConnections)
		for _, size := range []int{0, 1, 100, 3 << 20} { // more than a window
			sent := bytes.Repeat([]byte{byte(size)}, size)
			resp, err := client.Post(u.Scheme+"://registry.test:"+u.Port(), "", bytes.NewReader(sent))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if want := "POST " + strconv.Itoa(size) + " " + string(sent); err != nil || string(got) != want {
				t.Errorf("%s, %d bytes: got %d, %v", u.Scheme, size, len(got), err)
			}
		}
	}
	if list := r.hub.Sessions(); len(list) != 1 || list[0].Agent.Name != "a" || list[0].Address != "127.0.0.1" || list[0].Version != portolan.Version || list[0].Since.IsZero() {
		t.Errorf("sessions %+v", list)
	}
}

// What an agent could not do is told as exactly as if the server had tried.
func TestFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("lab", owner, "vpc-1")
	guard, err := netguard.New(netguard.Config{
		Permit: "Start the agent with --allow-dial", Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if addr, ok := map[string]string{"private.test": "10.1.2.3", "metadata.test": "169.254.169.254"}[host]; ok {
				return []netip.Addr{netip.MustParseAddr(addr)}, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.config("lab", "vpc-1")
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		switch host, _, _ := strings.Cut(address, ":"); host {
		case "strange.test":
			return nil, errors.New("hunter2")
		case "liar.test":
			return nil, &netguard.Error{Class: portolan.BadCredentials, Message: strings.Repeat("<\n", 1000), Remedy: strings.Repeat("\"", 5000)}
		}
		return guard.Dial(ctx, network, address)
	}
	r.run(c)
	<-r.opened
	tests := map[string]struct {
		host  string
		class portolan.ErrorClass
		want  string
	}{
		"no such host": {"missing.test", portolan.DNSFailure, "Agent lab: Cannot find host missing.test. Check the domain name."},
		"private": {
			"private.test", portolan.AddressForbidden,
			"Agent lab: Portolan may not connect there: private.test has the address 10.1.2.3, which is private. Start the agent with --allow-dial 10.1.2.3/32.",
		},
		"metadata": {"metadata.test", portolan.AddressForbidden, "which is a metadata service. Enter the address of the registry itself."},
		"literal":  {"192.168.7.7", portolan.AddressForbidden, "192.168.7.7 is private. Start the agent with --allow-dial 192.168.7.7/32."},
		"refused":  {"127.0.0.1", portolan.ConnectFailure, "Agent lab: Cannot reach 127.0.0.1:1 from Portolan (connection refused)."},
		"number":   {"127.1", portolan.DNSFailure, "Cannot find host"},
		"strange":  {"strange.test", portolan.ConnectFailure, "Agent lab: The agent could not connect."},
		"liar":     {"liar.test", portolan.ConnectFailure, "Agent lab: < < <"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := r.dial("vpc-1", tt.host+":1")
			failure, ok := errors.AsType[*netguard.Error](err)
			if !ok || failure.Class != tt.class || !strings.Contains(failure.Error(), tt.want) {
				t.Errorf("error %v, want %s %q", err, tt.class, tt.want)
			}
			if ok && (len(failure.Error()) > 700 || strings.ContainsAny(failure.Error(), "\n") || strings.Contains(failure.Error(), "hunter2")) {
				t.Errorf("message %q", failure)
			}
		})
	}
	if n := r.hub.Sessions()[0].Streams; n != 0 {
		t.Errorf("%d streams are counted after they failed", n)
	}
}

// A network has one owner.
func TestNobodyElsewhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("a", "vpc-1")
	for _, elsewhere := range []struct {
		owner int64
		vpc   string
	}{{other, "vpc-1"}, {owner, "vpc-2"}, {0, "vpc-1"}, {owner, ""}} {
		if _, ok := r.hub.Route(elsewhere.owner, elsewhere.vpc); ok {
			t.Errorf("%v is served", elsewhere)
		}
		_, err := r.guard().Resolve(t.Context(), netguard.Target{Host: "x.test", NetType: portolan.NetVPC, Owner: elsewhere.owner, VpcID: elsewhere.vpc})
		if failure, ok := netguard.Classify(err); !ok || failure.Class != portolan.NetworkUnavailable {
			t.Errorf("%v: %v", elsewhere, err)
		}
	}
}

// Agents of one network share the work.
func TestShare(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("a", "vpc-1")
	r.start("b", "vpc-1")
	r.start("c", "vpc-2")
	address := echo(t)
	carried := map[string]int{}
	for range 6 {
		c, err := r.dial("vpc-1", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
	}
	for _, s := range r.hub.Sessions() {
		carried[s.Agent.Name] = s.Streams
	}
	if carried["a"] != 3 || carried["b"] != 3 || carried["c"] != 0 {
		t.Errorf("carried %v", carried)
	}
}

// An agent that dies in the middle of an answer makes an error of it, never an
// end; the other one goes on.
func TestDeathInTheMiddle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("a", "vpc-1")
	address := listen(t, func(c net.Conn) {
		_, _ = io.WriteString(c, "half")
		_, _ = io.Copy(io.Discard, c)
	})
	c, err := r.dial("vpc-1", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	half := make([]byte, 4)
	if _, err := io.ReadFull(c, half); err != nil {
		t.Fatal(err)
	}
	r.start("b", "vpc-1")
	r.hub.Cut("a")
	if n, err := c.Read(half); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %d, %v", n, err)
	}
	if _, err := c.Write(half); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, net.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	failure, ok := netguard.Classify(&url.Error{Op: "Get", URL: "http://registry.test", Err: syscall.ECONNRESET})
	if !ok || failure.Class != portolan.ConnectFailure {
		t.Errorf("classified as %v", failure)
	}
	again, err := r.dial("vpc-1", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

// An agent that dies while it dials is no answer: the other one is asked.
func TestDeathDuringDial(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("a", owner, "vpc-1")
	config := r.config("a", "vpc-1")
	dialling := make(chan struct{}, 1)
	config.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialling <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	r.run(config)
	<-r.opened
	var wg sync.WaitGroup
	wg.Go(func() {
		<-dialling
		r.start("b", "vpc-1")
		r.forget("a")
		r.hub.Cut("a")
	})
	c, err := r.dial("vpc-1", echo(t))
	wg.Wait()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	r.forget("b")
	r.hub.Cut("b")
	<-r.closed
	<-r.closed
	if _, ok := r.hub.Route(owner, "vpc-1"); ok {
		t.Error("there is a route without agents")
	}
}

// An agent that does not answer takes its share of the time and no more.
func TestSlow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.knows("slow", owner, "vpc-1")
	config := r.config("slow", "vpc-1")
	config.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	slow := r.run(config)
	<-r.opened
	route, _ := r.hub.Route(owner, "vpc-1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := route(ctx, "tcp", "x.test:1"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("alone: %v", err)
	}
	r.start("quick", "vpc-1")
	ctx, cancel = context.WithTimeout(t.Context(), 8*time.Second)
	defer cancel()
	address := echo(t)
	for range 2 { // one of them asks the slow one first
		c, err := route(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	slow.stop()
}

func TestMaxStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("a", "vpc-1")
	address := echo(t)
	var last net.Conn
	for range tunnel.MaxStreams {
		c, err := r.dial("vpc-1", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		last = c
	}
	_, err := r.dial("vpc-1", address)
	failure, ok := errors.AsType[*netguard.Error](err)
	if !ok || failure.Class != portolan.NetworkUnavailable || !strings.Contains(failure.Message, "256 connections each") {
		t.Errorf("one too many: %v", err)
	}
	if err := last.Close(); err != nil {
		t.Error(err)
	}
	if err := last.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
	c, err := r.dial("vpc-1", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}
