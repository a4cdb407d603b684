package gateway

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
)

// corked is a connection that can hold back what is written to it. net/http
// writes an answer in two pieces, its header with the first 4 KiB and the
// rest; held back, both leave in one system call and mostly one packet.
type corked struct {
	net.Conn

	mu    sync.Mutex // of what follows; nobody waits for the client with it
	state corkState
	held  []byte
}

type corkState int

const (
	open corkState = iota
	holding
	releasing
)

// Write implements net.Conn. What is held back is copied. Only what TLS says by
// itself can meet a release, mostly at the connection's end: it fails, since
// the client may not read.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	switch c.state {
	case releasing:
		c.mu.Unlock()
		return 0, net.ErrClosed
	case holding:
		c.held = append(c.held, p...)
		c.mu.Unlock()
		return len(p), nil
	default:
		c.mu.Unlock()
		return c.Conn.Write(p)
	}
}

// hold makes the connection collect what is written in buf, until release.
func (c *corked) hold(buf []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.held = holding, buf[:0]
}

// release writes what was collected, and gives the buffer back. After an error
// nothing may follow on the connection: net/http took all of it for written.
func (c *corked) release() (buf []byte, err error) {
	c.mu.Lock()
	buf, c.state, c.held = c.held, releasing, nil
	c.mu.Unlock()
	if len(buf) > 0 {
		_, err = c.Conn.Write(buf)
	}
	c.mu.Lock()
	c.state = open
	c.mu.Unlock()
	return buf, err
}

// corkedListener makes its connections corked.
type corkedListener struct{ net.Listener }

func (l corkedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &corked{Conn: c}, nil
}

type corkedKey struct{}

// withCorked keeps a connection in the context of its requests. With TLS it is
// the one below.
func withCorked(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, corkedKey{}, c)
}

// corkedOf answers the connection of a request, nil if it is not from Limit.
func corkedOf(ctx context.Context) *corked {
	c, _ := ctx.Value(corkedKey{}).(*corked)
	return c
}
