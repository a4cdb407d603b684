package gateway

import (
	"reflect"
	"unicode/utf8"
)

// xmlDocument writes a response as <NameResponse>, with RequestId first. A
// list repeats the name of its member for each element, so an empty one leaves
// nothing.
func (e *encoder) xmlDocument(p *plan, v reflect.Value, requestID string) {
	e.buf = append(e.buf, "<?xml version='1.0' encoding='UTF-8'?>"...)
	e.xmlTag("<", p.name)
	e.xmlTag("<", "RequestId")
	e.buf = appendXMLText(e.buf, requestID)
	e.xmlTag("</", "RequestId")
	e.xmlMembers(p, v)
	e.xmlTag("</", p.name)
}

func (e *encoder) xmlTag(open, name string) {
	e.buf = append(append(append(e.buf, open...), name...), '>')
}

func (e *encoder) xmlMembers(p *plan, v reflect.Value) {
	for i := range p.members {
		m := &p.members[i]
		member, present := m.value(v)
		switch {
		case !present:
		case m.list:
			m.each(member, e, func(element reflect.Value) { e.xmlElement(m, element) })
		case m.pointer:
			e.xmlElement(m, member.Elem())
		default:
			e.xmlElement(m, member)
		}
	}
}

func (e *encoder) xmlElement(p *plan, v reflect.Value) {
	e.xmlTag("<", p.name)
	switch {
	case p.object:
		e.xmlMembers(p, v)
	case v.Kind() == reflect.String:
		e.buf = appendXMLText(e.buf, v.String())
	default:
		e.plain(v)
	}
	e.xmlTag("</", p.name)
}

// appendXMLText escapes s as character data. What XML 1.0 cannot hold, such as
// most control characters, becomes U+FFFD.
func appendXMLText(dst []byte, s string) []byte {
	for _, r := range s {
		switch {
		case r == '&':
			dst = append(dst, "&amp;"...)
		case r == '<':
			dst = append(dst, "&lt;"...)
		case r == '>':
			dst = append(dst, "&gt;"...)
		case r == '"':
			dst = append(dst, "&#34;"...)
		case r == '\r':
			dst = append(dst, "&#xD;"...) // a parser would make it a line feed
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			dst = utf8.AppendRune(dst, utf8.RuneError)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}
