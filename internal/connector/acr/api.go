package acr

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/sign"
)

// api sends signed calls to the API of one region.
type api struct {
	client  *http.Client
	host    string
	version string
	key     sign.Key
	now     func() time.Time
	slow    func(time.Duration) // may be nil
}

// call is one request of the API and what to say when it fails.
type call struct {
	action string
	path   string // escaped
	query  url.Values
	doing  string // "listing the tags of team/app"
	needs  string // the right, as RAM policies name it
}

// answer is what a call decodes into.
type answer interface {
	// refused answers false for success. The code is "" if the answer is not of
	// the documented form.
	refused() (code, requestID string, yes bool)
}

// get sends a call, decodes its answer into v and answers when that was made by
// the clock of the API, zero if it does not tell.
func (a *api) get(ctx context.Context, c call, v answer) (time.Time, error) {
	u := &url.URL{Scheme: "https", Host: a.host, RawQuery: strings.ReplaceAll(c.query.Encode(), "+", "%20")}
	var err error
	if u.Path, err = url.PathUnescape(c.path); err != nil {
		return time.Time{}, connector.Errorf(portolan.ServerFailure, "%s: the address for %s cannot be made: %w", a.host, c.doing, err)
	}
	u.RawPath = c.path
	seen := &seen{client: a.client}
	header, err := connector.GetJSON(connector.WithLayer(ctx, a.layer(c)), seen, u, http.Header{"Accept": {"application/json"}}, connector.MaxList, v)
	if err != nil {
		return seen.date, a.explain(err, c, seen)
	}
	seen.note(header, nil)
	code, requestID, refused := v.refused()
	if !refused {
		return seen.date, nil
	}
	if code == "" {
		return seen.date, connector.Errorf(portolan.ServerFailure, "%s answered JSON of an unexpected form when %s.", a.host, c.doing)
	}
	seen.code, seen.requestID = code, cleanID(requestID)
	return seen.date, a.explain(&connector.Error{Class: portolan.ServerFailure, Err: &connector.StatusError{Status: http.StatusOK}}, c, seen)
}

// layer signs every try anew, for a nonce is taken once, and tells the
// transport of a wait that the API asks for in its own words.
func (a *api) layer(c call) connector.Layer {
	return func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		signed, err := a.sign(req, c)
		if err != nil {
			return nil, err
		}
		resp, err := next.RoundTrip(signed)
		if err != nil {
			return nil, err
		}
		resp.Request = req
		return throttled(resp)
	}
}

func (a *api) sign(req *http.Request, c call) (*http.Request, error) {
	out, err := sign.Sign(
		&sign.Request{Method: req.Method, Path: req.URL.EscapedPath(), RawQuery: req.URL.RawQuery, Host: req.URL.Host},
		a.key, sign.Call{Action: c.action, Version: a.version, Time: a.now(), Nonce: rand.Text()},
	)
	if err != nil {
		return nil, connector.Errorf(portolan.BadCredentials, "The access key %s cannot sign: %w.", a.key.ID, err).
			WithRemedy("Enter the AccessKeySecret as the password.")
	}
	req = req.Clone(req.Context())
	maps.Copy(req.Header, out.Header)
	return req, nil
}

// throttled makes a refusal by a Throttling code what the transport knows: a
// 429 with Retry-After.
func throttled(resp *http.Response) (*http.Response, error) {
	if resp.StatusCode < http.StatusBadRequest {
		return resp, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if code, _ := readRefusal(body); resp.StatusCode != http.StatusTooManyRequests && !isThrottling(code) {
		return resp, nil
	}
	resp.StatusCode = http.StatusTooManyRequests
	if wait := askedWait(resp.Header); wait > 0 {
		resp.Header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return resp, nil
}

func isThrottling(code string) bool { return strings.HasPrefix(code, "Throttling") }

// askedWait is the longest wait that the headers ask for: x-acs-retry-after in
// milliseconds, and TimeLeft of x-ratelimit-user-api and x-ratelimit-user, as
// "Limit:100,Remain:0,TimeLeft:800".
func askedWait(h http.Header) time.Duration {
	wait := milliseconds(h.Get("X-Acs-Retry-After"))
	for _, name := range []string{"X-Ratelimit-User-Api", "X-Ratelimit-User"} {
		for pair := range strings.SplitSeq(h.Get(name), ",") {
			key, value, _ := strings.Cut(pair, ":")
			if strings.TrimSpace(key) == "TimeLeft" {
				wait = max(wait, milliseconds(value))
			}
		}
	}
	return wait
}

const longestWait = 24 * time.Hour

func milliseconds(text string) time.Duration {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Millisecond, longestWait)
}

// seen sends requests and remembers what the last answer says beside its
// content.
type seen struct {
	client    connector.Doer
	code      string
	requestID string
	date      time.Time
	header    http.Header
}

func (s *seen) Do(req *http.Request) (*http.Response, error) {
	resp, err := s.client.Do(req)
	if err != nil || resp.StatusCode/100 == 2 {
		return resp, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	s.note(resp.Header, body)
	return resp, nil
}

func (s *seen) note(h http.Header, body []byte) {
	s.header = h
	s.date, _ = http.ParseTime(h.Get("Date"))
	s.code, s.requestID = readRefusal(body)
}
