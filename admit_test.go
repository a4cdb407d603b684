package portolan_test

import (
	"net/netip"
	"testing"

	"portolan"
)

func TestAdmits(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		white, black, peer string
		want               bool
	}{
		"no lists":               {"", "", "203.0.113.9", true},
		"no lists, no address":   {"", "", "", true},
		"on the white list":      {"192.0.2.0/24, 2001:db8::/32", "", "192.0.2.7", true},
		"IPv6":                   {"192.0.2.0/24, 2001:db8::/32", "", "2001:db8::7", true},
		"mapped":                 {"192.0.2.0/24", "", "::ffff:192.0.2.7", true},
		"with a zone":            {"fe80::/10", "", "fe80::1%eth0", true},
		"not on the white list":  {"192.0.2.0/24", "", "203.0.113.9", false},
		"white list, no address": {"192.0.2.0/24", "", "", false},
		"on the black list":      {"", "203.0.113.0/24", "203.0.113.9", false},
		"not on the black list":  {"", "203.0.113.0/24", "192.0.2.7", true},
		"black list, no address": {"", "203.0.113.0/24", "", false},
		"black wins":             {"203.0.113.0/24", "203.0.113.9", "203.0.113.9", false},
		"white list unreadable":  {"x", "", "192.0.2.7", false},
		"black list unreadable":  {"", "x", "192.0.2.7", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var peer netip.Addr
			if tt.peer != "" {
				peer = netip.MustParseAddr(tt.peer)
			}
			r := portolan.Registry{WhiteList: tt.white, BlackList: tt.black}
			if got := r.Admits(peer); got != tt.want {
				t.Errorf("admits: %t, want %t", got, tt.want)
			}
		})
	}
}
