package gateway

import (
	"reflect"
	"unicode/utf8"
)

// jsonDocument writes the object of a response, with RequestId as its last
// member.
func (e *encoder) jsonDocument(p *plan, v reflect.Value, requestID string) {
	e.jsonValue(p, v)
	if e.err != nil {
		return
	}
	last := len(e.buf) - 1 // the closing brace
	if e.buf[last-1] == '{' {
		e.buf = e.buf[:last]
	} else {
		e.buf[last] = ','
	}
	e.buf = append(e.buf, `"RequestId":`...)
	e.buf = append(appendJSONString(e.buf, requestID), '}')
}

func (e *encoder) jsonMember(p *plan, v reflect.Value) {
	if !p.list {
		if p.pointer {
			v = v.Elem()
		}
		e.jsonValue(p, v)
		return
	}
	e.buf = append(e.buf, '[')
	first := true
	p.each(v, e, func(element reflect.Value) {
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.jsonValue(p, element)
	})
	e.buf = append(e.buf, ']')
}

// jsonValue writes a scalar or an object.
func (e *encoder) jsonValue(p *plan, v reflect.Value) {
	switch {
	case p.appends:
		a, _ := reflect.TypeAssert[Appender](v.Addr())
		e.buf = a.AppendJSON(e.buf)
	case p.object:
		e.jsonObject(p, v)
	case v.Kind() == reflect.String:
		e.buf = appendJSONString(e.buf, v.String())
	default:
		e.plain(v)
	}
}

func (e *encoder) jsonObject(p *plan, v reflect.Value) {
	e.buf = append(e.buf, '{')
	first := true
	for i := range p.members {
		m := &p.members[i]
		member, present := m.value(v)
		if !present {
			continue
		}
		if !first {
			e.buf = append(e.buf, ',')
		}
		first = false
		e.buf = append(e.buf, m.key...)
		e.jsonMember(m, member)
	}
	e.buf = append(e.buf, '}')
}

// plain are the bytes that stand for themselves in a JSON string.
var plain = func() (table [256]bool) {
	for c := range utf8.RuneSelf {
		table[c] = c >= ' ' && c != '"' && c != '\\'
	}
	return table
}()

const hexDigits = "0123456789abcdef"

// appendJSONString quotes s by the rules of encoding/json without the escaping
// for HTML: invalid UTF-8 becomes U+FFFD, and the line separators that end a
// line in JavaScript are escaped.
func appendJSONString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = appendEscape(append(dst, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
