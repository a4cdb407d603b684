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

	mu   sync.Mutex // a TLS connection may answer its peer's handshake at any time
	on   bool
	held []byte
}

// Write implements net.Conn. What is held back is copied.
func (c *corked) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	return len(p), nil
}

// hold makes the connection collect what is written in buf, until release.
func (c *corked) hold(buf []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on, c.held = true, buf[:0]
}

// release writes what was collected, and gives the buffer back.
func (c *corked) release() (buf []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf, c.on, c.held = c.held, false, nil
	if len(buf) > 0 {
		_, err = c.Conn.Write(buf)
	}
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
