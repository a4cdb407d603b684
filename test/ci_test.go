package test

import "testing"

// TestCIPage runs the shell blocks of the page about reports of builds.
func TestCIPage(t *testing.T) {
	t.Parallel()
	runPage(t, "../docs/ci.md", "Added registry", "Reported team/app:1.0", `"TaskId":"`, `"Status": "recorded"`, "Saved its token")
}
