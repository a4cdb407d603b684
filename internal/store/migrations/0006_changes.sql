-- What readings and reports changed. A set has the changes that became visible
-- together, its id is that of the reading; it is made when they do, so that
-- changes without one are not shown. Tags are separated by newlines.
CREATE TABLE change_sets (
  id @KEY PRIMARY KEY,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL REFERENCES registries (id),
  generation BIGINT NOT NULL,
  at BIGINT NOT NULL,
  added BIGINT NOT NULL,
  retagged BIGINT NOT NULL,
  gone BIGINT NOT NULL
);
CREATE INDEX change_sets_account ON change_sets (account_id, at, id);
CREATE INDEX change_sets_registry ON change_sets (registry_id, at, id);
CREATE INDEX change_sets_at ON change_sets (at);

CREATE TABLE changes (
  set_id @KEY NOT NULL,
  uuid @KEY NOT NULL,
  registry_id BIGINT NOT NULL,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  digest TEXT NOT NULL,
  tags_before TEXT NOT NULL,
  tags_after TEXT NOT NULL,
  PRIMARY KEY (set_id, uuid)
);
CREATE INDEX changes_registry ON changes (registry_id);

-- What has been told of a registry, so that it is told once: failing that its
-- readings fail, stale that none was ok for long since last_ok, the end of the
-- last that was. credential_expires is when its credential ends, as far as the
-- source tells; credential_warned is how many days before that has been told
-- last, 0 for not yet.
ALTER TABLE registries ADD COLUMN failing BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN stale BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN last_ok BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN credential_expires BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN credential_warned BIGINT NOT NULL DEFAULT 0;
UPDATE registries SET last_ok = last_sync WHERE sync_error = '';
CREATE INDEX registries_expiring ON registries (credential_expires) WHERE credential_expires > 0;

-- Who is told of events. registry_id is 0 for all registries; the secret is
-- sealed. failing is since when nothing arrives, dropped counts events that
-- found the queue full.
CREATE TABLE event_webhooks (
  id @KEY PRIMARY KEY,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  secret @BLOB NOT NULL,
  created BIGINT NOT NULL,
  failing BIGINT NOT NULL DEFAULT 0,
  dropped BIGINT NOT NULL DEFAULT 0,
  last_at BIGINT NOT NULL DEFAULT 0,
  last_event TEXT NOT NULL DEFAULT '',
  last_outcome TEXT NOT NULL DEFAULT ''
);
CREATE INDEX event_webhooks_account ON event_webhooks (account_id, created, id);

-- Messages to them, made with what they tell of. facts is JSON; set_id has the
-- changes of those that tell of images. sent_off tells that there is a job for
-- it, ended is 0 until it has arrived or is given up.
CREATE TABLE event_deliveries (
  id @KEY PRIMARY KEY,
  webhook_id @KEY NOT NULL,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL,
  event TEXT NOT NULL,
  set_id TEXT NOT NULL,
  facts TEXT NOT NULL,
  created BIGINT NOT NULL,
  sent_off BIGINT NOT NULL DEFAULT 0,
  attempts BIGINT NOT NULL DEFAULT 0,
  ended BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX event_deliveries_webhook ON event_deliveries (webhook_id, ended);
CREATE INDEX event_deliveries_waiting ON event_deliveries (created) WHERE sent_off = 0;
CREATE INDEX event_deliveries_ended ON event_deliveries (ended) WHERE ended > 0
