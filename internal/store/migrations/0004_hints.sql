-- Marks of repositories that are to be read again, because an event told of
-- them. due is when, 0 while nothing waits; marked is when the last event
-- came, taken when a reading took the mark, tries how many readings in a row
-- failed since the last event.
CREATE TABLE hints (
  registry_id BIGINT NOT NULL REFERENCES registries (id),
  path @KEY NOT NULL,
  marked BIGINT NOT NULL,
  due BIGINT NOT NULL,
  taken BIGINT NOT NULL DEFAULT 0,
  tries BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (registry_id, path)
);
CREATE INDEX hints_due ON hints (due) WHERE due > 0;
CREATE INDEX hints_idle ON hints (taken) WHERE due = 0;
CREATE INDEX syncs_webhook ON syncs (registry_id, seq) WHERE cause = 'webhook'
