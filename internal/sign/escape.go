package sign

// The texts that stand for a percent sign in appendEscaped.
const (
	once  = "%"
	twice = "%25"
)

// appendEscaped escapes s as RFC 3986 wants it, in upper case: everything but
// letters, digits and "-_.~". With twice, the result is what escaping the
// escaped text once more gives.
func appendEscaped(dst []byte, s, percent string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if unreserved(c) {
			dst = append(dst, c)
			continue
		}
		dst = append(dst, percent...)
		dst = append(dst, hex[c>>4], hex[c&15])
	}
	return dst
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~'
}

// appendQuery writes parameters as the text of a query, in their order.
func appendQuery(dst []byte, params []Param) []byte {
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = appendEscaped(dst, p.Name, once)
		dst = append(dst, '=')
		dst = appendEscaped(dst, p.Value, once)
	}
	return dst
}
