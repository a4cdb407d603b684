package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"portolan"
)

// Limits of answers, counted after decompression.
const (
	MaxList     = 32 << 20
	MaxManifest = 4 << 20
	// maxTold is the length of an answer up to which the registry's word is
	// taken for it.
	maxTold = 64 << 10
)

// Doer sends a request: an *http.Client, or something that authenticates in
// front of one, which may set the request's Authorization header.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

var userAgent = []string{portolan.UserAgent()}

// Send sends a request without a body to an absolute address. An answer that is
// no success (2xx) is an *Error whose cause is a *StatusError; a failure to get
// an answer is an *Error with a class, a *ThrottledError, or the context's
// error. The caller closes the body.
func Send(ctx context.Context, d Doer, method string, u *url.URL, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "", http.NoBody)
	if err != nil {
		return nil, err
	}
	own := *u                                 // what is under way may look at it for longer than the caller keeps it
	if own.Path != "" && own.Path[0] != '/' { // as JoinPath makes it of a host
		own.Path = "/" + own.Path
	}
	req.URL, req.Host = &own, u.Host
	maps.Copy(req.Header, header)
	req.Header["User-Agent"] = userAgent
	resp, err := d.Do(req)
	if err != nil {
		return nil, failure(u, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, refusal(resp)
	}
	return resp, nil
}

// Head sends a HEAD and answers the header; see Send for errors.
func Head(ctx context.Context, d Doer, u *url.URL, header http.Header) (http.Header, error) {
	resp, err := Send(ctx, d, http.MethodHead, u, header)
	if err != nil {
		return nil, err
	}
	return resp.Header, resp.Body.Close()
}

// Get gets at most limit bytes and answers them with the header; see Send for
// errors.
func Get(ctx context.Context, d Doer, u *url.URL, header http.Header, limit int64) (http.Header, []byte, error) {
	resp, err := Send(ctx, d, http.MethodGet, u, header)
	if err != nil {
		return nil, nil, err
	}
	body, err := readBody(resp, limit)
	return resp.Header, body, err
}

// GetJSON gets a JSON document of at most limit bytes into v and answers the
// header. Anything but JSON is a ServerFailure, and so is what a redirect led
// to without the credential; see Send for other errors.
func GetJSON(ctx context.Context, d Doer, u *url.URL, header http.Header, limit int64, v any) (http.Header, error) {
	resp, err := Send(ctx, d, http.MethodGet, u, header)
	if err != nil {
		return nil, err
	}
	if lostCredential(resp) {
		discard(resp)
		return nil, redirects(nil, u.Host)
	}
	body, err := readBody(resp, limit)
	if err != nil {
		return nil, err
	}
	if err := decodeJSON(u.Host, resp.Header, body, v); err != nil {
		return nil, err
	}
	return resp.Header, nil
}

// lostCredential reports whether a redirect to another host left the
// credential behind. A list is then what anybody is shown: it may lack what
// is shown to us alone, and does not tell.
func lostCredential(resp *http.Response) bool {
	asked, answered := redirected(resp)
	return asked.Header.Get("Authorization") != "" && answered.Header.Get("Authorization") == ""
}

// elsewhere reports whether a redirect led to another host. A refusal there
// says nothing of our credential, and its challenge is not the registry's: to
// answer it would hand the password to whoever is named in a redirect.
func elsewhere(resp *http.Response) bool {
	asked, answered := redirected(resp)
	return asked.URL.Host != answered.URL.Host
}

// redirected answers the request that was sent first and the one that was
// answered: the same without a redirect.
func redirected(resp *http.Response) (asked, answered *http.Request) {
	asked = resp.Request
	for asked.Response != nil {
		asked = asked.Response.Request
	}
	return asked, resp.Request
}

// readBody reads an answer of at most limit bytes and closes it.
func readBody(resp *http.Response, limit int64) ([]byte, error) {
	body, err := readAll(io.LimitReader(resp.Body, limit+1), resp.ContentLength)
	_ = resp.Body.Close()
	if err != nil {
		return nil, failure(resp.Request.URL, err)
	}
	if int64(len(body)) > limit {
		return nil, Errorf(portolan.ServerFailure, "%s answered more than %d MiB at once", resp.Request.URL.Host, limit>>20)
	}
	return body, nil
}

// readAll reads to the end. A short body is not grown while it is read.
func readAll(r io.Reader, told int64) ([]byte, error) {
	if told <= 0 || told > maxTold {
		return io.ReadAll(r)
	}
	var body bytes.Buffer
	body.Grow(int(told) + bytes.MinRead)
	_, err := body.ReadFrom(r)
	return body.Bytes(), err
}

// decodeJSON decodes an answer of the host into v. The error says what was
// seen, never the content.
func decodeJSON(host string, header http.Header, body []byte, v any) error {
	err := json.Unmarshal(body, v)
	if err == nil {
		return nil
	}
	if media, _, _ := mime.ParseMediaType(header.Get("Content-Type")); media == "text/html" {
		return Errorf(portolan.ServerFailure, "%s answered HTML where JSON was expected", host).
			WithRemedy("Check that the address is the registry's own and not a login page or a proxy.")
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // "number 12" repeats the content
		return Errorf(portolan.ServerFailure, "%s answered JSON of an unexpected form (%s where %s was expected)", host, kind, wrong.Type.Kind())
	}
	return Errorf(portolan.ServerFailure, "%s answered something that is not complete JSON", host)
}
