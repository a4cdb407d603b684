package inventory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

// Steps of a test, in order.
const (
	StepAddress        = "address"
	StepTCP            = "tcp"
	StepTLS            = "tls"
	StepAuthentication = "authentication"
	StepPermission     = "permission"
	StepCatalogue      = "catalogue"
	StepTags           = "tags"
	StepManifest       = "manifest"
)

// States of a step.
const (
	StepOK      = "ok"
	StepFailed  = "failed"
	StepSkipped = "skipped"
)

// Step is one step of a test.
type Step struct {
	Name    string
	Status  string
	Took    time.Duration
	Message string
	Remedy  string
}

// TestResult is what a test found out.
type TestResult struct {
	Product, Version string
	Steps            []Step
}

// OK reports whether no step failed.
func (t *TestResult) OK() bool {
	for _, s := range t.Steps {
		if s.Status == StepFailed {
			return false
		}
	}
	return true
}

// Dialer tries the way to a registry, one step at a time.
type Dialer interface {
	// Address resolves the host and answers what would be dialled.
	Address(ctx context.Context, r *portolan.Registry) (string, error)
	TCP(ctx context.Context, r *portolan.Registry) (string, error)
	TLS(ctx context.Context, r *portolan.Registry) (string, error)
}

// TestSaved tests a registry as it is saved.
func (s *Service) TestSaved(ctx context.Context, account, id int64) (*TestResult, error) {
	src, err := s.DB.Source(ctx, account, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, portolan.ErrRegistryNotExist
	}
	if err != nil {
		return nil, err
	}
	if !src.Registry.Type.Pull() {
		return nil, portolan.Refused("UnsupportedOperation", "A registry of type CI/CD is not read: it reports its images itself.")
	}
	c, err := s.credential(&src)
	if err != nil {
		return nil, err
	}
	return s.Test(ctx, src.Registry, c), nil
}

// Test tries to read a registry. A step that fails skips those after it.
func (s *Service) Test(ctx context.Context, r *portolan.Registry, c portolan.Credential) *TestResult {
	t := &test{Service: s, registry: r, credential: c, result: &TestResult{}}
	defer t.close()
	steps := []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{StepAddress, func(ctx context.Context) (string, error) { return s.Dialer.Address(ctx, r) }},
		{StepTCP, func(ctx context.Context) (string, error) { return s.Dialer.TCP(ctx, r) }},
		{StepTLS, t.tls},
		{StepAuthentication, t.authentication},
		{StepPermission, t.permission},
		{StepCatalogue, t.catalogue},
		{StepTags, t.tags},
		{StepManifest, t.manifest},
	}
	failed := false
	for _, step := range steps {
		if failed {
			t.result.Steps = append(t.result.Steps, Step{Name: step.name, Status: StepSkipped, Message: "a step before it failed"})
			continue
		}
		failed = t.run(ctx, step.name, step.do) == StepFailed
	}
	return t.result
}

// test is a test under way.
type test struct {
	*Service
	registry   *portolan.Registry
	credential portolan.Credential
	opened     Opened
	result     *TestResult
	first      *connector.Repository
	listErr    error
	row        *connector.Row
}

// skipError marks a step that there is nothing to do for.
type skipError string

func (e skipError) Error() string { return string(e) }

func (t *test) run(ctx context.Context, name string, do func(context.Context) (string, error)) string {
	start := t.Now()
	message, err := do(ctx)
	step := Step{Name: name, Status: StepOK, Message: message, Took: t.Now().Sub(start)}
	skip, skipped := errors.AsType[skipError](err)
	switch {
	case skipped:
		step.Status, step.Message = StepSkipped, string(skip)
	case err != nil:
		step.Status = StepFailed
		step.Message, step.Remedy = t.explain(ctx, err)
	}
	t.result.Steps = append(t.result.Steps, step)
	return step.Status
}

func (t *test) explain(ctx context.Context, err error) (message, remedy string) {
	if e, ok := errors.AsType[*connector.Error](err); ok {
		return e.Message, e.Remedy
	}
	if throttled, ok := errors.AsType[*connector.ThrottledError](err); ok {
		return throttled.Error() + ".", "Try again later; a reading waits by itself."
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "The time for the test is over.", "Allow more with TimeoutSeconds, up to 60."
	}
	t.Log.ErrorContext(ctx, "a test of a registry failed for a reason of Portolan's own", "registry", t.registry.Address(), "error", err)
	return "The test failed for a reason of Portolan's own; its log tells more.", ""
}

func (t *test) close() {
	if t.opened.Close != nil {
		t.opened.Close()
	}
}

func (t *test) tls(ctx context.Context) (string, error) {
	if t.registry.Protocol == portolan.ProtocolHTTP {
		return "", skipError("the protocol is HTTP")
	}
	return t.Dialer.TLS(ctx, t.registry)
}

func (t *test) authentication(ctx context.Context) (string, error) {
	var err error
	if t.opened, err = t.Open(t.registry, t.credential); err != nil {
		return "", err
	}
	p, err := t.opened.Source.Probe(ctx)
	if err != nil {
		return "", err
	}
	t.result.Product, t.result.Version = p.Product, p.Version
	return strings.Join(append([]string{"identified as " + p.Identity}, p.Warnings...), "; "), nil
}

// permission begins to list: what the registry refuses is the permission's
// step, everything else the catalogue's.
func (t *test) permission(ctx context.Context) (string, error) {
	for repository, err := range t.opened.Source.Repositories(ctx, "") {
		if err == nil && portolan.ExcludesPath(t.registry.Extra.Excludes, repository.Path) {
			continue
		}
		if err != nil {
			t.listErr = err
		} else {
			t.first = &repository
		}
		break
	}
	switch connector.ClassOf(t.listErr) {
	case portolan.Forbidden, portolan.BadCredentials, portolan.CannotEnumerate:
		if t.listErr != nil {
			return "", t.listErr
		}
	default:
	}
	return "may list repositories", nil
}

func (t *test) catalogue(context.Context) (string, error) {
	if t.listErr != nil {
		return "", t.listErr
	}
	if t.first == nil {
		return "the registry is empty, or nothing in it is in the scope", nil
	}
	return "the first repository is " + t.first.Path, nil
}

func (t *test) tags(ctx context.Context) (string, error) {
	if t.first == nil {
		return "", skipError("there is no repository")
	}
	l := &connector.Listing{Repository: *t.first, Announced: -1, Known: nothingKnown{}}
	for row, err := range t.opened.Source.Images(ctx, l) {
		if err != nil {
			return "", err
		}
		t.row = &row
		break
	}
	if t.row == nil {
		return t.first.Path + " is empty", nil
	}
	return fmt.Sprintf("%s has %d rows on its first page", t.first.Path, l.Listed), nil
}

func (t *test) manifest(context.Context) (string, error) {
	if t.row == nil {
		return "", skipError("there is no image")
	}
	if t.row.Err != nil {
		return "", t.row.Err
	}
	return fmt.Sprintf("%s is of kind %s", t.row.Digest, t.row.Kind), nil
}

// nothingKnown makes a source fetch everything.
type nothingKnown struct{}

func (nothingKnown) Facts(context.Context, []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	return nil, nil
}

func (nothingKnown) Resolved(string) (portolan.Digest, bool) { return "", false }
