package tunnel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/yamux"
)

// conn is a connection that an agent carries, as the server uses it.
type conn struct {
	*yamux.Stream
	hub     *Hub
	session *session
	closed  atomic.Bool
}

// ask has the agent dial. An error that the agent tells is a *netguard.Error.
func (c *conn) ask(ctx context.Context, address string) error {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	var a answer
	err := writeHeader(c.Stream, request{address})
	if err == nil {
		err = readHeader(c.Stream, &a)
	}
	switch {
	case !stop():
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("ask the agent to dial: %w", c.lost(err))
	}
	return a.failure(c.session.Agent.Name)
}

// Read ends with an error, and never as if the other side had hung up, when
// the agent is gone: what was read by then may be a part.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Stream.Read(b)
	return n, c.lost(err)
}

func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Stream.Write(b)
	return n, c.lost(err)
}

// Close hangs up. It may be called again.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	err := c.Stream.Close()
	_ = c.SetReadDeadline(time.Unix(1, 0)) // a reader would wait until the agent hangs up too
	c.hub.free(c.session, false)
	return err
}

// lost makes errors of the session errors of the network.
func (c *conn) lost(err error) error {
	switch {
	case err == nil:
		return nil
	case c.closed.Load():
		return net.ErrClosed
	case errors.Is(err, io.EOF) && !c.session.mux.IsClosed():
		return err
	case errors.Is(err, io.EOF), errors.Is(err, yamux.ErrConnectionReset), errors.Is(err, yamux.ErrSessionShutdown),
		errors.Is(err, yamux.ErrConnectionWriteTimeout):
		return fmt.Errorf("the agent broke off: %w", syscall.ECONNRESET)
	case errors.Is(err, yamux.ErrStreamClosed):
		return net.ErrClosed
	}
	return err
}
