// Package faults holds the main job to faults: readings of registries that
// fail at every request, servers that are killed, disks that are full, lists
// that change while they are paged, and calls that are sent twice.
//
// It knows the server's parts and their promises. It must not know how a
// source reads its registry: a fault is told by the request that it hits.
package faults

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"portolan/internal/cli"
)

// The sets of what takes long: none in a plain test run, a short one for each
// change, and all.
var (
	set  = flag.String("faults.set", "", `long tests to run: "short", "full" or none`)
	seed = flag.Uint64("faults.seed", 0, "seed of what is random, 0 to choose one")
)

// childVariable makes the test binary a server, which can be killed.
const childVariable = "PORTOLAN_FAULTS_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], bytes.NewReader(nil), os.Stdout, os.Stderr, os.Getenv))
	}
	flag.Parse()
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	os.Exit(m.Run())
}

// random answers chance that the seed decides, and tells how to have it again.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	t.Logf("again with -faults.set=%q -faults.seed=%d", *set, *seed)
	return rand.New(rand.NewPCG(*seed, 0))
}

// long skips a test that is not in the set, and reports whether it is the full
// one.
func long(t *testing.T) (full bool) {
	t.Helper()
	if *set == "" {
		t.Skip("run with -faults.set=short or full, as make faults does")
	}
	return *set == "full"
}
