package harbor

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// api sends requests in the name of the credential.
type api struct {
	base       *url.URL
	client     *http.Client
	header     http.Header
	credential portolan.Credential
}

// call is one request of the API and what to say when it fails.
type call struct {
	path  string // escaped, from the root
	query string // escaped
	doing string // "listing the artifacts of team-a/api"
	needs string // the permission, as Harbor's robot form names it
}

// page is the call for one page of a list.
func (c call) page(n int) call {
	c.query = "page=" + strconv.Itoa(n) + "&page_size=" + strconv.Itoa(pageSize) + "&" + c.query
	c.query = strings.TrimSuffix(c.query, "&")
	return c
}

// project is the escaped path of a project.
func project(name string) string { return "/api/v2.0/projects/" + url.PathEscape(name) }

// repository is the escaped path of a repository within its project. Its
// slashes are encoded twice, as in Harbor's own links, so that they survive a
// proxy that decodes once.
func repository(path string) string {
	name, rest, _ := strings.Cut(path, "/")
	return project(name) + "/repositories/" + url.PathEscape(url.PathEscape(rest))
}

// anonymous reports whether nothing is known to log in with.
func (a *api) anonymous() bool {
	return a.credential.UserName == "" && a.credential.Password == ""
}

// get sends a call and decodes its answer into v.
func (a *api) get(ctx context.Context, c call, v any) (http.Header, error) {
	u, err := url.Parse(strings.TrimSuffix(a.base.String(), "/") + c.path)
	if err != nil {
		return nil, connector.Errorf(portolan.ServerFailure, "%s: the address for %s cannot be made: %w", a.base.Host, c.doing, err)
	}
	u.RawQuery = c.query
	sender := &noter{client: a.client, credential: a.credential, anonymous: a.anonymous()}
	header, err := connector.GetJSON(ctx, sender, u, a.header, connector.MaxList, v)
	if err != nil {
		return nil, a.explain(err, c, sender.requestID)
	}
	return header, nil
}

// noter sends a request with Basic authentication and notes the id under
// which Harbor logged it. Harbor takes Basic on every call; there is no token
// to fetch.
type noter struct {
	client     connector.Doer
	credential portolan.Credential
	anonymous  bool
	requestID  string
}

func (n *noter) Do(req *http.Request) (*http.Response, error) {
	if !n.anonymous {
		req.SetBasicAuth(n.credential.UserName, n.credential.Password)
	}
	resp, err := n.client.Do(req)
	if err == nil {
		n.requestID = cleanID(resp.Header.Get("X-Request-Id"))
	}
	return resp, err
}

// cleanID lets pass what looks like an id, "" for anything else.
func cleanID(id string) string {
	for _, c := range id {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return ""
		}
	}
	return id[:min(len(id), 64)]
}

// explain says what a failure means for Harbor, and adds the request id, by
// which the owner of the Harbor finds it in the logs.
func (a *api) explain(err error, c call, requestID string) error {
	e, ok := errors.AsType[*connector.Error](err)
	if !ok {
		return err
	}
	said := *e
	if status, ok := errors.AsType[*connector.StatusError](err); ok && said.Class != portolan.TLSFailure {
		said = *a.refused(status, c)
		said.Err = err
	}
	if requestID != "" {
		said.Message = strings.TrimSuffix(said.Message, ".") + " (Harbor's request id " + requestID + ")."
	}
	return &said
}

func (a *api) refused(s *connector.StatusError, c call) *connector.Error {
	host := a.base.Host
	switch {
	case s.Status == http.StatusUnauthorized && a.anonymous():
		return connector.Errorf(portolan.Forbidden, "%s does not allow %s without a login.", host, c.doing).
			WithRemedy("Enter a robot account that has the permission %s.", c.needs)
	case s.Status == http.StatusUnauthorized:
		return connector.Errorf(portolan.BadCredentials, "User name or password of %q not accepted by %s when %s.", a.credential.UserName, host, c.doing).
			WithRemedy("Check that the robot account exists, is enabled and has not expired, and enter its current secret.")
	case s.Status == http.StatusForbidden && c.needs == "":
		return connector.Errorf(portolan.Forbidden, "%s refuses %s to everybody.", host, c.doing).
			WithRemedy("Look for a proxy or firewall in front of Harbor: Harbor itself allows it.")
	case s.Status == http.StatusForbidden:
		return connector.Errorf(portolan.Forbidden, "Logged in to %s as %q, but %s needs the permission %s.", host, a.credential.UserName, c.doing, c.needs).
			WithRemedy("Grant the robot account %s, and check that the project exists: Harbor answers a robot the same for a project that does not.", c.needs)
	}
	return connector.Unexpected(host, s, c.doing)
}
