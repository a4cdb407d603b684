package tunnel

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// serve carries streams until the session ends. At the end of the context it
// takes no more, and gives those that there are time to end.
func (a *Agent) serve(ctx context.Context, mux *yamux.Session) {
	carrying, cancel := context.WithCancel(context.WithoutCancel(ctx))
	slots := make(chan struct{}, MaxStreams)
	var running sync.WaitGroup
	drained := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(drained)
		a.drain(mux, slots)
	})
	for {
		stream, err := mux.AcceptStream()
		if err != nil {
			break
		}
		select {
		case slots <- struct{}{}: // the server counts too: what is full has streams that are about to end
			running.Go(func() {
				defer func() { <-slots }()
				a.carry(carrying, stream)
			})
		case <-mux.CloseChan():
		}
	}
	_ = mux.Close() // it answers nil
	if !stop() {
		<-drained
	}
	cancel()
	running.Wait()
}

// drain ends a session when nothing is carried, at the latest after Drain. Who
// holds all slots knows that no stream does.
func (a *Agent) drain(mux *yamux.Session, slots chan struct{}) {
	defer mux.Close() //nolint:errcheck // it answers nil
	_ = mux.GoAway()  // a line that is broken is what is wanted
	late := time.NewTimer(a.Drain)
	defer late.Stop()
	for range cap(slots) {
		select {
		case slots <- struct{}{}:
		case <-late.C:
			return
		case <-mux.CloseChan():
			return
		}
	}
}

// carry dials for a stream, tells how that went, and copies both ways.
func (a *Agent) carry(ctx context.Context, stream *yamux.Stream) {
	defer stream.Close() //nolint:errcheck // it answers nil
	var req request
	_ = stream.SetReadDeadline(time.Now().Add(handshakeTimeout)) // it answers nil
	if err := readHeader(stream, &req); err != nil {
		a.Log.WarnContext(ctx, "stream without a header", "error", err)
		return
	}
	_ = stream.SetReadDeadline(time.Time{})
	target, err := a.Dial(ctx, "tcp", req.Address)
	_ = stream.SetWriteDeadline(time.Now().Add(handshakeTimeout))
	told := writeHeader(stream, answerOf(err))
	if err != nil {
		a.Log.InfoContext(ctx, "cannot dial", "address", req.Address, "error", err)
		return
	}
	_ = stream.SetWriteDeadline(time.Time{})
	if told != nil {
		_ = target.Close()
		return
	}
	pump(stream, target)
}

// pump copies both ways until both have ended. When the server hangs up, it
// wants no more: the target is hung up too. When the target does, what it sent
// arrives before the end. yamux cannot say that a connection broke off, so a
// cut looks like an end; HTTP tells them apart by its own lengths, TLS by its
// own end.
func pump(stream *yamux.Stream, target net.Conn) {
	var back sync.WaitGroup
	back.Go(func() {
		copyAll(target, stream, requestBuffer)
		_ = target.Close()
	})
	copyAll(stream, target, answerBuffer)
	_ = stream.Close()
	back.Wait()
}

// copyAll copies through a buffer of its own: what the types offer instead
// copies in small pieces, each a frame.
func copyAll(to io.Writer, from io.Reader, size int) {
	type writer struct{ io.Writer }
	type reader struct{ io.Reader }
	_, _ = io.CopyBuffer(writer{to}, reader{from}, make([]byte, size)) // either side's end is the end
}
