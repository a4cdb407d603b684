package netguard

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// kind says why an address is closed, as messages put it; "" is open.
type kind string

const (
	kindPrivate   kind = "private"
	kindLoopback  kind = "loopback"
	kindLinkLocal kind = "link-local"
	kindMetadata  kind = "a metadata service"
	kindMulticast kind = "multicast"
	kindReserved  kind = "reserved"
	kindNoHost    kind = "unspecified"
)

// closed has the special-purpose prefixes of IPv4 (IANA registry, RFC 6890)
// and those of IPv6 that lie within 2000::/3 or deserve a word of their own.
// Documentation prefixes are left open: nothing answers there.
var closed = []struct {
	prefix netip.Prefix
	kind   kind
}{
	{netip.MustParsePrefix("0.0.0.0/8"), kindNoHost},
	{netip.MustParsePrefix("10.0.0.0/8"), kindPrivate},
	{netip.MustParsePrefix("100.64.0.0/10"), kindPrivate},
	{netip.MustParsePrefix("127.0.0.0/8"), kindLoopback},
	{netip.MustParsePrefix("169.254.0.0/16"), kindLinkLocal},
	{netip.MustParsePrefix("172.16.0.0/12"), kindPrivate},
	{netip.MustParsePrefix("192.0.0.0/24"), kindReserved},
	{netip.MustParsePrefix("192.88.99.0/24"), kindReserved}, // 6to4 relays
	{netip.MustParsePrefix("192.168.0.0/16"), kindPrivate},
	{netip.MustParsePrefix("198.18.0.0/15"), kindReserved}, // benchmarks
	{netip.MustParsePrefix("224.0.0.0/4"), kindMulticast},
	{netip.MustParsePrefix("240.0.0.0/4"), kindReserved}, // and broadcast
	{netip.MustParsePrefix("::/128"), kindNoHost},
	{netip.MustParsePrefix("::1/128"), kindLoopback},
	{netip.MustParsePrefix("fc00::/7"), kindPrivate},
	{netip.MustParsePrefix("fe80::/10"), kindLinkLocal},
	{netip.MustParsePrefix("ff00::/8"), kindMulticast},
	{netip.MustParsePrefix("2001::/23"), kindReserved}, // Teredo and other protocols
}

// metadata has the addresses at which clouds hand out a machine's own
// credentials.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), // most clouds
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("169.254.170.2"),   // AWS containers
	netip.MustParseAddr("169.254.170.23"),  // AWS pods
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

var (
	global = netip.MustParsePrefix("2000::/3")
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixto4 = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// judge answers why an address may not be dialled, "" if it may.
func (g *Guard) judge(addr netip.Addr) kind {
	forms := forms(addr)
	for _, form := range forms {
		if slices.Contains(metadata, form) && !slices.Contains(g.allow, netip.PrefixFrom(form, form.BitLen())) {
			return kindMetadata
		}
	}
	if slices.ContainsFunc(forms, g.opened) {
		return ""
	}
	for _, form := range forms {
		if k := closedKind(form); k != "" {
			return k
		}
	}
	return ""
}

func (g *Guard) opened(addr netip.Addr) bool {
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// closedKind judges one form by the tables: IPv6 is closed but for 2000::/3
// and NAT64, whose embedded address is a form of its own.
func closedKind(addr netip.Addr) kind {
	for _, c := range closed {
		if c.prefix.Contains(addr) {
			return c.kind
		}
	}
	if addr.Is6() && !global.Contains(addr) && !nat64.Contains(addr) {
		return kindReserved
	}
	return ""
}

// forms answers an address without zone and IPv4 mapping, and the IPv4 address
// that NAT64 or 6to4 embed in it.
func forms(addr netip.Addr) []netip.Addr {
	addr = plainAddr(addr)
	list := []netip.Addr{addr}
	raw := addr.As16()
	switch {
	case nat64.Contains(addr):
		list = append(list, netip.AddrFrom4([4]byte(raw[12:16])))
	case sixto4.Contains(addr):
		list = append(list, netip.AddrFrom4([4]byte(raw[2:6])))
	}
	return list
}

func plainAddr(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }

// plainPrefix is a prefix masked and without IPv4 mapping, to be compared with
// plain addresses.
func plainPrefix(p netip.Prefix) (netip.Prefix, error) {
	bits := p.Bits()
	if p.Addr().Is4In6() {
		bits -= 96
	}
	plain, err := p.Addr().Unmap().Prefix(bits)
	if err != nil || !p.IsValid() {
		return netip.Prefix{}, fmt.Errorf("allowed prefix %s is not an address prefix", p)
	}
	return plain, nil
}

// parseLiteral reads an address as a host name field has it, with or without
// the brackets of a URL.
func parseLiteral(host string) (netip.Addr, bool) {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(host)
	return addr, err == nil
}

// endsInNumber reports whether the last label of a host is a number, as in
// "127.1", "2130706433" or "0x7f.1": no domain name ends so, but some
// resolvers read it as an IPv4 address.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if digits, ok := strings.CutPrefix(last, "0x"); ok {
		_, err := strconv.ParseUint("0"+digits, 16, 64)
		return err == nil
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
