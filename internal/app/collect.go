package app

import "runtime/debug"

// collectAt is after how much growth of the heap, in percent, a server's garbage
// is collected. Most of what it allocates lives for one call, and what it keeps
// is small: at Go's 100 it collects that often for few megabytes.
const collectAt = 200

// CollectSeldom has this process, a server, collect its garbage less often,
// unless gogc, the value of GOGC, says how often.
func CollectSeldom(gogc string) {
	if gogc == "" {
		debug.SetGCPercent(collectAt)
	}
}
