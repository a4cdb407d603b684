package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"portolan/internal/rpc"
	"portolan/internal/sign"
)

// counting counts the writes to all of its connections.
type counting struct {
	net.Listener
	writes atomic.Int64
}

type counted struct {
	net.Conn
	l *counting
}

func (l *counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return counted{c, l}, err
}

func (c counted) Write(p []byte) (int, error) {
	c.l.writes.Add(1)
	return c.Conn.Write(p)
}

// taken answers the writes since it was asked last.
func (l *counting) taken() int { return int(l.writes.Swap(0)) }

// corkedServer serves pages of as many rows as asked for, with TLS or without.
func corkedServer(t *testing.T, secure bool) (*httptest.Server, *counting) {
	t.Helper()
	s := newSetup(func(c *Config) { c.Catalog = rpc.NewCatalog([]rpc.Endpoint{pageOperation(rows)}) })
	server := httptest.NewUnstartedServer(nil)
	count := &counting{Listener: server.Listener}
	server.Listener = Limit(count)
	server.Config = s.Server()
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, count
}

func ask(t *testing.T, server *httptest.Server, size string) []byte {
	t.Helper()
	r := signed(t, sign.HMACSHA1, "PageImageRegistry", "JSON", "PageSize="+size, "")
	out, err := http.NewRequestWithContext(t.Context(), r.Method, server.URL+"/?"+r.URL.RawQuery, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("Accept-Encoding", "identity")
	answer, err := server.Client().Do(out)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || answer.ContentLength != int64(len(body)) {
		t.Fatalf("%d, %v: %s", answer.StatusCode, err, body)
	}
	return body
}

// An answer of some pages of memory leaves in one piece, and the connection is
// used on.
func TestAnswerLeavesInOnePiece(t *testing.T) {
	server, count := corkedServer(t, false)
	for _, size := range []string{"1", "20", "100", "20"} {
		body := ask(t, server, size)
		if n := count.taken(); n != 1 {
			t.Errorf("an answer of %s rows, %d bytes, took %d writes", size, len(body), n)
		}
		if n := strings.Count(string(body), `"RegistryName":"镜像 team \"core\""`); size != "1" && n < 20 {
			t.Errorf("%d rows of %s", n, size)
		}
	}
}

func TestAnswerOverTLSLeavesInOnePiece(t *testing.T) {
	server, count := corkedServer(t, true)
	ask(t, server, "1") // with the handshake
	count.taken()
	for _, size := range []string{"1", "20", "100"} {
		body := ask(t, server, size)
		if n := count.taken(); n != 1 {
			t.Errorf("an answer of %s rows, %d bytes, took %d writes", size, len(body), n)
		}
	}
}

func TestCorkedOf(t *testing.T) {
	near, far := net.Pipe()
	defer func() { _, _ = near.Close(), far.Close() }()
	c := &corked{Conn: near}
	for name, conn := range map[string]net.Conn{"plain": c, "TLS": tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS12})} {
		if got := corkedOf(withCorked(t.Context(), conn)); got != c {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := corkedOf(withCorked(t.Context(), near)); got != nil {
		t.Errorf("a connection of another listener: %v", got)
	}
	if got := corkedOf(context.Background()); got != nil {
		t.Errorf("no connection: %v", got)
	}
}

// breaking is a connection whose first write fails half-way, as at a deadline.
type breaking struct {
	net.Conn
	broke atomic.Bool
}

func (c *breaking) Write(p []byte) (int, error) {
	if !c.broke.Swap(true) {
		n, _ := c.Conn.Write(p[:len(p)/2])
		return n, os.ErrDeadlineExceeded
	}
	return c.Conn.Write(p)
}

type breakingListener struct{ net.Listener }

func (l breakingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return &breaking{Conn: c}, err
}

// Nothing follows half an answer, whether it is a result or an error.
func TestHalfAnAnswerIsTheLast(t *testing.T) {
	page := signed(t, sign.HMACSHA1, "PageImageRegistry", "JSON", "PageSize=20", "").URL.RequestURI()
	for name, target := range map[string]string{"a result": page, "an error": "/nope"} {
		server := httptest.NewUnstartedServer(nil)
		server.Listener = Limit(breakingListener{server.Listener})
		server.Config = newSetup(nil).Server()
		server.Start()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Listener.Addr().String()) //nolint:forbidigo // a server of this test
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", target); err != nil {
				t.Fatal(err)
			}
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // where it fails
		sent, err := io.ReadAll(conn)                              // a reset is as good as an end
		if n := strings.Count(string(sent), "HTTP/1.1 "); n != 1 || strings.HasSuffix(string(sent), "}") {
			t.Errorf("%s: %d answers, %v: %s", name, n, err, sent)
		}
		_ = conn.Close()
		server.Close()
	}
}

// What TLS says at the end of a connection does not wait for a client that does
// not read.
func TestReleaseHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &corked{Conn: near}
		c.hold(nil)
		if n, err := c.Write([]byte("answer")); n != 6 || err != nil {
			t.Fatalf("held: %d, %v", n, err)
		}
		released := make(chan error)
		go func() {
			_, err := c.release()
			released <- err
		}()
		synctest.Wait() // it waits for the client
		if _, err := c.Write([]byte("alert")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a write beside the release: %v", err)
		}
		_ = far.Close()
		if err := <-released; err == nil {
			t.Error("the release had no error")
		}
		_ = near.Close()
	})
}
