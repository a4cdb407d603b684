package quay

import "portolan/internal/connector"

// OpenPaged opens a source that reads lists of so many tags, as it does those
// of 500, in pages of half as many.
func OpenPaged(c connector.Config, tags int) (connector.Source, error) {
	s, err := Open(c)
	if err == nil {
		s.(*source).atOnce, s.(*source).tagPage = tags, tags/2
	}
	return s, err
}

// Covering is the page that is asked for next.
var Covering = covering
