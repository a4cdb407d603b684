package inventory

// FirstReaders and Readers are how many repositories are listed at once, where
// that takes long and where it is quick.
const (
	FirstReaders = firstReaders
	Readers      = readers
)
