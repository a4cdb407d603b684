// Package tunnel carries a server's connections into networks that the server
// cannot reach. An agent inside such a network opens one connection to the
// server, over which the server opens streams; the agent dials for each stream,
// and says how that went before it carries bytes.
//
// It knows both ends: the Hub, which is the server's, and the Agent. It knows
// yamux, which carries the streams, and the errors of netguard. It must not
// know the store, registries, or how agents and their secrets come about: who
// an agent is, is answered by functions that are handed in.
//
// # On the wire
//
// An agent sends GET /agents/connect with "Upgrade: portolan-agent/1", its
// secret as bearer token, and the VPC it means to serve. After 101 both sides
// speak yamux (https://github.com/hashicorp/yamux/blob/master/spec.md); only
// the server opens streams. A stream begins with one header each way: two bytes
// of length, most significant first, and as much JSON, at most 4096 bytes. That
// of the server has the address to dial, that of the agent is {} or tells class,
// message and remedy of a failure.
//
// POST /agents/enroll exchanges the single-use token of an agent for the secret
// that the agent has chosen.
package tunnel

import (
	"io"
	"log/slog"
	"time"

	"github.com/hashicorp/yamux"
)

// Paths of the two requests that an agent makes of a server.
const (
	ConnectPath = "/agents/connect"
	EnrollPath  = "/agents/enroll"
)

// protocol is what the connection is upgraded to.
const protocol = "portolan-agent/1"

// headerVPC names the VPC that an agent means to serve.
const headerVPC = "Portolan-Agent-Vpc"

// Limits of tunnels.
const (
	// MaxStreams is how many connections an agent carries at once.
	MaxStreams = 256
	// maxSessions is how many agents a server is connected to at once.
	maxSessions = 1_000
	// maxHeader bounds the header of a stream, maxBody a request or an answer
	// that comes before there is a session.
	maxHeader = 4 << 10
	maxBody   = 8 << 10
	// handshakeTimeout is for each step until bytes are carried, but for
	// dialling, which has limits of its own.
	handshakeTimeout = 10 * time.Second
	// keepAlive is how often each side looks whether the other still answers,
	// and writeTimeout how long it may take: a slow line with much under way
	// must not pass for a dead one.
	keepAlive    = 15 * time.Second
	writeTimeout = 30 * time.Second
	// openTimeout is how long an agent may leave a stream unaccepted.
	openTimeout = 15 * time.Second
	// window is how much of a stream may be under way: a line of 100 ms then
	// carries 10 MB a second and stream.
	window = 1 << 20
	// What a stream's bytes are read into, each a frame: answers are large,
	// requests are small.
	answerBuffer  = 128 << 10
	requestBuffer = 16 << 10
)

func muxConfig(log *slog.Logger) *yamux.Config {
	c := yamux.DefaultConfig()
	c.AcceptBacklog = MaxStreams
	c.KeepAliveInterval = keepAlive
	c.ConnectionWriteTimeout = writeTimeout
	c.StreamOpenTimeout = openTimeout
	c.MaxStreamWindowSize = window
	c.LogOutput = nil
	c.Logger = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
	return c
}

// RefusalError says why an agent is not let in. Trying again does not help, but
// for CodeSuspended.
type RefusalError struct {
	Code    string
	Message string
}

func (r *RefusalError) Error() string { return r.Message }

// Codes of refusals.
const (
	// CodeUnknown is for a secret that no agent has: it is to be exchanged for
	// a token first.
	CodeUnknown  = "AgentUnknown"
	CodeProtocol = "AgentProtocolUnsupported"
	// CodeSuspended is for an agent of an account that is suspended, the one
	// refusal that can end: trying again helps when the account is resumed.
	CodeSuspended = "AgentSuspended"
)

// frames writes a frame of yamux in one piece. The session writes the header
// and the body of a frame one after the other, which would be two TLS records
// and two packets for each.
type frames struct {
	io.ReadWriteCloser
	held []byte
}

const (
	frameHeader = 12 // bytes
	frameData   = 0  // the type, in the second byte
)

// Write is only called by the session's one sending goroutine.
func (f *frames) Write(b []byte) (int, error) {
	if len(f.held) == 0 && len(b) == frameHeader && b[1] == frameData && [4]byte(b[8:]) != [4]byte{} {
		f.held = append(f.held, b...)
		return len(b), nil
	}
	if len(f.held) == 0 {
		return f.ReadWriteCloser.Write(b)
	}
	f.held = append(f.held, b...)
	_, err := f.ReadWriteCloser.Write(f.held)
	f.held = f.held[:0]
	if err != nil {
		return 0, err
	}
	return len(b), nil
}
