package acr

import (
	"context"
	"iter"
	"slices"
	"strings"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/oci"
)

// login reads by a login of the registry side, which knows the Distribution API
// alone. There is no catalogue then (/v2/_catalog is not offered, and its answer
// would not be believed), so that what is read has to be named.
type login struct {
	connector.Source
	config connector.Config
}

func openLogin(c connector.Config) (connector.Source, error) {
	inner, err := oci.Open(c)
	if err != nil {
		return nil, err
	}
	return &login{Source: inner, config: c}, nil
}

var _ connector.Announcer = (*login)(nil)

// Announce implements connector.Announcer.
func (l *login) Announce(paths []string) {
	if a, ok := l.Source.(connector.Announcer); ok {
		a.Announce(paths)
	}
}

// Probe implements connector.Source.
func (l *login) Probe(ctx context.Context) (connector.Probe, error) {
	found, err := discover(ctx, l.config.Client, l.config.BaseURL)
	if err != nil {
		return connector.Probe{}, err
	}
	p, err := l.Source.Probe(ctx)
	p.Product, p.Version = (&personal{}).name(), ""
	if found.instance != "" {
		p.Product = (&enterprise{}).name()
	}
	return p, err
}

// Repositories tells the repositories that the scope names.
func (l *login) Repositories(_ context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		named, rest := l.named()
		l.Announce(named)
		for _, path := range named {
			if path > after && !yield(connector.Repository{Path: path, Expect: -1, Cursor: path}, nil) {
				return
			}
		}
		if len(named) == 0 || len(rest) > 0 {
			yield(connector.Repository{}, l.cannotEnumerate(rest))
		}
	}
}

// named are the repositories of the scope, and what else it has: a path without
// a slash is a namespace.
func (l *login) named() (repositories, rest []string) {
	for _, prefix := range l.config.Scope {
		path := strings.Trim(prefix, "/")
		if strings.Contains(path, "/") {
			repositories = append(repositories, path)
		} else if path != "" {
			rest = append(rest, path)
		}
	}
	slices.Sort(repositories)
	return slices.Compact(repositories), rest
}

func (l *login) cannotEnumerate(namespaces []string) error {
	what := ""
	if len(namespaces) > 0 {
		what = " namespace " + namespaces[0]
	}
	return connector.Errorf(portolan.CannotEnumerate, "This account can log in to %s, but cannot enumerate%s.", l.config.BaseURL.Host, what).
		WithRemedy("Add an AccessKey with %s (its id as the user name, its secret as the password), or name the repositories in ExtraParam (repositories).", needsRepositories)
}
