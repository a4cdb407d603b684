package quay

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// Probe proves every token. Quay does not refuse a token that it does not
// know, or that has expired: it goes on as if there were none, and a list then
// is the public part (auth/decorators.py). What it does refuse to anonymous
// callers, and to no one else whatever the scope, is the list of one's starred
// repositories. So that is what is asked for.
func (s *source) Probe(ctx context.Context) (connector.Probe, error) {
	if len(s.organisations) == 0 {
		return connector.Probe{}, s.nothingToRead()
	}
	proven := map[string]bool{}
	var names []string
	for _, o := range s.organisations {
		if o.token == "" {
			continue
		}
		names = append(names, o.name)
		if proven[o.token] {
			continue
		}
		proven[o.token] = true
		if err := s.prove(ctx, o); err != nil {
			return connector.Probe{}, err
		}
	}
	if len(names) == 0 {
		if err := s.recognise(ctx); err != nil {
			return connector.Probe{}, err
		}
	}
	return connector.Probe{Product: product, Identity: identity(names), Warnings: s.warnings()}, nil
}

// nothingToRead says what to do about an entry that names no organisation:
// Quay lists nothing without one.
func (s *source) nothingToRead() error {
	err := connector.Errorf(portolan.CannotEnumerate, "%s lists repositories by organisation, and no organisation is given: neither an auth token nor a namespace.", s.base.Host)
	if s.login {
		return err.WithRemedy("Add an auth token with the scope %s for each organisation; user name and password alone can read a registry of type oci.", scopeName)
	}
	return err.WithRemedy("Add an auth token with the scope %s for each organisation.", scopeName)
}

// prove proves that the token of an organisation is accepted.
func (s *source) prove(ctx context.Context, o organisation) error {
	if strings.ContainsFunc(o.token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return s.badToken(o)
	}
	c := call{path: "repository", query: url.Values{"starred": {"true"}}, doing: "logging in"}
	err := s.ask(ctx, o, c)
	if status, ok := errors.AsType[*connector.StatusError](err); ok && status.Status == http.StatusBadRequest && connector.ClassOf(err) == portolan.ServerFailure {
		return s.badToken(o)
	}
	return err
}

// recognise asks for what everybody is shown, where there is no token to prove.
func (s *source) recognise(ctx context.Context) error {
	o := s.organisations[0]
	return s.ask(ctx, o, listing(o, ""))
}

// ask sends a call for repositories, whose answer only Quay gives.
func (s *source) ask(ctx context.Context, o organisation, c call) error {
	var answer repositoryList
	err := s.get(ctx, o, c, connector.MaxList, &answer)
	if err == nil && !answer.Repositories.there {
		err = s.unexpected(c)
	}
	if err == nil {
		s.recognised.Store(true)
		return nil
	}
	if s.recognised.Load() || !foreign(err) {
		return err
	}
	return s.otherProduct(err)
}

// foreign reports whether an error is the answer of something that is not
// Quay: a path that it does not know, or not the expected JSON.
func foreign(err error) bool {
	if status, ok := errors.AsType[*connector.StatusError](err); ok {
		return status.Status == http.StatusNotFound || status.Status == http.StatusMethodNotAllowed
	}
	e, ok := errors.AsType[*connector.Error](err)
	return ok && e.Class == portolan.ServerFailure
}

func (s *source) otherProduct(seen error) error {
	what := "the answer of /api/v1/repository is not that of Quay"
	if status, ok := errors.AsType[*connector.StatusError](seen); ok {
		what = fmt.Sprintf("/api/v1/repository was answered with status %d", status.Status)
	}
	err := connector.Errorf(portolan.NotThisProduct, "%s does not answer like Quay: %s.", s.base.Host, what).
		WithRemedy("Check the address and the type of the registry.")
	err.Err = seen
	return err
}

// identity is whose tokens are used. Who made them Quay tells only to a token
// with one more scope, which is not worth asking for.
func identity(names []string) string {
	const shown = 3
	switch n := len(names); {
	case n == 0:
		return "anonymous"
	case n == 1:
		return "the auth token of " + names[0]
	case n > shown:
		return fmt.Sprintf("the auth tokens of %s and %d more", strings.Join(names[:shown], ", "), n-shown)
	}
	return "the auth tokens of " + strings.Join(names, ", ")
}

func (s *source) warnings() []string {
	var list, anonymous []string
	for _, o := range s.organisations {
		if o.token == "" {
			anonymous = append(anonymous, o.name)
		}
	}
	if len(anonymous) > 0 {
		list = append(list, "Without an auth token only public repositories are read of "+strings.Join(anonymous, ", ")+".")
	}
	if len(s.idle) > 0 {
		list = append(list, "The namespaces leave out "+strings.Join(s.idle, ", ")+": the auth token is not used.")
	}
	return list
}
