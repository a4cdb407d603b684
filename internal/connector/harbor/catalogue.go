package harbor

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// errStop ends a walk because the consumer wants no more.
var errStop = errors.New("stop")

const (
	needsProjects     = "project: list"
	needsRepositories = "repository: list"
)

// Repositories lists the repositories by name: those of the projects in the
// scope one project after the other, else all at once.
func (s *source) Repositories(ctx context.Context, after string) iter.Seq2[connector.Repository, error] {
	return func(yield func(connector.Repository, error) bool) {
		projects, err := s.projects(ctx)
		if err != nil {
			yield(connector.Repository{}, err)
			return
		}
		l := &lister{source: s, projects: projects, yield: yield, given: map[string]struct{}{}}
		if err := l.list(ctx, parsePlace(after)); err != nil && !errors.Is(err, errStop) {
			yield(connector.Repository{}, err)
		}
	}
}

// projects is what is known of the projects to read.
type projects struct {
	visibility map[string]string
	// all is set if every project that shows is read, else those of names.
	all   bool
	names []string
	// failed is why one of them cannot be read.
	failed error
}

// projects asks for the visibility of what is to be read: a page of a hundred
// projects, or each project of the scope.
func (s *source) projects(ctx context.Context) (projects, error) {
	if names := s.scopeProjects(); len(names) > 0 {
		return s.eachProject(ctx, names)
	}
	p := projects{visibility: map[string]string{}}
	c := call{path: "/api/v2.0/projects", query: "sort=name", doing: "listing the projects", needs: needsProjects}
	for range maxWalks {
		_, err := walk(ctx, s.api, c, place{}, projectEntry.key, func(e projectEntry, _ place) error {
			p.visibility[e.Name] = e.visibility()
			return nil
		})
		if errors.Is(err, errChanged) {
			continue
		}
		if err := tolerate(err); err != nil {
			return p, err
		}
		p.names, err = s.ownProject(ctx, p.visibility)
		p.all = len(p.names) == 0
		return p, err
	}
	return p, s.api.truncated(c, "kept changing")
}

// tolerate forgets that visibility may not be asked for: it is not needed.
func tolerate(err error) error {
	if e, ok := errors.AsType[*connector.Error](err); ok && e.Class == portolan.Forbidden {
		return nil
	}
	return err
}

// eachProject asks for single projects. One that does not exist fails the
// catalogue, but only after the others are listed: it may be a slip of the
// pen, and then an empty list would look like all is well.
func (s *source) eachProject(ctx context.Context, names []string) (projects, error) {
	p := projects{visibility: map[string]string{}}
	for _, name := range names {
		var e projectEntry
		c := call{path: project(name), doing: "reading project " + name, needs: "project: read"}
		_, err := s.api.get(ctx, c, &e)
		if errors.Is(err, connector.ErrNotExist) {
			p.failed = connector.Errorf(portolan.CannotEnumerate, "%s has no project %q, which the scope names.", s.api.base.Host, name).
				WithRemedy("Correct the namespaces or repositories of the registry, or create the project.")
			continue
		}
		if err := tolerate(err); err != nil {
			return p, err
		}
		p.visibility[name] = e.visibility()
		p.names = append(p.names, name)
	}
	return p, nil
}

// scopeProjects are the projects that the scope names, or the one that the
// robot belongs to. Harbor lists the public projects of all others, too.
func (s *source) scopeProjects() []string {
	var names []string
	for _, prefix := range s.scope {
		name, _, _ := strings.Cut(strings.Trim(prefix, "/"), "/")
		names = append(names, name)
	}
	if own, ok := strings.CutPrefix(s.api.credential.UserName, robotPrefix); ok && len(names) == 0 {
		if name, _, found := strings.Cut(own, "+"); found {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ownProject is the project of a robot whose name has another prefix: it is
// prefix, project, +, name, and only a robot of a project has a plus sign.
func (s *source) ownProject(ctx context.Context, visible map[string]string) ([]string, error) {
	before, _, found := strings.Cut(s.api.credential.UserName, "+")
	if !found {
		return nil, nil
	}
	known, err := s.ready(ctx)
	if err != nil || !known.robot {
		return nil, err
	}
	var names []string
	for name := range visible {
		if strings.HasSuffix(before, name) {
			names = append(names, name)
		}
	}
	if len(names) == 1 {
		return names, nil
	}
	return nil, connector.Errorf(portolan.CannotEnumerate, "It is not clear which project the robot account %q belongs to.", s.api.credential.UserName).
		WithRemedy("Name the project in the namespaces of the registry.")
}

// lister hands on one catalogue.
type lister struct {
	*source
	projects projects
	yield    func(connector.Repository, error) bool
	given    map[string]struct{}
}

func (l *lister) list(ctx context.Context, after place) error {
	if l.projects.all {
		c := call{path: "/api/v2.0/repositories", query: "sort=name", doing: "listing the repositories", needs: needsRepositories}
		err := l.walk(ctx, c, after)
		if !errors.Is(err, connector.ErrNotExist) {
			return err
		}
		// Before 2.3 there is no list of all repositories (unverified).
		l.projects.names = slices.Sorted(maps.Keys(l.projects.visibility))
	}
	return l.listProjects(ctx, after)
}

func (l *lister) listProjects(ctx context.Context, after place) error {
	reached, _, _ := strings.Cut(after.key, "/")
	failed := l.projects.failed
	for _, name := range l.projects.names {
		if name < reached {
			continue
		}
		from := place{}
		if name == reached {
			from = after
		}
		c := call{path: project(name) + "/repositories", query: "sort=name", doing: "listing the repositories of project " + name, needs: needsRepositories}
		err := l.walk(ctx, c, from)
		if err != nil && connector.ClassOf(err) != portolan.Forbidden {
			return err
		}
		failed = cmp.Or(err, failed)
	}
	return failed
}

// walk lists until a walk was undisturbed. A repository that went meanwhile
// was handed on nevertheless; its own list will be empty.
func (l *lister) walk(ctx context.Context, c call, after place) error {
	for range maxWalks {
		_, err := walk(ctx, l.api, c, after, repositoryEntry.key, l.visit)
		if !errors.Is(err, errChanged) {
			return err
		}
		after = place{}
	}
	return l.api.truncated(c, "kept changing")
}

func (l *lister) visit(e repositoryEntry, at place) error {
	if _, twice := l.given[e.Name]; twice || !portolan.InScope(e.Name, l.scope) {
		return nil
	}
	l.given[e.Name] = struct{}{}
	name, _, _ := strings.Cut(e.Name, "/")
	r := connector.Repository{
		Path:        e.Name,
		Expect:      e.expect(),
		Fingerprint: e.fingerprint(),
		Visibility:  l.projects.visibility[name],
		Cursor:      at.String(),
	}
	if portolan.InScope(name, l.scope) {
		r.Group = name // else a list of the whole project would hold too much
	}
	if !l.yield(r, nil) {
		return errStop
	}
	return nil
}
