package iam

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A stranger who tries a key over and over makes a line a minute, with the
// number of calls.
func TestRefusalsAreCoalesced(t *testing.T) {
	t.Parallel()
	var f refusals
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	peer := netip.MustParseAddr("192.0.2.7")
	for range 150 {
		f.note(t.Context(), log, peer, "LTAI5tSomebody", now, "SignatureDoesNotMatch")
		now = now.Add(time.Second)
	}
	f.note(t.Context(), log, netip.MustParseAddr("192.0.2.8"), strings.Repeat("x", 1000), now, "InvalidAccessKeyId.NotFound")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], "calls=60") || !strings.Contains(lines[2], "calls=60") || len(lines[3]) > 250 {
		t.Errorf("%d lines:\n%s", len(lines), out.String())
	}
	for i := range maxRefusals + 10 {
		f.count(refusal{peer, string(rune(i + 1000))}, now)
	}
	if len(f.counts) > maxRefusals {
		t.Errorf("%d addresses and keys are remembered", len(f.counts))
	}
}
