-- A paused registry is not read. The hook's secret and the token before the
-- last are keyed hashes; last_event is when a webhook was last believed to be
-- the registry's.
ALTER TABLE registries ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN last_event BIGINT NOT NULL DEFAULT 0;
ALTER TABLE registries ADD COLUMN hook_hash @BLOB;
ALTER TABLE registries ADD COLUMN old_token_hash @BLOB;
ALTER TABLE registries ADD COLUMN old_token_until BIGINT NOT NULL DEFAULT 0
