package tunnel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/hashicorp/yamux"

	"portolan"
	"portolan/internal/netguard"
)

// route dials into one network.
type route struct {
	hub   *Hub
	owner int64
	vpcID string
}

// serving lists the sessions into the network, the one that carries least
// first. The hub is locked.
func (r *route) serving(tried []*session) []*session {
	var list []*session
	for _, s := range r.hub.sessions {
		if s.Agent.Owner == r.owner && s.Agent.VpcID == r.vpcID && !s.leaving && !s.mux.IsClosed() && !slices.Contains(tried, s) {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.Streams, b.Streams), cmp.Compare(a.turn, b.turn))
	})
	return list
}

// take chooses a session and counts a stream of it. left is how many there
// are to choose from, busy is set when all carry as much as they may.
func (r *route) take(tried []*session) (s *session, left int, busy bool) {
	h := r.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	list := r.serving(tried)
	if len(list) == 0 {
		return nil, 0, false
	}
	if s = list[0]; s.Streams >= MaxStreams {
		return nil, 0, true
	}
	h.turn++
	s.turn = h.turn
	s.Streams++
	return s, len(list), false
}

// free counts a stream that ended. leaving takes the session out of the
// choice.
func (h *Hub) free(s *session, leaving bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.Streams--
	s.leaving = s.leaving || leaving
}

// dial implements netguard.DialFunc. What an agent says of the address is the
// answer; when the session fails instead, the next agent is asked. Each has a
// fair share of the time.
func (r *route) dial(ctx context.Context, _, address string) (net.Conn, error) {
	var (
		tried []*session
		first error
	)
	for {
		s, left, busy := r.take(tried)
		if s == nil {
			return nil, cmp.Or(first, r.unserved(busy))
		}
		conn, err := r.hub.try(ctx, s, left, address)
		if err == nil {
			return conn, nil
		}
		if _, answered := errors.AsType[*netguard.Error](err); answered {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, cmp.Or(first, ctx.Err())
		}
		r.hub.Log.InfoContext(ctx, "agent did not carry a connection", "agent", s.Agent.ID, "error", err)
		tried = append(tried, s)
		if errors.Is(err, context.DeadlineExceeded) {
			first = cmp.Or(first, err)
		}
	}
}

func (r *route) unserved(busy bool) error {
	e := &netguard.Error{
		Class:   portolan.NetworkUnavailable,
		Message: fmt.Sprintf("The agents of VPC %q are disconnected.", r.vpcID),
		Remedy:  "Look into their logs; what they carried is tried again.",
	}
	if busy {
		e.Message = fmt.Sprintf("The agents of VPC %q carry %d connections each.", r.vpcID, MaxStreams)
		e.Remedy = "Start another one; what they cannot carry is tried again."
	}
	return e
}

// try dials through a session, within its share of the time.
func (h *Hub) try(ctx context.Context, s *session, left int, address string) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	stream, err := h.open(ctx, s)
	if err != nil {
		h.free(s, errors.Is(err, yamux.ErrRemoteGoAway))
		return nil, err
	}
	c := &conn{Stream: stream, hub: h, session: s}
	if err := c.ask(ctx, address); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// open opens a stream. A session whose line is stuck leaves the opening to a
// goroutine, until its own timeout.
func (h *Hub) open(ctx context.Context, s *session) (*yamux.Stream, error) {
	type opened struct {
		stream *yamux.Stream
		err    error
	}
	result := make(chan opened)
	go func() {
		stream, err := s.mux.OpenStream()
		select {
		case result <- opened{stream, err}:
		case <-ctx.Done():
			if err == nil {
				_ = stream.Close()
			}
		}
	}()
	select {
	case o := <-result:
		return o.stream, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
