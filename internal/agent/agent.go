// Package agent owns the rules of agents: who may become one and how often a
// token counts, who is let in, and what ends with a revocation. It keeps the
// hub of this process, through which the connections of registries go.
//
// It must not know registries, or how agents carry connections.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"portolan"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/tunnel"
)

// Sizes of what agents prove themselves with: characters of A-Z, a-z and 0-9,
// more than 230 random bits.
const (
	TokenLength  = 40
	SecretLength = 43
)

const (
	// maxAgents is how many agents an account has that are not revoked.
	maxAgents = 1_000
	maxName   = 64
	maxVPC    = 64 // as of registries
	// checkEvery is how often this process looks whether its agents were
	// revoked elsewhere or their account suspended: that acts within two
	// seconds. seeEvery is how often it tells the others that they are here.
	checkEvery = time.Second
	seeEvery   = 10 * time.Second
)

// DefaultTokenLife is how long a token counts unless it is said.
const DefaultTokenLife = 24 * time.Hour

// Codes of refusals.
const (
	CodeTokenUnknown = "AgentTokenUnknown"
	CodeTokenUsed    = "AgentTokenUsed"
	CodeTokenExpired = "AgentTokenExpired"
	CodeRevoked      = "AgentRevoked"
	CodeVPC          = "AgentVpcMismatch"
)

// Config of a Service.
type Config struct {
	DB *store.DB
	// Box makes the hashes by which tokens and secrets are recognised.
	Box *secret.Box
	// Peer answers the address of a client, that of the connection if nil.
	Peer func(*http.Request) string
	Now  func() time.Time
	Log  *slog.Logger
}

// Service enrols agents, lets them in and revokes them.
type Service struct {
	Config
	hub             *tunnel.Hub
	tokens, secrets *secret.Hasher
}

// New makes a Service with a hub that is empty.
func New(c Config) (*Service, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{Config: c}
	var err error
	if s.tokens, err = c.Box.Hasher("agent-token"); err != nil {
		return nil, err
	}
	if s.secrets, err = c.Box.Hasher("agent-secret"); err != nil {
		return nil, err
	}
	s.hub = tunnel.NewHub(tunnel.HubConfig{
		Authenticate: s.authenticate, Exchange: s.exchange, Opened: s.opened, Closed: s.closed, Peer: c.Peer, Now: c.Now, Log: c.Log,
	})
	return s, nil
}

// Hub is that of this process.
func (s *Service) Hub() *tunnel.Hub { return s.hub }

// Enroll makes an agent for a VPC of an account, and the token that it enrols
// with, which is shown once. An empty name is made of the VPC's.
func (s *Service) Enroll(ctx context.Context, account int64, vpcID, name string, life time.Duration) (*store.Agent, string, error) {
	a := &store.Agent{ID: store.NewAgentID(), AccountID: account, VpcID: vpcID, Name: name, TokenExpires: s.Now().Add(life).Truncate(time.Millisecond)}
	if a.Name == "" {
		a.Name = vpcID
	}
	if len(vpcID) > maxVPC || !portolan.Printable(vpcID) {
		return nil, "", portolan.Invalid("VpcId", "must be at most %d characters without control characters", maxVPC)
	}
	if len(a.Name) > maxName || !portolan.Printable(a.Name) {
		return nil, "", portolan.Invalid("AgentName", "must be at most %d characters without control characters", maxName)
	}
	token, err := secret.Alphanumeric(rand.Reader, TokenLength)
	if err != nil {
		return nil, "", err
	}
	hash := s.tokens.Sum(token)
	a.TokenHash = hash[:]
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.LockAccount(ctx, account); err != nil {
			return err
		}
		n, err := tx.CountAgents(ctx, account)
		if err != nil {
			return err
		}
		if n >= maxAgents {
			return portolan.Refused("LimitExceeded.Agent", "An account has up to %d agents; revoke some first.", maxAgents)
		}
		return tx.AddAgent(ctx, a)
	})
	if err != nil {
		return nil, "", fmt.Errorf("add an agent: %w", err)
	}
	return a, token, nil
}

// Revoke revokes an agent for good; store.ErrNotFound if the account has none
// of that id. It is cut at once here, and within two seconds elsewhere.
func (s *Service) Revoke(ctx context.Context, account int64, id string) error {
	if err := s.DB.Update(ctx, func(tx *store.Tx) error { return tx.RevokeAgent(ctx, account, id) }); err != nil {
		return err
	}
	s.hub.Cut(id)
	return nil
}

