package quay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// call is one request of the API and what to say when it fails.
type call struct {
	path  string // escaped, below /api/v1/
	query url.Values
	doing string // "listing the tags of acme/api"
}

// get sends a call with the organisation's token and decodes its answer into
// v.
func (s *source) get(ctx context.Context, o organisation, c call, limit int64, v any) error {
	u, err := url.Parse(strings.TrimSuffix(s.base.String(), "/") + "/api/v1/" + c.path)
	if err != nil {
		return connector.Errorf(portolan.ServerFailure, "%s: the address for %s cannot be made: %w", s.base.Host, c.doing, err)
	}
	u.RawQuery = c.query.Encode()
	d := &sender{client: s.client, token: o.token}
	if _, err := connector.GetJSON(ctx, d, u, http.Header{"Accept": {"application/json"}}, limit, v); err != nil {
		return s.explain(err, o, c, d.reason)
	}
	return nil
}

// repository is the escaped path of a repository, with the parts behind it.
func (s *source) repository(path string, parts ...string) (string, error) {
	segments := append(strings.Split(path, "/"), parts...)
	for i, name := range segments {
		if name == "" || name == "." || name == ".." || !portolan.Printable(name) {
			return "", connector.Errorf(portolan.ServerFailure, "%s lists %q, which is not a name that can be asked for.", s.base.Host, name)
		}
		segments[i] = url.PathEscape(name)
	}
	return "repository/" + strings.Join(segments, "/"), nil
}

// sender sends a request with a token, and notes why Quay refuses it.
type sender struct {
	client connector.Doer
	token  string
	reason string
}

func (n *sender) Do(req *http.Request) (*http.Response, error) {
	if n.token != "" {
		req.Header.Set("Authorization", "Bearer "+n.token)
	}
	resp, err := n.client.Do(req)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		n.reason = reason(resp)
	}
	return resp, err
}

const maxProblem = 64 << 10

// Reasons, as error_type of Quay's errors has them.
const (
	reasonExpired = "expired_token"
	reasonScope   = "insufficient_scope"
)

// reason reads error_type of a problem (RFC 7807), as far as it is known, and
// leaves the body as it was.
func reason(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem)) // what is lacking is read as far as it goes
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	var problem struct {
		Type string `json:"error_type"`
	}
	if json.Unmarshal(body, &problem) != nil {
		return ""
	}
	switch problem.Type {
	case reasonExpired, reasonScope:
		return problem.Type
	}
	return "" // any other text could be a secret that is echoed
}

// explain says what a failure means for Quay.
func (s *source) explain(err error, o organisation, c call, reason string) error {
	status, refused := errors.AsType[*connector.StatusError](err)
	e, ok := errors.AsType[*connector.Error](err)
	if !refused || !ok || e.Class == portolan.TLSFailure {
		return err
	}
	said := s.refused(status, o, c, reason)
	said.Err = err
	return said
}

func (s *source) refused(status *connector.StatusError, o organisation, c call, reason string) *connector.Error {
	host := s.base.Host
	denied := status.Status == http.StatusUnauthorized || status.Status == http.StatusForbidden
	switch {
	case denied && o.token == "":
		return connector.Errorf(portolan.Forbidden, "%s does not allow %s without an auth token.", host, c.doing).
			WithRemedy("Add an auth token of the organisation %s with the scope %s.", o.name, scopeName)
	case reason == reasonExpired:
		return connector.Errorf(portolan.CredentialsExpired, "The auth token of the organisation %s has expired: %s refuses it when %s.", o.name, host, c.doing).
			WithRemedy("%s", newToken(o))
	case status.Status == http.StatusUnauthorized:
		return s.badToken(o)
	case status.Status == http.StatusForbidden:
		return connector.Errorf(portolan.Forbidden, "%s accepts the auth token of the organisation %s, but not for %s: it lacks the scope %s, or its user the right to read.", host, o.name, c.doing, scopeName).
			WithRemedy("%s", newToken(o))
	}
	return connector.Unexpected(host, status, c.doing)
}

func (s *source) badToken(o organisation) *connector.Error {
	return connector.Errorf(portolan.BadCredentials, "%s does not accept the auth token of the organisation %s: it is wrong, expired or revoked, or its user was disabled.", s.base.Host, o.name).
		WithRemedy("%s", newToken(o))
}

func newToken(o organisation) string {
	return "Generate a token with the scope " + scopeName + " in the Applications of the organisation " + o.name +
		", as a user who may read all its repositories, and enter it as its auth token."
}

// truncated is the error of a list that does not add up.
func (s *source) truncated(c call, what string) error {
	err := connector.Errorf(portolan.ServerFailure, "%s: the list %s when %s.", s.base.Host, what, c.doing)
	err.Err = connector.ErrTruncated
	return err
}

// unexpected is the error of JSON that is not the answer to the call.
func (s *source) unexpected(c call) error {
	return connector.Errorf(portolan.ServerFailure, "%s answered JSON of an unexpected form when %s.", s.base.Host, c.doing)
}
