-- Images that builds report. last_seen is when one was last reported, 0 for
-- those of registries that are read; build is the label of its last build.
ALTER TABLE images ADD COLUMN last_seen BIGINT NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN build TEXT NOT NULL DEFAULT '';
CREATE INDEX images_reported ON images (registry_id, last_seen) WHERE last_seen > 0 AND gone = 0;
-- Reported by a tag alone: the digest is not known.
CREATE INDEX images_placeholder ON images (repository_id, tag) WHERE digest = '';

-- The one image that each tag of a repository names, of visible reported ones.
CREATE TABLE reported_tags (
  repository_id BIGINT NOT NULL,
  tag @KEY NOT NULL,
  image_id BIGINT NOT NULL,
  PRIMARY KEY (repository_id, tag)
);
CREATE INDEX reported_tags_image ON reported_tags (image_id);

CREATE TABLE scan_tasks (
  id @KEY PRIMARY KEY,
  account_id BIGINT NOT NULL,
  registry_id BIGINT NOT NULL,
  uuid @KEY NOT NULL,
  created BIGINT NOT NULL
);
CREATE INDEX scan_tasks_created ON scan_tasks (created);

CREATE INDEX registries_token ON registries (account_id, token_hash) WHERE token_hash IS NOT NULL;
CREATE INDEX registries_old_token ON registries (account_id, old_token_hash) WHERE old_token_hash IS NOT NULL
