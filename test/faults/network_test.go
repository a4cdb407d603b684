package faults

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// network connects names to servers by pipes, so that a whole reading runs in
// a bubble of its own time, over real HTTP.
type network struct{ hosts map[string]*pipes }

// serve serves hosts until the test ends.
func serve(t *testing.T, handlers map[string]http.Handler) *network {
	t.Helper()
	n := &network{hosts: map[string]*pipes{}}
	for host, handler := range handlers {
		var wg sync.WaitGroup
		l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		n.hosts[host] = l
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		wg.Go(func() { _ = server.Serve(l) })
		t.Cleanup(func() { _ = server.Close(); wg.Wait() })
	}
	return n
}

// dial is a netguard.DialFunc.
func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	l := n.hosts[host]
	if l == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// pipes is a listener of pipes.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
