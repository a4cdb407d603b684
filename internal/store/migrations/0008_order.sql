-- What a reading adds goes to the end of an index, not all over it: tags are
-- only ever looked through, so the order of the images does for them, and SQLite
-- keeps the digits of digests, which come at random, by era.
DROP INDEX images_tags;
CREATE INDEX images_tags ON images (registry_id, gone, born, id, tags_folded) WHERE length(tags_folded) <= 500;
@SQLITE DROP INDEX images_digits;
@SQLITE CREATE INDEX images_digits ON images (id / @ERA, substr(digest, 8, 8), account_id)
