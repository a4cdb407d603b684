package netguard

import (
	"net/netip"
	"testing"

	"portolan"
)

func guard(tb testing.TB, allow ...string) *Guard {
	tb.Helper()
	var c Config
	for _, p := range allow {
		c.Allow = append(c.Allow, netip.MustParsePrefix(p))
	}
	g, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return g
}

func TestJudge(t *testing.T) {
	t.Parallel()
	tests := map[string]kind{
		"8.8.8.8":                  "",
		"172.15.255.255":           "",
		"172.32.0.0":               "",
		"100.63.255.255":           "",
		"100.128.0.0":              "",
		"192.0.1.0":                "",
		"203.0.113.7":              "",
		"2600::1":                  "",
		"2001:200::1":              "",
		"64:ff9b::8.8.8.8":         "",
		"2002:808:808::1":          "",
		"::ffff:8.8.8.8":           "",
		"0.0.0.0":                  kindNoHost,
		"0.1.2.3":                  kindNoHost,
		"::":                       kindNoHost,
		"10.0.0.1":                 kindPrivate,
		"172.16.0.1":               kindPrivate,
		"172.31.255.255":           kindPrivate,
		"192.168.255.255":          kindPrivate,
		"100.64.0.0":               kindPrivate,
		"100.127.255.255":          kindPrivate,
		"fc00::1":                  kindPrivate,
		"fdff::1":                  kindPrivate,
		"127.0.0.1":                kindLoopback,
		"127.255.255.255":          kindLoopback,
		"::1":                      kindLoopback,
		"169.254.0.1":              kindLinkLocal,
		"fe80::1":                  kindLinkLocal,
		"fe80::1%eth0":             kindLinkLocal,
		"febf::1":                  kindLinkLocal,
		"169.254.169.254":          kindMetadata,
		"100.100.100.200":          kindMetadata,
		"168.63.129.16":            kindMetadata,
		"fd00:ec2::254":            kindMetadata,
		"64:ff9b::169.254.169.254": kindMetadata,
		"224.0.0.1":                kindMulticast,
		"239.255.255.255":          kindMulticast,
		"ff02::1":                  kindMulticast,
		"240.0.0.1":                kindReserved,
		"255.255.255.255":          kindReserved,
		"198.18.0.1":               kindReserved,
		"192.0.0.1":                kindReserved,
		"2001::1":                  kindReserved,
		"fec0::1":                  kindReserved,
		"64:ff9b:1::1":             kindReserved,
		"::8.8.8.8":                kindReserved,
		"::ffff:0:8.8.8.8":         kindReserved,
		"4000::1":                  kindReserved,
		"::ffff:10.0.0.1":          kindPrivate,
		"::ffff:127.0.0.1":         kindLoopback,
		"64:ff9b::10.0.0.1":        kindPrivate,
		"2002:7f00:1::":            kindLoopback,
		"2002:a9fe:a9fe::1":        kindMetadata,
		"2002:c0a8:101:1::1":       kindPrivate,
	}
	g := guard(t)
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got := g.judge(netip.MustParseAddr(text)); got != want {
				t.Errorf("judge(%s) = %q, want %q", text, got, want)
			}
		})
	}
}

func TestJudgeAllowed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		allow []string
		addr  string
		want  kind
	}{
		"inside":                     {[]string{"10.1.0.0/16"}, "10.1.2.3", ""},
		"outside":                    {[]string{"10.1.0.0/16"}, "10.2.0.1", kindPrivate},
		"host bits are masked":       {[]string{"10.1.9.9/16"}, "10.1.2.3", ""},
		"mapped address":             {[]string{"10.0.0.0/8"}, "::ffff:10.0.0.1", ""},
		"mapped prefix":              {[]string{"::ffff:10.0.0.0/104"}, "10.0.0.1", ""},
		"embedded address":           {[]string{"10.0.0.0/8"}, "64:ff9b::10.0.0.1", ""},
		"the embedding prefix":       {[]string{"64:ff9b::/96"}, "64:ff9b::10.0.0.1", ""},
		"zone":                       {[]string{"fe80::/10"}, "fe80::1%eth0", ""},
		"all of IPv4 is not IPv6":    {[]string{"0.0.0.0/0"}, "::1", kindLoopback},
		"wide prefix, metadata":      {[]string{"100.64.0.0/10"}, "100.100.100.200", kindMetadata},
		"everything, metadata":       {[]string{"0.0.0.0/0"}, "169.254.169.254", kindMetadata},
		"wide, embedded metadata":    {[]string{"::/0", "0.0.0.0/0"}, "64:ff9b::169.254.169.254", kindMetadata},
		"metadata by its own prefix": {[]string{"169.254.169.254/32"}, "169.254.169.254", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := guard(t, tt.allow...).judge(netip.MustParseAddr(tt.addr)); got != tt.want {
				t.Errorf("judge(%s) with %v = %q, want %q", tt.addr, tt.allow, got, tt.want)
			}
		})
	}
}

// TestLastLook: a socket to a forbidden address does not connect, even if the
// address was not sorted out before.
func TestLastLook(t *testing.T) {
	t.Parallel()
	_, err := guard(t).dialFirst(t.Context(), "registry.test", "1", []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	if failure, ok := Classify(err); !ok || failure.Class != portolan.AddressForbidden {
		t.Errorf("dialFirst = %v, want %s", err, portolan.AddressForbidden)
	}
}

func TestNewRefusesPrefix(t *testing.T) {
	t.Parallel()
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/90")} {
		if _, err := New(Config{Allow: []netip.Prefix{p}}); err == nil {
			t.Errorf("New allows %v", p)
		}
	}
}

// FuzzJudge holds the tables against netip's own notion of addresses, and every
// embedded form against the address it embeds.
func FuzzJudge(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "8.8.8.8", "10.0.0.1", "169.254.169.254", "::1", "2002:7f00:1::", "64:ff9b::1", "::ffff:1.2.3.4", "fe80::1", "2600::1"} {
		f.Add(netip.MustParseAddr(s).AsSlice())
	}
	g := guard(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok {
			return
		}
		got := g.judge(addr)
		plain := addr.Unmap()
		special := !plain.IsGlobalUnicast() || plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsMulticast()
		if got == "" && special {
			t.Errorf("%s is open", addr)
		}
		if plain.Is6() {
			return
		}
		four := plain.As4()
		mapped, translated, tunnelled := [16]byte{10: 0xff, 11: 0xff}, [16]byte{1: 0x64, 2: 0xff, 3: 0x9b}, [16]byte{0x20, 0x02, 15: 1}
		copy(mapped[12:], four[:])
		copy(translated[12:], four[:])
		copy(tunnelled[2:], four[:])
		for _, form := range [][16]byte{mapped, translated, tunnelled} {
			if k := g.judge(netip.AddrFrom16(form)); k != got {
				t.Errorf("%s is %q, its form %s %q", addr, got, netip.AddrFrom16(form), k)
			}
		}
	})
}
