package tunnel

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/yamux"

	"portolan/internal/netguard"
)

// Identity is who an agent is.
type Identity struct {
	ID, Name string
	// Owner is the account that the agent serves, and VpcID which of its
	// networks.
	Owner int64
	VpcID string
}

// Session is a connection of an agent.
type Session struct {
	// ID is a UUID, another one for each connection.
	ID    string
	Agent Identity
	// Address is where the agent connects from, Version what it says to be.
	Address, Version string
	Since            time.Time
	// Streams is the number of connections that it carries.
	Streams int
}

// HubConfig is what a Hub is made of. All but Peer, Now and Log is needed.
type HubConfig struct {
	// Authenticate answers who has a secret. Its error is a *RefusalError for one
	// that is not let in.
	Authenticate func(ctx context.Context, secret, vpcID string) (Identity, error)
	// Exchange binds a secret to the agent that a token was made for. It may be
	// called again with the same pair. Its error is a *RefusalError for a token that
	// does not count.
	Exchange func(ctx context.Context, token, secret, vpcID string) error
	// Opened and Closed are told of each session that begins and ends.
	Opened, Closed func(ctx context.Context, s Session)
	// Peer answers the address of a client, that of the connection if nil.
	Peer func(*http.Request) string
	Now  func() time.Time
	Log  *slog.Logger
}

// Hub is the server's end: it keeps the sessions of the agents that are
// connected to this process, and dials through them.
type Hub struct {
	HubConfig

	mu       sync.Mutex
	closed   bool
	sessions map[string]*session // by the id of the agent
	turn     int64
	running  sync.WaitGroup
}

// session is a connection of an agent, guarded by the lock of its hub.
type session struct {
	Session
	mux *yamux.Session
	// turn is when it was last chosen; of two that carry as much, the other is
	// next.
	turn int64
	// leaving is set when the agent takes no more streams.
	leaving bool
}

// NewHub makes a hub without sessions.
func NewHub(c HubConfig) *Hub {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Hub{HubConfig: c, sessions: make(map[string]*session)}
}

// Sessions lists the sessions by the id of the agent.
func (h *Hub) Sessions() []Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Session, 0, len(h.sessions))
	for _, s := range h.sessions {
		list = append(list, s.Session)
	}
	slices.SortFunc(list, func(a, b Session) int { return cmp.Compare(a.Agent.ID, b.Agent.ID) })
	return list
}

// Cut ends the session of an agent at once, with all that it carries.
func (h *Hub) Cut(agentID string) {
	h.mu.Lock()
	s := h.sessions[agentID]
	h.mu.Unlock()
	if s != nil {
		_ = s.mux.Close() // it answers nil
	}
}

// Close ends all sessions and waits for them. None begins afterwards.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	for _, s := range h.sessions {
		h.running.Go(func() { _ = s.mux.Close() })
	}
	h.mu.Unlock()
	h.running.Wait()
}

// run keeps a session until it ends. One that the agent had before is dead or
// about to be, and ends.
func (h *Hub) run(ctx context.Context, s *session) {
	s.ID = uuid.NewString()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		_ = s.mux.Close()
		return
	}
	h.running.Add(1)
	defer h.running.Done()
	before := h.sessions[s.Agent.ID]
	h.sessions[s.Agent.ID] = s
	h.mu.Unlock()
	if before != nil {
		_ = before.mux.Close()
	}
	h.Opened(ctx, s.Session)
	h.Log.InfoContext(ctx, "agent connected", "agent", s.Agent.ID, "name", s.Agent.Name, "vpc", s.Agent.VpcID, "address", s.Address, "again", before != nil)
	// Until it ends; an agent that opens a stream breaks the rules, and is cut.
	if _, err := s.mux.AcceptStream(); err == nil {
		_ = s.mux.Close()
	}
	h.mu.Lock()
	if h.sessions[s.Agent.ID] == s {
		delete(h.sessions, s.Agent.ID)
	}
	ended := s.Session
	h.mu.Unlock()
	h.Closed(ctx, ended)
	h.Log.InfoContext(ctx, "agent disconnected", "agent", s.Agent.ID, "name", s.Agent.Name, "vpc", s.Agent.VpcID)
}

// full reports whether no other agent can be taken.
func (h *Hub) full() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.closed || len(h.sessions) >= maxSessions
}

// Route answers the way into a network of an owner, false if none of its
// agents is connected here.
func (h *Hub) Route(owner int64, vpcID string) (netguard.DialFunc, bool) {
	r := route{hub: h, owner: owner, vpcID: vpcID}
	h.mu.Lock()
	defer h.mu.Unlock()
	return r.dial, len(r.serving(nil)) > 0
}
