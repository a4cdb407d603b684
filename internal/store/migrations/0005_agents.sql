-- Agents carry connections into VPCs. Token and secret are kept as keyed
-- hashes; an agent has no secret until its token was exchanged. A session is a
-- connection of an agent to one server, which says every few seconds that it
-- is still there.
CREATE TABLE agents (
  id @KEY PRIMARY KEY,
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  vpc_id TEXT NOT NULL,
  name TEXT NOT NULL,
  token_hash @BLOB NOT NULL UNIQUE,
  token_expires BIGINT NOT NULL,
  secret_hash @BLOB UNIQUE,
  created BIGINT NOT NULL,
  enrolled BIGINT NOT NULL DEFAULT 0,
  revoked BIGINT NOT NULL DEFAULT 0,
  last_seen BIGINT NOT NULL DEFAULT 0,
  version TEXT NOT NULL DEFAULT '',
  address TEXT NOT NULL DEFAULT ''
);
CREATE INDEX agents_account ON agents (account_id, created, id);
CREATE TABLE agent_sessions (
  id @KEY PRIMARY KEY,
  agent_id @KEY NOT NULL REFERENCES agents (id),
  streams BIGINT NOT NULL,
  seen BIGINT NOT NULL
);
CREATE INDEX agent_sessions_agent ON agent_sessions (agent_id)
