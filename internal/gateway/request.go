package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"portolan/internal/rpc"
	"portolan/internal/sign"
)

// parse reads a request and finds its signature. It answers what can be known
// of the wanted format even with an error.
func parse(w http.ResponseWriter, r *http.Request) (s *sign.Signature, xml bool, err error) {
	xml = strings.EqualFold(queryFormat(r.URL.RawQuery), "XML")
	switch {
	case r.URL.Path != "/":
		return nil, xml, errPath
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return nil, xml, errMethod
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, xml, err
	}
	s, err = sign.Parse(&sign.Request{
		Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery,
		Host: r.Host, Header: r.Header, Body: body,
	}, paramLimits)
	if err != nil {
		return nil, xml, err
	}
	xml, err = wantsXML(s)
	return s, xml, err
}

// wantsXML decides the format of an answer. Version 1.0 without Format means
// XML; version 3 never says a format and means JSON. What is not signed comes
// from no SDK, so it gets JSON too.
func wantsXML(s *sign.Signature) (bool, error) {
	switch strings.ToUpper(s.Format) {
	case "XML":
		return true, nil
	case "JSON":
		return false, nil
	case "":
		return !s.V3() && !s.Anonymous(), nil
	}
	return false, errFormat
}

// queryFormat is the format that a request asks for if it cannot be parsed.
func queryFormat(rawQuery string) string {
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if value, found := strings.CutPrefix(pair, "Format="); found {
			format, _ := url.QueryUnescape(value)
			return format
		}
	}
	return ""
}

// readBody reads the body of any method: some clients send a form with GET,
// which net/http would not look at.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	// Not every ResponseWriter supports deadlines. This one ends with the body.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		return body, nil
	}
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	return nil, errBody
}

// valuesOf answers the parameters of a call. Names are unique: sign refuses
// others.
func valuesOf(s *sign.Signature) rpc.Values {
	values := make(rpc.Values, len(s.Params))
	for _, p := range s.Params {
		values[p.Name] = p.Value
	}
	return values
}
