package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"portolan"
)

// addFlags are the flags of registry add.
type addFlags struct {
	target
	settings
	password password
	token    tokenFile
	tokens   authTokenFiles

	noTest, noWait, quiet bool
}

func (s *shell) registryAdd() *cobra.Command {
	var f addFlags
	c := &cobra.Command{
		Use:   "add --type TYPE --host HOST",
		Short: "Test a registry, add it, and wait until it is read",
		Long: `Tests a registry, adds it, and waits for its first reading. Nothing is saved if
the test fails; --no-test saves it all the same, to be read when it can be.

Types: harbor, quay, and oci for anything else that speaks the OCI Distribution
API (distribution, zot, GitLab, Nexus, Artifactory, …). Quay is read with an
OAuth token with the scope repo:read for each organisation: --auth-token-file.
acr (Alibaba Cloud Container Registry, Personal and Enterprise Edition) is read
with an AccessKey, whose id is the user and whose secret is the password; with
a login of the registry itself only the repositories that ExtraParam (in import
files: repositories) names can be read.

CI/CD is for build systems: nothing is read, builds report their images with the
token that is told here, once. See portolan report --help.`,
		Example: `  portolan registry add --type harbor --host harbor.example.com --user 'robot$portolan' --password-file secret.txt
  portolan registry add --type quay --host quay.io --auth-token-file acme=acme.token
  portolan registry add --type acr --host acme-registry.cn-hangzhou.cr.aliyuncs.com --user LTAI5t… --password-file secret.txt
  portolan registry add --type oci --host 10.0.0.5 --port 5000 --http --name lab
  portolan registry add --type CI/CD --name jenkins --save-token jenkins.token`,
		Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			f.given = givenFlags(c.Flags())
			return s.addRegistry(c.Context(), &f)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.Type, "type", "", "harbor, quay, acr, oci or CI/CD (required)")
	f.settings.add(fs)
	f.password.add(fs)
	f.tokens.add(fs)
	f.token.add(fs, "for CI/CD: write the token to this file (mode 0600) instead of showing it")
	fs.BoolVar(&f.noTest, "no-test", false, "save it without a test")
	fs.BoolVar(&f.noWait, "no-wait", false, "do not wait for the first reading")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "print only the id")
	f.target.add(fs)
	complete(c, "type", typeNames())
	return c
}

func (s *shell) addRegistry(ctx context.Context, f *addFlags) (err error) {
	if f.Type == string(portolan.CICD) {
		return s.addCI(ctx, f)
	}
	if f.Type != "" && !slices.Contains(pullTypes(), f.Type) {
		return usagef("--type: %q is not one of %s", f.Type, strings.Join(typeNames(), ", "))
	}
	if f.Type == "" || f.Host == "" {
		return usagef("say what the registry is and where: --type harbor --host harbor.example.com")
	}
	if err := f.zero(); err != nil {
		return err
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	if f.Password, err = s.readPassword(ctx, f.password, f.User != "", "Password of "+f.User+": "); err != nil {
		return err
	}
	if f.AuthTokens, err = s.readAuthTokens(f.tokens); err != nil {
		return err
	}
	p, err := f.params(".")
	if err != nil {
		return err
	}
	if f.Password != "" || f.AuthTokens != nil {
		s.warnPlain(server)
	}
	if !f.noTest {
		if err := s.testRegistry(ctx, server, p, f.quiet); err != nil {
			return err
		}
	}
	id, err := server.add(ctx, p)
	if err != nil {
		return err
	}
	if f.quiet {
		s.print("%d\n", id)
	} else {
		s.print("Added registry %d.\n", id)
	}
	if f.noWait {
		return nil
	}
	l, err := s.wait(ctx, server, id, "")
	if err != nil {
		return err
	}
	return s.result(l)
}

// add adds a registry and answers its id.
func (c *client) add(ctx context.Context, p params) (int64, error) {
	var answer struct {
		Data struct {
			ID int64 `json:"Id"`
		}
	}
	err := c.call(ctx, "AddPrivateRegistry", p, &answer)
	return answer.Data.ID, err
}

// steps is what TestImageRegistry answers.
type steps struct {
	Success          bool
	Product, Version string
	Steps            []struct {
		Name, Status, Message, Remedy string
		Millis                        int64
	}
}

// testRegistry tests a registry and shows the steps; quiet shows only a
// failure.
func (s *shell) testRegistry(ctx context.Context, c *client, p params, quiet bool) error {
	_, t, err := s.tryRegistry(ctx, c, p)
	if err != nil {
		return err
	}
	if quiet && t.Success {
		return nil
	}
	s.showSteps(t)
	return t.outcome()
}

// outcome is an error unless every step is ok.
func (t *steps) outcome() error {
	if !t.Success {
		return &exitError{ExitTestFailed, errors.New("the test failed")}
	}
	return nil
}

// tryRegistry has a registry tested, and answers the steps as they came and
// as they are.
func (s *shell) tryRegistry(ctx context.Context, c *client, p params) (json.RawMessage, *steps, error) {
	s.line.say("Testing …")
	defer s.line.done()
	var answer struct{ Data json.RawMessage }
	if err := c.call(ctx, "TestImageRegistry", p, &answer); err != nil {
		return nil, nil, err
	}
	t := new(steps)
	if err := json.Unmarshal(answer.Data, t); err != nil {
		return nil, nil, fmt.Errorf("the answer to TestImageRegistry is not in its documented form: %w", err)
	}
	return answer.Data, t, nil
}

func (s *shell) showSteps(t *steps) {
	w := tabwriter.NewWriter(s.err, 0, 0, 2, ' ', 0)
	remedy := ""
	for _, step := range t.Steps {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d ms\t%s\n", step.Name, step.Status, step.Millis, step.Message)
		if step.Remedy != "" {
			remedy = step.Remedy
		}
	}
	_ = w.Flush() // standard error has no one to tell
	if t.Product != "" {
		s.tell("It is %s.", strings.TrimSpace(t.Product+" "+t.Version))
	}
	if remedy != "" {
		s.tell("What to do: %s", remedy)
	}
}
