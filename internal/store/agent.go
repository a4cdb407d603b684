package store

import (
	"context"
	"time"
)

// Agent carries connections into a VPC of an account.
type Agent struct {
	ID        string
	AccountID int64
	VpcID     string
	Name      string
	// TokenHash is that of the token it enrols with once, until TokenExpires.
	TokenHash    []byte
	TokenExpires time.Time
	// SecretHash is that of its own secret, nil until it has enrolled.
	SecretHash []byte
	Created    time.Time
	Enrolled   time.Time // zero until then
	Revoked    time.Time // zero unless it is
	Suspended  bool      // its account is
	// LastSeen, Version and Address are of its last connection.
	LastSeen         time.Time
	Version, Address string
	// Sessions is how many servers it is connected to, and Streams how many
	// connections it carries for all of them.
	Sessions, Streams int
}

// AgentSession is a connection of an agent to a server.
type AgentSession struct {
	ID, AgentID      string
	Streams          int
	Version, Address string
}

// NewAgentID makes the id of an agent, agt- and 16 of a-z, 0-9.
func NewAgentID() string { return "agt-" + randomID() }

// AgentAbsent is after how long a session counts as ended that no server has
// told of.
const AgentAbsent = 30 * time.Second

const agentColumns = `id, account_id, vpc_id, name, token_hash, token_expires, secret_hash, created, enrolled, revoked, last_seen, version, address,
	(SELECT suspended FROM accounts WHERE accounts.id = account_id)`

func scanAgent(row scanner) (*Agent, error) {
	var a Agent
	var expires, created, enrolled, revoked, seen, suspended int64
	err := row.Scan(&a.ID, &a.AccountID, &a.VpcID, &a.Name, &a.TokenHash, &expires, &a.SecretHash, &created, &enrolled, &revoked, &seen,
		&a.Version, &a.Address, &suspended)
	a.Suspended = suspended != 0
	a.TokenExpires, a.Created, a.Enrolled, a.Revoked, a.LastSeen = instant(expires), instant(created), instant(enrolled), instant(revoked), instant(seen)
	return &a, err
}

