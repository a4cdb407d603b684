package app

import (
	"runtime/debug"
	"testing"
)

// The setting is the whole process's, so that the test is not parallel.
func TestCollectSeldom(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	CollectSeldom("77")
	if have := debug.SetGCPercent(77); have != 77 {
		t.Errorf("GOGC=77 became %d", have)
	}
	CollectSeldom("")
	if have := debug.SetGCPercent(77); have != collectAt {
		t.Errorf("without GOGC it is %d", have)
	}
}
