-- Times are Unix milliseconds, 0 for none. Flags are 0 and 1.
CREATE TABLE settings (
  name TEXT PRIMARY KEY,
  value @BLOB NOT NULL
);

-- The generations count changes, so that caches know when they are stale.
CREATE TABLE accounts (
  id BIGINT PRIMARY KEY,
  name TEXT NOT NULL,
  suspended BIGINT NOT NULL DEFAULT 0,
  created BIGINT NOT NULL,
  registry_generation BIGINT NOT NULL DEFAULT 0,
  access_generation BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE users (
  id BIGINT PRIMARY KEY,
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  name TEXT NOT NULL,
  name_folded @KEY NOT NULL,
  created BIGINT NOT NULL,
  UNIQUE (account_id, name_folded)
);

-- user_id is 0 for a key of the account itself.
CREATE TABLE access_keys (
  id TEXT PRIMARY KEY,
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  user_id BIGINT NOT NULL DEFAULT 0,
  secret @BLOB NOT NULL,
  active BIGINT NOT NULL DEFAULT 1,
  created BIGINT NOT NULL
);
CREATE INDEX access_keys_user ON access_keys (account_id, user_id);

CREATE TABLE policies (
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  name TEXT NOT NULL,
  name_folded @KEY NOT NULL,
  description TEXT NOT NULL,
  document TEXT NOT NULL,
  created BIGINT NOT NULL,
  modified BIGINT NOT NULL,
  PRIMARY KEY (account_id, name_folded)
);

CREATE TABLE policy_attachments (
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  user_id BIGINT NOT NULL REFERENCES users (id),
  policy_type TEXT NOT NULL,
  policy_name @KEY NOT NULL,
  created BIGINT NOT NULL,
  PRIMARY KEY (account_id, user_id, policy_type, policy_name)
);

CREATE TABLE nonces (
  access_key_id TEXT NOT NULL,
  nonce_hash @BLOB NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (access_key_id, nonce_hash)
);
CREATE INDEX nonces_expires ON nonces (expires);

-- A row is visible while deleted = 0. revision is the account's
-- registry_generation at the row's last change.
CREATE TABLE registries (
  id @ID,
  account_id BIGINT NOT NULL REFERENCES accounts (id),
  revision BIGINT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  domain_name TEXT NOT NULL,
  host_ip TEXT NOT NULL,
  port BIGINT NOT NULL,
  protocol BIGINT NOT NULL,
  net_type BIGINT NOT NULL,
  vpc_id TEXT NOT NULL,
  region_id @KEY NOT NULL,
  version TEXT NOT NULL,
  user_name TEXT NOT NULL,
  credential @BLOB,
  has_password BIGINT NOT NULL,
  jenkins_env TEXT NOT NULL DEFAULT '',
  white_list TEXT NOT NULL DEFAULT '',
  black_list TEXT NOT NULL DEFAULT '',
  token_prefix TEXT NOT NULL DEFAULT '',
  token_hash @BLOB,
  trans_per_hour BIGINT NOT NULL,
  persistence_day BIGINT NOT NULL,
  extra TEXT NOT NULL,
  instance_id @KEY NOT NULL,
  created BIGINT NOT NULL,
  modified BIGINT NOT NULL,
  deleted BIGINT NOT NULL DEFAULT 0,
  published BIGINT NOT NULL DEFAULT 0,
  image_count BIGINT NOT NULL DEFAULT 0,
  repository_count BIGINT NOT NULL DEFAULT 0,
  sync_status TEXT NOT NULL DEFAULT 'pending',
  sync_error TEXT NOT NULL DEFAULT '',
  sync_message TEXT NOT NULL DEFAULT '',
  last_sync BIGINT NOT NULL DEFAULT 0,
  next_sync BIGINT NOT NULL DEFAULT 0,
  worked_with BIGINT NOT NULL DEFAULT 0,
  credential_version BIGINT NOT NULL DEFAULT 1,
  guard TEXT NOT NULL DEFAULT ''
);
CREATE INDEX registries_revision ON registries (account_id, revision);
CREATE INDEX registries_next_sync ON registries (next_sync) WHERE deleted = 0 AND next_sync > 0;
CREATE UNIQUE INDEX registries_once ON registries (account_id, type, domain_name, port, user_name, vpc_id, host_ip)
  WHERE deleted = 0 AND type <> 'CI/CD';
CREATE INDEX registries_deleted ON registries (deleted) WHERE deleted > 0;
CREATE UNIQUE INDEX registries_instance ON registries (instance_id);

-- Readers see the generation that the registry has published: a row with
-- born <= published and not (0 < gone <= published), the staged count once
-- staged <= published, the staged visibility once shown_from <= published.
CREATE TABLE repositories (
  id @ID,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL REFERENCES registries (id),
  path @KEY NOT NULL,
  namespace @KEY NOT NULL,
  name @KEY NOT NULL,
  namespace_folded TEXT NOT NULL,
  name_folded TEXT NOT NULL,
  repo_id @KEY NOT NULL,
  visibility TEXT NOT NULL DEFAULT '',
  staged_visibility TEXT NOT NULL DEFAULT '',
  shown_from BIGINT NOT NULL DEFAULT 0,
  fingerprint TEXT NOT NULL DEFAULT '',
  born BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  image_count BIGINT NOT NULL DEFAULT 0,
  staged_count BIGINT NOT NULL DEFAULT 0,
  staged BIGINT NOT NULL DEFAULT 0,
  read_at BIGINT NOT NULL DEFAULT 0,
  UNIQUE (registry_id, path)
);
CREATE UNIQUE INDEX repositories_repo_id ON repositories (repo_id);
CREATE INDEX repositories_gone ON repositories (registry_id, gone) WHERE gone > 0;
CREATE INDEX repositories_account ON repositories (account_id, id);
CREATE INDEX repositories_registry ON repositories (registry_id, id, born, gone);

-- A changed image is a new version: the old row gone, a new one born with the
-- same uuid. lacks counts the readings that lacked an image and were not
-- believed, lacked is the generation of the last one, denied tells that its
-- repository refused to answer.
CREATE TABLE images (
  id @ID,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL,
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  digest @KEY NOT NULL,
  uuid @KEY NOT NULL,
  born BIGINT NOT NULL,
  gone BIGINT NOT NULL DEFAULT 0,
  gone_at BIGINT NOT NULL DEFAULT 0,
  superseded BIGINT NOT NULL DEFAULT 0,
  lacks BIGINT NOT NULL DEFAULT 0,
  lacked BIGINT NOT NULL DEFAULT 0,
  denied BIGINT NOT NULL DEFAULT 0,
  tag @KEY NOT NULL,
  tags TEXT NOT NULL,
  tag_times TEXT NOT NULL,
  tags_folded TEXT NOT NULL,
  media_type TEXT NOT NULL,
  artifact_type TEXT NOT NULL,
  image_id @KEY NOT NULL,
  size BIGINT NOT NULL,
  platforms TEXT NOT NULL,
  created BIGINT NOT NULL,
  pushed BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  first_seen BIGINT NOT NULL
);
-- The first two have what it takes to tell whether a row is visible, so that a
-- page far from either end is found without reading the rows before it.
CREATE INDEX images_account ON images (account_id, updated, uuid, registry_id, born, gone);
CREATE INDEX images_registry ON images (registry_id, updated, uuid, born, gone);
CREATE INDEX images_repository ON images (repository_id, updated, uuid);
-- A search in tags reads this index from end to end. PostgreSQL refuses entries
-- of a third of a page, so images with many tags are apart.
CREATE INDEX images_tags ON images (registry_id, gone, born, tags_folded, id) WHERE length(tags_folded) <= 500;
CREATE INDEX images_many_tags ON images (registry_id) WHERE length(tags_folded) > 500;
CREATE INDEX images_digest ON images (account_id, digest, id);
CREATE INDEX images_uuid ON images (account_id, uuid);
CREATE INDEX images_lacking ON images (registry_id, lacked) WHERE lacks > 0;
CREATE INDEX images_gone ON images (registry_id, gone_at) WHERE gone_at > 0 AND superseded = 0;
CREATE INDEX images_superseded ON images (registry_id, gone) WHERE superseded = 1;

-- What was read of manifests that are no images.
CREATE TABLE artifacts (
  repository_id BIGINT NOT NULL REFERENCES repositories (id),
  account_id BIGINT NOT NULL,
  digest @KEY NOT NULL,
  kind TEXT NOT NULL,
  media_type TEXT NOT NULL,
  artifact_type TEXT NOT NULL,
  subject TEXT NOT NULL,
  size BIGINT NOT NULL,
  PRIMARY KEY (repository_id, digest)
);
CREATE INDEX artifacts_digest ON artifacts (account_id, digest);

-- Readings. ledger and plan are JSON. The lease keeps a rescued twin out,
-- staging tells that there are rows of sync_repositories, decided that it has
-- looked at confirm_vanished for the last time.
CREATE TABLE syncs (
  id @KEY PRIMARY KEY,
  seq BIGINT NOT NULL,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL REFERENCES registries (id),
  cause TEXT NOT NULL,
  status TEXT NOT NULL,
  whole BIGINT NOT NULL DEFAULT 0,
  confirm_vanished BIGINT NOT NULL DEFAULT 0,
  decided BIGINT NOT NULL DEFAULT 0,
  generation BIGINT NOT NULL DEFAULT 0,
  created BIGINT NOT NULL,
  started BIGINT NOT NULL DEFAULT 0,
  ended BIGINT NOT NULL DEFAULT 0,
  ledger TEXT NOT NULL DEFAULT '{}',
  plan TEXT NOT NULL DEFAULT '{}',
  lease_owner TEXT NOT NULL DEFAULT '',
  lease_until BIGINT NOT NULL DEFAULT 0,
  failures BIGINT NOT NULL DEFAULT 0,
  staging BIGINT NOT NULL DEFAULT 0,
  UNIQUE (registry_id, seq)
);
CREATE INDEX syncs_ended ON syncs (ended) WHERE ended > 0;
CREATE INDEX syncs_staging ON syncs (ended) WHERE staging = 1;
CREATE UNIQUE INDEX syncs_open ON syncs (registry_id, status) WHERE status IN ('pending', 'running');

CREATE TABLE sync_repositories (
  sync_id @KEY NOT NULL REFERENCES syncs (id),
  path @KEY NOT NULL,
  grouping_key TEXT NOT NULL,
  expect BIGINT NOT NULL,
  fingerprint TEXT NOT NULL,
  visibility TEXT NOT NULL,
  vanished BIGINT NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'todo',
  resume TEXT NOT NULL DEFAULT '',
  listed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (sync_id, path)
);
CREATE INDEX sync_repositories_todo ON sync_repositories (sync_id, grouping_key, path) WHERE state = 'todo';

-- Rows of a repository whose listing was interrupted.
CREATE TABLE sync_rows (
  sync_id @KEY NOT NULL REFERENCES syncs (id),
  path @KEY NOT NULL,
  seq BIGINT NOT NULL,
  content @BLOB NOT NULL,
  PRIMARY KEY (sync_id, path, seq)
);
