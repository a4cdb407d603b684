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
	"golang.org/x/term"

	"portolan"
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
	s := &shell{in: stdin, out: stdout, err: stderr, env: env}
	root := s.root()
	started := false
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran, err := root.ExecuteContextC(ctx)
	if err != nil && !started {
		err = usagef("%w\nSee %s --help.", err, ran.CommandPath())
	}
	return s.exit(ctx, err)
}

// shell is what a command works in.
type shell struct {
	in  io.Reader
	out io.Writer
	err io.Writer
	env func(string) string
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
	switch {
	case coded:
		code, text = e.code, e.Error()
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
	_, _ = fmt.Fprintln(s.err, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}

// print writes a part of the result.
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
		s.demo(), s.serve(), s.registry(), s.image(), s.call(), s.admin(), s.configure(), s.doctor(), s.version(),
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
