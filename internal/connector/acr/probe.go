package acr

import (
	"context"
	"strings"

	"portolan/internal/connector"
)

// Probe asks for one repository: a right that a reading needs anyway, and that
// nobody has who is not known. Where RAM refuses it, the signature was accepted
// before, so that who we are is proven all the same.
func (s *source) Probe(ctx context.Context) (connector.Probe, error) {
	e, err := s.find(ctx)
	if err != nil {
		return connector.Probe{}, err
	}
	namespace := ""
	if names := s.namespaces(); len(names) > 0 {
		namespace = names[0]
	}
	if _, err := e.repositories(ctx, namespace, 1, 1); err != nil && !identified(err) && !isNoNamespace(err) {
		return connector.Probe{}, err
	}
	return connector.Probe{Product: e.name(), Identity: s.key.ID}, nil
}

// namespaces are those that the scope names, none for all. A namespace has no
// slash, so it is what a prefix begins with.
func (s *source) namespaces() []string {
	var names []string
	seen := map[string]bool{}
	for _, prefix := range s.config.Scope {
		name, _, _ := strings.Cut(strings.Trim(prefix, "/"), "/")
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}
