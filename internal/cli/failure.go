package cli

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portolan"
	"portolan/internal/policy"
)

// hinted is an error with what to do about it.
type hinted struct {
	err  error
	hint string
}

func (e *hinted) Error() string { return e.err.Error() + "\n" + e.hint }

func (e *hinted) Unwrap() error { return e.err }

// seenAndRemedy parts an error into what was seen and what to do, which is
// otherwise if the error does not say.
func seenAndRemedy(err error, otherwise string) (seen, remedy string) {
	if e, ok := errors.AsType[*hinted](err); ok {
		return e.err.Error(), e.hint
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.hint() != "" {
		return r.seen(), r.hint()
	}
	return err.Error(), otherwise
}

// refusal is an error document of the server.
type refusal struct {
	Code      string
	Message   string
	RequestID string                 `json:"RequestId"`
	Denied    *portolan.AccessDenied `json:"AccessDeniedDetail"`
	// wait is how long the server asks to wait before the call is sent again.
	wait time.Duration
}

func (r *refusal) Error() string {
	return strings.TrimSuffix(r.seen()+"\n"+r.hint(), "\n")
}

// seen is the answer of the server in a line. It leaves out the text that was
// signed, which is long and tells a person nothing.
func (r *refusal) seen() string {
	message, _, _ := strings.Cut(r.Message, " server string to sign is:")
	return fmt.Sprintf("%s: %s (request id %s)", r.Code, message, r.RequestID)
}

func (r *refusal) hint() string {
	if r.Denied != nil {
		return deniedBy(r.Denied)
	}
	return map[string]string{
		"SignatureDoesNotMatch":       "The secret is not that of the access key, or a proxy changed the Host header.",
		"InvalidAccessKeyId.NotFound": "The server does not know this access key: is it the key of this server?",
		"InvalidAccessKeyId.Inactive": "The access key is disabled: portolan admin key enable, on the server's machine, enables it.",
		"InvalidTimeStamp.Expired":    "The clock of this machine and that of the server differ by more than 15 minutes.",
	}[r.Code]
}

// deniedBy says which kind of policy refuses, and how.
func deniedBy(d *portolan.AccessDenied) string {
	kind := map[policy.Level]string{
		policy.IdentityBased: "the policies of the caller",
		policy.Session:       "the policy of the session",
		policy.AssumeRole:    "the trust policy of the role",
	}[policy.Level(d.PolicyType)]
	if kind == "" {
		kind = "policies of that kind"
	}
	if policy.Outcome(d.NoPermissionType) == policy.ExplicitDeny {
		return fmt.Sprintf("Denied explicitly (%s): a statement in %s denies %s.", d.PolicyType, kind, d.AuthAction)
	}
	return fmt.Sprintf("Denied implicitly (%s): nothing in %s allows %s.", d.PolicyType, kind, d.AuthAction)
}

func (c *client) refused(resp *http.Response, body []byte) error {
	r := &refusal{}
	if err := json.Unmarshal(body, r); err != nil || r.Code == "" {
		return fmt.Errorf("%s answered with HTTP status %d and not as a Portolan server does: is the endpoint right (%s)?", c.address(), resp.StatusCode, c.flag())
	}
	const longest = 10_000
	if ms, err := strconv.Atoi(resp.Header.Get("X-Acs-Retry-After")); err == nil {
		r.wait = time.Duration(min(ms, longest)) * time.Millisecond
	}
	return r
}

// unreachable says why there was no answer, without the request.
func (c *client) unreachable(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	hint := ""
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		hint = "Nothing listens there. Is the server running (portolan serve), and is the endpoint right (" + c.flag() + ")?"
	case errors.As(err, &unknown):
		hint = "Give the authority of the server's certificate with --ca-file."
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"): // net/http has no value for it
		hint = "The server speaks plain HTTP: use http:// in the endpoint."
	}
	err = fmt.Errorf("cannot reach %s: %w", c.address(), err)
	if hint == "" {
		return err
	}
	return &hinted{err, hint}
}