// exchange gives the agent that a token was made for its secret. The same pair
// may come again: the answer to the first may have been lost.
func (s *Service) exchange(ctx context.Context, token, own, vpcID string) error {
	if len(own) != SecretLength {
		return &tunnel.RefusalError{Code: tunnel.CodeProtocol, Message: "The secret is not one of an agent: use an agent of the server's version."}
	}
	tokenHash, ownHash := s.tokens.Sum(token), s.secrets.Sum(own)
	err := s.DB.FindAgentToken(ctx, tokenHash[:])
	if err == nil {
		err = s.DB.Update(ctx, func(tx *store.Tx) error { return s.spend(ctx, tx, tokenHash[:], ownHash[:], vpcID) })
	}
	if errors.Is(err, store.ErrNotFound) {
		return &tunnel.RefusalError{Code: CodeTokenUnknown, Message: "No agent was enrolled with this token. Make a new one: portolan agent enroll"}
	}
	return err
}

// spend uses a token up; store.ErrNotFound if it is gone by now.
func (s *Service) spend(ctx context.Context, tx *store.Tx, tokenHash, ownHash []byte, vpcID string) error {
	a, err := tx.AgentByToken(ctx, tokenHash)
	if err != nil {
		return err
	}
	if err := wanted(a, vpcID); err != nil {
		return err
	}
	switch {
	case secret.Equal(a.SecretHash, ownHash):
		return nil
	case !a.Enrolled.IsZero():
		return &tunnel.RefusalError{Code: CodeTokenUsed, Message: "The token was used already, and counts once. Make a new one: portolan agent enroll"}
	case s.Now().After(a.TokenExpires):
		return &tunnel.RefusalError{Code: CodeTokenExpired, Message: "The token expired at " + a.TokenExpires.Format(time.RFC3339) + ". Make a new one: portolan agent enroll"}
	}
	return tx.EnrolAgent(ctx, a.ID, ownHash)
}

// authenticate answers who has a secret.
func (s *Service) authenticate(ctx context.Context, own, vpcID string) (tunnel.Identity, error) {
	hash := s.secrets.Sum(own)
	a, err := s.DB.AgentBySecret(ctx, hash[:])
	if errors.Is(err, store.ErrNotFound) {
		return tunnel.Identity{}, &tunnel.RefusalError{Code: tunnel.CodeUnknown, Message: "The server does not know this agent. Enrol it: portolan agent enroll"}
	}
	if err != nil {
		return tunnel.Identity{}, fmt.Errorf("look an agent up: %w", err)
	}
	return tunnel.Identity{ID: a.ID, Name: a.Name, Owner: a.AccountID, VpcID: a.VpcID}, wanted(a, vpcID)
}

// wanted refuses an agent that was revoked or whose account is suspended, and
// one that means to serve another VPC than it is for.
func wanted(a *store.Agent, vpcID string) error {
	switch {
	case !a.Revoked.IsZero():
		return &tunnel.RefusalError{Code: CodeRevoked, Message: "Agent " + a.Name + " was revoked. Enrol another one: portolan agent enroll"}
	case a.Suspended:
		return &tunnel.RefusalError{Code: tunnel.CodeSuspended, Message: "The account of agent " + a.Name + " is suspended. Its operator can resume it."}
	case a.VpcID != vpcID:
		return &tunnel.RefusalError{Code: CodeVPC, Message: fmt.Sprintf("Agent %s was enrolled for VPC %q, not for %q.", a.Name, a.VpcID, vpcID)}
	}
	return nil
}

func (s *Service) opened(ctx context.Context, session tunnel.Session) {
	s.see(ctx, []tunnel.Session{session})
}

func (s *Service) closed(ctx context.Context, session tunnel.Session) {
	if err := s.DB.EndAgentSession(ctx, store.AgentSession{ID: session.ID, AgentID: session.Agent.ID}); err != nil {
		s.Log.WarnContext(ctx, "cannot remember that an agent is disconnected", "agent", session.Agent.ID, "error", err)
	}
}

func (s *Service) see(ctx context.Context, sessions []tunnel.Session) {
	seen := make([]store.AgentSession, len(sessions))
	for i, x := range sessions {
		seen[i] = store.AgentSession{ID: x.ID, AgentID: x.Agent.ID, Streams: x.Streams, Version: x.Version, Address: x.Address}
	}
	if err := s.DB.SeeAgents(ctx, seen); err != nil {
		s.Log.WarnContext(ctx, "cannot remember that agents are connected", "agents", len(seen), "error", err)
	}
}

// Watch cuts agents that were revoked elsewhere or whose account was suspended,
// and tells the store of those that are here, until the context ends.
func (s *Service) Watch(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if sessions := s.hub.Sessions(); len(sessions) > 0 {
			s.check(ctx, sessions)
			if n%int(seeEvery/checkEvery) == 0 {
				s.see(ctx, s.hub.Sessions())
			}
		}
	}
}

func (s *Service) check(ctx context.Context, sessions []tunnel.Session) {
	ids := make([]string, len(sessions))
	for i, x := range sessions {
		ids[i] = x.Agent.ID
	}
	valid, err := s.DB.ValidAgents(ctx, ids)
	if err != nil {
		s.Log.WarnContext(ctx, "cannot look whether agents are revoked", "error", err)
		return
	}
	for _, id := range ids {
		if !slices.Contains(valid, id) {
			s.hub.Cut(id)
		}
	}
}