// AddAgent makes an agent that has not enrolled.
func (tx *Tx) AddAgent(ctx context.Context, a *Agent) error {
	_, err := tx.exec(ctx, `INSERT INTO agents (id, account_id, vpc_id, name, token_hash, token_expires, created) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		a.ID, a.AccountID, a.VpcID, a.Name, a.TokenHash, millis(a.TokenExpires), millis(tx.Now()))
	return err
}

// CountAgents counts the agents of an account that are not revoked.
func (tx *Tx) CountAgents(ctx context.Context, account int64) (n int, err error) {
	err = tx.one(ctx, `SELECT count(*) FROM agents WHERE account_id = $1 AND revoked = 0`, []any{account}, &n)
	return n, err
}

func (tx *Tx) agent(ctx context.Context, where string, args ...any) (*Agent, error) {
	list, err := collect(ctx, tx, scanAgent, `SELECT `+agentColumns+` FROM agents WHERE `+where, args...)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// AgentByToken finds the agent that a token was made for, and keeps others from
// changing it until the transaction ends; ErrNotFound if there is none.
func (tx *Tx) AgentByToken(ctx context.Context, tokenHash []byte) (*Agent, error) {
	return tx.agent(ctx, `token_hash = $1 @LOCK`, tokenHash)
}

// FindAgentToken answers nil if an agent has the token, ErrNotFound if none
// does. It takes no lock that a stranger could keep others waiting with.
func (db *DB) FindAgentToken(ctx context.Context, tokenHash []byte) error {
	return db.View(ctx, func(tx *Tx) error {
		_, err := tx.agent(ctx, `token_hash = $1`, tokenHash)
		return err
	})
}

// AgentBySecret finds an agent by its own secret; ErrNotFound if there is none.
func (db *DB) AgentBySecret(ctx context.Context, secretHash []byte) (a *Agent, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		a, err = tx.agent(ctx, `secret_hash = $1`, secretHash)
		return err
	})
	return a, err
}

// EnrolAgent gives an agent its secret; ErrConflict if another one has the
// same.
func (tx *Tx) EnrolAgent(ctx context.Context, id string, secretHash []byte) error {
	return tx.execOne(ctx, `UPDATE agents SET secret_hash = $1, enrolled = $2 WHERE id = $3 AND enrolled = 0`, secretHash, millis(tx.Now()), id)
}

// RevokeAgent revokes an agent for good; ErrNotFound if the account has none of
// that id. Revoking it again changes nothing.
func (tx *Tx) RevokeAgent(ctx context.Context, account int64, id string) error {
	return tx.execOne(ctx, `UPDATE agents SET revoked = CASE WHEN revoked = 0 THEN $1 ELSE revoked END WHERE account_id = $2 AND id = $3`,
		millis(tx.Now()), account, id)
}

// ValidAgents answers those of some agents that exist, are not revoked and are
// of an account that is not suspended.
func (db *DB) ValidAgents(ctx context.Context, ids []string) (valid []string, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		var args []any
		valid, err = collect(ctx, tx, scanValue[string],
			`SELECT g.id FROM agents g JOIN accounts a ON a.id = g.account_id
				WHERE g.revoked = 0 AND a.suspended = 0 AND g.id `+amongTexts(tx, &args, ids), args...)
		return err
	})
	return valid, err
}

// SeeAgents remembers that sessions are there.
func (db *DB) SeeAgents(ctx context.Context, sessions []AgentSession) error {
	return db.Update(ctx, func(tx *Tx) error {
		now := millis(tx.Now())
		for _, s := range sessions {
			if _, err := tx.exec(ctx, `INSERT INTO agent_sessions (id, agent_id, streams, seen) SELECT $1, id, $3, $4 FROM agents WHERE id = $2
				ON CONFLICT (id) DO UPDATE SET streams = excluded.streams, seen = excluded.seen`, s.ID, s.AgentID, s.Streams, now); err != nil {
				return err
			}
			if _, err := tx.exec(ctx, `UPDATE agents SET last_seen = $1, version = $2, address = $3 WHERE id = $4`, now, s.Version, s.Address, s.AgentID); err != nil {
				return err
			}
		}
		return nil
	})
}

// EndAgentSession remembers that a session has ended.
func (db *DB) EndAgentSession(ctx context.Context, s AgentSession) error {
	return db.Update(ctx, func(tx *Tx) error {
		if _, err := tx.exec(ctx, `DELETE FROM agent_sessions WHERE id = $1`, s.ID); err != nil {
			return err
		}
		_, err := tx.exec(ctx, `UPDATE agents SET last_seen = $1 WHERE id = $2`, millis(tx.Now()), s.AgentID)
		return err
	})
}

// Agents lists a page of the agents of an account, of one VPC if it is named,
// the latest first, and answers how many there are.
func (db *DB) Agents(ctx context.Context, account int64, vpcID string, page, size int) (list []*Agent, total int, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		const where = `account_id = $1 AND ($2 = '' OR vpc_id = $2)`
		if err := tx.one(ctx, `SELECT count(*) FROM agents WHERE `+where, []any{account, vpcID}, &total); err != nil {
			return err
		}
		list, err = collect(ctx, tx, scanAgent, `SELECT `+agentColumns+` FROM agents WHERE `+where+` ORDER BY created DESC, id LIMIT $3 OFFSET $4`,
			account, vpcID, size, skipped(page, size))
		if err != nil || len(list) == 0 {
			return err
		}
		return tx.countSessions(ctx, list)
	})
	return list, total, err
}

// countSessions adds what agents are connected to and carry.
func (tx *Tx) countSessions(ctx context.Context, list []*Agent) error {
	byID := make(map[string]*Agent, len(list))
	ids := make([]string, len(list))
	for i, a := range list {
		ids[i], byID[a.ID] = a.ID, a
	}
	args := []any{millis(tx.Now().Add(-AgentAbsent))}
	return each(ctx, tx, func(row scanner) error {
		var id string
		var streams int
		if err := row.Scan(&id, &streams); err != nil {
			return err
		}
		byID[id].Sessions++
		byID[id].Streams += streams
		return nil
	}, `SELECT agent_id, streams FROM agent_sessions WHERE seen >= $1 AND agent_id `+amongTexts(tx, &args, ids), args...)
}
