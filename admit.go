package portolan

import (
	"net/netip"
	"slices"
)

// Admits reports whether a peer may send the registry reports and events.
// BlackList wins; an empty WhiteList admits all others. Lists that cannot be
// read admit nobody, and an unknown address is on no list.
func (r *Registry) Admits(peer netip.Addr) bool {
	black, err := ParseAddressList("BlackList", r.BlackList)
	if err != nil {
		return false
	}
	white, err := ParseAddressList("WhiteList", r.WhiteList)
	if err != nil {
		return false
	}
	peer = peer.Unmap().WithZone("")
	has := func(p netip.Prefix) bool { return p.Contains(peer) }
	if len(black) > 0 && (!peer.IsValid() || slices.ContainsFunc(black, has)) {
		return false
	}
	return len(white) == 0 || slices.ContainsFunc(white, has)
}
