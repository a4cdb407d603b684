-- The tags of up to 200 images of a registry in one text, to be searched at
-- once: see blocks.go.
ALTER TABLE images ADD COLUMN block BIGINT NOT NULL DEFAULT 0;

CREATE TABLE image_blocks (
  registry_id BIGINT NOT NULL,
  block BIGINT NOT NULL,
  newest BIGINT NOT NULL,
  retired BIGINT NOT NULL,
  tags TEXT NOT NULL,
  heads TEXT NOT NULL,
  PRIMARY KEY (registry_id, block)
);
-- A row is read whole and often: it stays in its page, and as it is, up to the
-- size of one.
@POSTGRES ALTER TABLE image_blocks ALTER COLUMN tags SET STORAGE EXTERNAL, ALTER COLUMN heads SET STORAGE EXTERNAL;
@POSTGRES ALTER TABLE image_blocks SET (toast_tuple_target = 8160);

DROP INDEX images_tags;
DROP INDEX images_many_tags;

UPDATE images SET block = x.block FROM (
  SELECT id, 1 + SUM(CASE WHEN length(tags_folded) > 18 THEN length(tags_folded) + 2 ELSE 20 END) OVER (PARTITION BY registry_id ORDER BY id) / 4000 AS block
  FROM images) x WHERE x.id = images.id;
@POSTGRES ALTER TABLE images ALTER COLUMN block DROP DEFAULT;

INSERT INTO image_blocks (registry_id, block, newest, retired, tags, heads)
SELECT registry_id, block, MAX(born), SUM(CASE WHEN gone > 0 THEN 1 ELSE 0 END), string_agg(tags_folded, @NL || @NL ORDER BY id),
  string_agg(id || ' ' || repository_id || ' ' || born || ' ' || gone, @NL ORDER BY id)
FROM images GROUP BY registry_id, block
