package quay

import (
	"context"
	"errors"
	"testing"

	"portolan"
	"portolan/internal/connector"
)

// A manifest that was not come to, since the reading ended, is not known.
func TestFetchEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := &reading{source: &source{crew: connector.NewCrew(1)}}
	rows := []connector.Row{{Digest: "sha256:a"}, {Digest: "sha256:b"}}
	known := map[portolan.Digest]connector.Facts{}
	if _, err := r.fetch(ctx, rows, known); !errors.Is(err, context.Canceled) || len(known) != 0 {
		t.Errorf("%v, known: %v", err, known)
	}
}
