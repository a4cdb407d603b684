package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/term"
)

// password says where a password comes from: never from the command line,
// where others on the machine can see it.
type password struct {
	file  string
	stdin bool
	ask   bool
}

func (p *password) add(fs *pflag.FlagSet) {
	fs.StringVar(&p.file, "password-file", "", "file with the password")
	fs.BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input")
	fs.BoolVar(&p.ask, "ask-password", false, "ask for the password")
}

// read answers the password. It asks on a terminal when ask says so, or when a
// password is needed and nothing says where it is.
func (s *shell) readPassword(ctx context.Context, p password, needed bool, prompt string) (string, error) {
	switch {
	case p.file != "" && p.stdin || p.ask && (p.file != "" || p.stdin):
		return "", usagef("give one of --password-file, --password-stdin and --ask-password")
	case p.file != "":
		return s.notEmpty("--password-file", p.file)
	case p.stdin:
		return s.notEmpty("--password-stdin", "-")
	case !p.ask && !needed:
		return "", nil
	}
	f, ok := s.in.(*os.File)
	if !ok || !terminal(f) {
		return "", usagef("a password is needed, and there is no terminal to ask on: use --password-file or --password-stdin")
	}
	return s.prompt(ctx, f, prompt)
}

// notEmpty reads a password that is there.
func (s *shell) notEmpty(what, path string) (string, error) {
	text, err := s.readValue(what, path)
	if err == nil && text == "" {
		err = usagef("%s: the password is empty", what)
	}
	return text, err
}

// prompt asks on a terminal, without echo. An interrupt ends the wait and
// leaves the terminal as it was.
func (s *shell) prompt(ctx context.Context, f *os.File, prompt string) (string, error) {
	fd := int(f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	_, _ = fmt.Fprint(s.err, prompt)
	defer s.tell("")
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a read of a terminal cannot be called off: it ends with the program
		b, err := term.ReadPassword(fd)
		answers <- answer{b, err}
	}()
	select {
	case a := <-answers:
		if a.err != nil {
			return "", fmt.Errorf("read the password: %w", a.err)
		}
		return string(a.text), nil
	case <-ctx.Done():
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}
