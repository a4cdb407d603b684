package gateway

import (
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of the reverse proxies that are trusted to say who
// their client is, by X-Forwarded-For and X-Forwarded-Proto.
type Proxies []netip.Prefix

// Client answers the address of the client that sent the request, and whether
// it speaks TLS. Without a trusted proxy that is the peer; with one, it is the
// last address of X-Forwarded-For that is no trusted proxy itself, since every
// address before that may be invented.
func (p Proxies) Client(r *http.Request) (client netip.Addr, secure bool) {
	client = address(r.RemoteAddr)
	secure = r.TLS != nil
	if !p.trust(client) {
		return client, secure
	}
	if proto := lastOf(r.Header.Values("X-Forwarded-Proto")); proto != "" {
		secure = strings.EqualFold(proto, "https")
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trust(client); i-- {
		hop := address(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			break
		}
		client = hop
	}
	return client, secure
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// address reads an address with or without a port; a zone is dropped.
func address(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func lastOf(values []string) string {
	list := strings.Join(values, ",")
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}
