package policy

import (
	"math/big"
	"net/netip"
	"strings"
	"time"
)

func parseString(text string) (string, bool) { return text, true }

func parsePattern(text string) (pattern, bool) { return compilePattern(text), true }

func parseBool(text string) (value, ok bool) {
	value = strings.EqualFold(text, "true")
	return value, value || strings.EqualFold(text, "false")
}

// parseNumber reads a decimal number exactly, since ids of 17 digits and more
// do not fit a float. Exponents are refused: a few characters of them make a
// number that fills the memory.
func parseNumber(text string) (*big.Rat, bool) {
	const longest = 64
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+")
	whole, fraction, point := strings.Cut(digits, ".")
	if len(text) > longest || !allDigits(whole) || point && !allDigits(fraction) {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func allDigits(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// parseTime reads the ISO 8601 forms that name an instant. A time without a
// zone does not, so it is refused; a date alone is its first moment in UTC.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseAddress reads an address of a request. A client seen through an IPv6
// socket is its IPv4 self, and its zone says nothing.
func parseAddress(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	return addr.Unmap().WithZone(""), err == nil
}

// parsePrefix reads an address or prefix of a document. Bits beyond the
// prefix do not count, and an IPv4 prefix written as IPv6 is an IPv4 prefix.
func parsePrefix(text string) (netip.Prefix, bool) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), err == nil && addr.Zone() == ""
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		const mapped = 96 // bits before the IPv4 address
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	return p, p.IsValid()
}
