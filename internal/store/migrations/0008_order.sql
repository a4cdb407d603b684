-- What a reading adds goes to the end of an index, not all over it: tags are
-- only ever looked through, so the order of the images does for them, and the
-- digits of digests, which come at random, are kept by era where that is quicker.
DROP INDEX images_tags;
CREATE INDEX images_tags ON images (registry_id, gone, born, id, tags_folded) WHERE length(tags_folded) <= 500;
DROP INDEX images_digits;
CREATE INDEX images_digits ON images (@DIGITS)
