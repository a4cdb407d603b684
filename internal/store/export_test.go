package store

// SplitFrom sets the number of images from which on tags are looked at in two
// halves.
func (db *DB) SplitFrom(images int) { db.splitFrom = images }
