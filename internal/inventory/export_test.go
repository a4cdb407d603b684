package inventory

// Readers is how many repositories are listed at once.
const Readers = readers
