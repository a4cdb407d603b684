// Package cli is the portolan command, one file a subcommand.
//
// It knows flags, the environment, terminals and exit codes, and it speaks to
// a server as any other client does: signed, over HTTP. Only serve, demo,
// admin and doctor touch a store.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"portolan"
	"portolan/internal/app"
)

// Exit codes of the command.
const (
	ExitOK = 0
	// ExitFailed: the server refused, or something else went wrong.
	ExitFailed = 1
	// ExitUsage: the command line is wrong; nothing was done.
	ExitUsage = 2
	// ExitTestFailed: the test of a registry failed.
	ExitTestFailed = 3
	// ExitSyncFailed: a reading failed or is partial, or a registry is stale.
	ExitSyncFailed = 4
	// ExitInterrupted: a signal ended a wait.
	ExitInterrupted = 130
)

// Main runs the command with its arguments, the program's name left out, and
// answers its exit code. env is os.Getenv.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env func(string) string) int {
	out := &result{to: stdout}
	s := &shell{in: stdin, out: out, err: stderr, env: env, line: &progress{to: stderr, on: terminal(stderr)}}
	root := s.root()
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	ran, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = usagef("%w\nSee %s --help.", plainly(err), ran.CommandPath())
	}
	if err == nil && out.err != nil {
		err = fmt.Errorf("write the result: %w", out.err)
	}
	return s.exit(ctx, err)
}

// plainly says in words what a flag takes, where its parser quotes Go.
func plainly(err error) error {
	bad, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	wants := map[string]string{
		"int": "a whole number", "int64": "a whole number", "bool": "true or false", "duration": "a time such as 90s, 30m or 24h", "stringSlice": "a comma-separated list",
		outputType: "one of " + bad.GetFlag().Usage,
	}[bad.GetFlag().Value.Type()]
	if wants == "" {
		return err
	}
	return fmt.Errorf("--%s: %q is not %s", bad.GetFlag().Name, bad.GetValue(), wants)
}

// result is standard output. It keeps the first error, so that a result that
// could not be written never passes for one that was.
type result struct {
	to  io.Writer
	err error
}

func (r *result) Write(b []byte) (int, error) {
	n, err := r.to.Write(b)
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// shell is what a command works in.
type shell struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) string
	// line says how a wait goes.
	line *progress
}

// exitError ends the command with a code. err is nil when all has been told.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Errorf(format, args...)}
}

// exit tells an error and answers the code that it stands for.
func (s *shell) exit(ctx context.Context, err error) int {
	if err == nil {
		return ExitOK
	}
	code, text := ExitFailed, err.Error()
	e, coded := errors.AsType[*exitError](err)
	_, misconfigured := errors.AsType[*app.ConfigError](err)
	switch {
	case coded:
		code, text = e.code, e.Error()
	case misconfigured:
		code = ExitUsage
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		code, text = ExitInterrupted, "interrupted"
	default:
		if refused, ok := errors.AsType[*portolan.Error](err); ok {
			text = refused.Error() // what is below is for a log
		}
	}
	if text != "" {
		s.tell("portolan: %s", text)
	}
	return code
}

// tell writes a line for a person.
func (s *shell) tell(format string, args ...any) {
	s.line.done()
	_, _ = fmt.Fprintln(s.err, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// print writes a part of the result. Main tells if that fails.
func (s *shell) print(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format, args...) }

// terminal reports whether a person is at the other end.
func terminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s *shell) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "portolan",
		Short: "The security inventory of every container-image registry",
		Long: `Portolan keeps the inventory of all container-image registries of an
organisation, and answers the API of Alibaba Cloud Security Center.

Start here:
  portolan demo                    see it work, with sample images
  portolan serve --data DIR        run a server
  portolan registry add --help     add your registries
  portolan doctor                  find out what is wrong`,
		Version:           portolan.Version,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              noSuchCommand,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.SetVersionTemplate("portolan {{.Version}}\n")
	c.AddCommand(
		s.demo(), s.serve(), s.registry(), s.image(), s.report(), s.webhook(), s.call(), s.agent(), s.admin(), s.configure(), s.doctor(), s.version(),
	)
	return c
}

// group is a command that only has subcommands.
func group(c *cobra.Command, sub ...*cobra.Command) *cobra.Command {
	c.Args = noSuchCommand
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(sub...)
	return c
}

// takes checks the number of arguments.
func takes(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == n:
			return nil
		case n == 0:
			return fmt.Errorf("%s takes no arguments: what is %q?", c.CommandPath(), args[0])
		}
		return fmt.Errorf("%s takes %s, not %d: %s", c.CommandPath(), count(n, "argument", "arguments"), len(args), c.UseLine())
	}
}

func noSuchCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("there is no command %q", c.CommandPath()+" "+args[0])
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += fmt.Sprintf("; did you mean %q?", c.CommandPath()+" "+near[0])
	}
	return errors.New(text)
}

func (s *shell) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: takes(0),
		Run: func(*cobra.Command, []string) { s.print("portolan %s\n", portolan.Version) },
	}
}
