package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"portolan/internal/app"
	"portolan/internal/rpc"
	"portolan/internal/sas"
)

// callFlags are the flags of call; parameters of the operation start with a
// capital letter and are not among them.
type callFlags struct {
	target
	dryRun  bool
	version string
}

func (s *shell) call() *cobra.Command {
	var f callFlags
	c := &cobra.Command{
		Use:   "call PRODUCT OPERATION [--Name value]...",
		Short: "Call any operation of the API",
		Long: `Calls an operation and prints its answer. Parameters are flags by their names:
--Name value, or --Name=value. A list repeats its flag, or counts: --Name.1 a
--Name.2 b. --Name=@FILE reads the value from a file, @- from standard input;
@@ stands for a value that begins with @.

The exit code is 1 if the server refuses.`,
		Example: `  portolan call Sas PageImageRegistry --RegistryTypeInList harbor --PageSize 100
  portolan call sas AddPrivateRegistry --RegistryType harbor --DomainName harbor.example.com --UserName 'robot$portolan' --Password=@secret.txt
  portolan call Sas --help                          lists the operations
  portolan call Sas AddPrivateRegistry --help       shows the parameters`,
		DisableFlagParsing: true, // the operation's parameters are not known to it
		ValidArgsFunction:  completeCall,
		RunE:               func(c *cobra.Command, args []string) error { return s.runCall(c, &f, args) },
	}
	fs := c.Flags()
	fs.BoolVar(&f.dryRun, "dry-run", false, "print the signed request instead of sending it")
	fs.StringVar(&f.version, "api-version", "", "version of the API, for an operation that this program does not know")
	f.add(fs)
	return c
}

// endpoints lists the operations that this program knows.
func endpoints() []rpc.Endpoint { return app.Endpoints(&sas.Service{}) }

func lookup(product, name string) (*rpc.Endpoint, bool) {
	all := endpoints()
	i := slices.IndexFunc(all, func(e rpc.Endpoint) bool {
		return strings.EqualFold(e.Product, product) && strings.EqualFold(e.Name, name)
	})
	if i < 0 {
		return nil, false
	}
	return &all[i], true
}

func (s *shell) runCall(c *cobra.Command, f *callFlags, args []string) error {
	given, rest, err := split(args)
	if err != nil {
		return err
	}
	fs := c.Flags()
	if err := fs.Parse(rest); err != nil {
		return usagef("%w\nSee %s --help.", plainly(err), c.CommandPath())
	}
	words := fs.Args()
	if help, err := fs.GetBool("help"); err == nil && help {
		return s.callHelp(c, words)
	}
	if len(words) != 2 {
		return usagef("say the product and the operation, as in %s Sas PageImageRegistry", c.CommandPath())
	}
	op, e, err := s.operation(words[0], words[1], f.version)
	if err != nil {
		return err
	}
	p, err := s.params(e, given)
	if err != nil {
		return err
	}
	return s.sendCall(c.Context(), f, op, p)
}

func (s *shell) sendCall(ctx context.Context, f *callFlags, op operation, p params) error {
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	if f.dryRun {
		return s.showRequest(server, op, p)
	}
	if p["Password"] != "" || strings.Contains(p["ExtraParam"], "authToken") {
		s.warnPlain(server)
	}
	body, err := server.send(ctx, op, p)
	if err != nil {
		return err
	}
	return s.answer(body)
}

// argument is a parameter on the command line.
type argument struct{ name, value string }

// split takes the parameters of the operation, which start with a capital
// letter, out of the arguments.
func split(args []string) (given []argument, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag || name == "" || name[0] < 'A' || name[0] > 'Z' {
			rest = append(rest, args[i])
			continue
		}
		name, value, has := strings.Cut(name, "=")
		if !has {
			if i++; i == len(args) || strings.HasPrefix(args[i], "--") {
				return nil, nil, usagef("--%s has no value; a value that begins with -- is given as --%s=--value", name, name)
			}
			value = args[i]
		}
		given = append(given, argument{name, value})
	}
	return given, rest, nil
}

// operation finds what to call. One that this program does not know is called
// all the same: the server may be newer.
func (s *shell) operation(product, name, version string) (operation, *rpc.Endpoint, error) {
	e, known := lookup(product, name)
	if known {
		op := operation{e.Name, e.Version}
		if version != "" {
			op.version = version
		}
		return op, e, nil
	}
	if version == "" {
		i := slices.IndexFunc(endpoints(), func(e rpc.Endpoint) bool { return strings.EqualFold(e.Product, product) })
		if i < 0 {
			return operation{}, nil, usagef("there is no product %q; this program knows Sas (give --api-version to call another)", product)
		}
		version = endpoints()[i].Version
	}
	s.tell("warning: this program does not know the operation %s", name)
	return operation{name, version}, nil, nil
}

// params turns what was given into parameters: lists are numbered, values
// that begin with @ are read.
func (s *shell) params(e *rpc.Endpoint, given []argument) (params, error) {
	count := map[string]int{}
	for _, a := range given {
		count[a.name]++
	}
	p, next := params{}, map[string]int{}
	for _, a := range given {
		value, err := s.value(a)
		if err != nil {
			return nil, err
		}
		known, list := describe(e, a.name)
		if e != nil && !known {
			s.tell("warning: %s has no parameter %s", e.Name, a.name)
		}
		name := a.name
		if count[name] > 1 || list && !strings.HasPrefix(strings.TrimSpace(value), "[") {
			next[name]++
			name += "." + strconv.Itoa(next[name])
		}
		p[name] = value
	}
	return p, nil
}

// describe tells whether an operation has a parameter, and whether that is a
// list and given without a number.
func describe(e *rpc.Endpoint, name string) (known, list bool) {
	if e == nil {
		return false, false
	}
	base, _, numbered := strings.Cut(name, ".")
	i := slices.IndexFunc(e.Params, func(p rpc.Param) bool { return p.Name == base })
	if i < 0 || numbered && !e.Params[i].List {
		return false, false
	}
	return true, e.Params[i].List && !numbered
}

// secretParam tells the parameters that are nothing but a secret.
func secretParam(name string) bool { return name == "Password" || name == "Token" }

const maxValue = 1 << 20 // more than the server takes

func (s *shell) value(a argument) (string, error) {
	path, file := strings.CutPrefix(a.value, "@")
	if !file {
		if secretParam(a.name) && a.value != "" {
			s.tell("warning: others on this machine can see a secret on the command line; use --%s=@FILE", a.name)
		}
		return a.value, nil
	}
	if strings.HasPrefix(path, "@") {
		return path, nil
	}
	return s.readValue("--"+a.name, path)
}

// readValue reads a file, or standard input for "-", without the line's end.
func (s *shell) readValue(what, path string) (string, error) {
	in := s.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxValue+1))
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	if len(b) > maxValue {
		return "", usagef("%s: the file has more than %d bytes", what, maxValue)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// showRequest prints what would be sent. Secrets are left out: the password
// and tokens of a registry, the token of a report, and the signing key, which is never sent.
func (s *shell) showRequest(c *client, op operation, p params) error {
	signed, err := c.sign(op, p)
	if err != nil {
		return err
	}
	s.print("%s %s HTTP/1.1\nHost: %s\n", signed.Method, signed.Path, signed.Host)
	for _, name := range slices.Sorted(maps.Keys(signed.Header)) {
		value := signed.Header.Get(name)
		if name == "X-Acs-Security-Token" {
			value = hidden
		}
		s.print("%s: %s\n", name, value)
	}
	shown := params{}
	for name, value := range p {
		if (secretParam(name) || name == "ExtraParam" && strings.Contains(value, "authToken")) && value != "" {
			value = hidden
		}
		shown[name] = value
	}
	s.print("\n%s\n", shown.encode())
	return nil
}

const hidden = "HIDDEN"

// callOverview shows the help of the command, unless a product is named, and
// lists the operations.
func (s *shell) callOverview(c *cobra.Command, words []string) error {
	list := slices.DeleteFunc(endpoints(), func(e rpc.Endpoint) bool { return len(words) == 1 && !strings.EqualFold(e.Product, words[0]) })
	if len(list) == 0 {
		return usagef("there is no product %q; this program knows %s", words[0], sas.Product)
	}
	if len(words) == 0 {
		if err := c.Help(); err != nil {
			return err
		}
		s.print("\n")
	}
	s.print("Operations (* only Portolan has):\n")
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	for _, e := range list {
		_, _ = fmt.Fprintf(w, "  %s\t%s%s\t%s\n", e.Product, e.Name, map[bool]string{true: "*"}[e.Extension], e.Summary) // told by Flush
	}
	return w.Flush()
}

// callHelp shows the parameters of an operation.
func (s *shell) callHelp(c *cobra.Command, words []string) error {
	if len(words) < 2 {
		return s.callOverview(c, words)
	}
	e, known := lookup(words[0], words[1])
	if !known {
		return usagef("this program does not know the operation %s of %s", words[1], words[0])
	}
	s.print("%s\n", e.Summary)
	if e.Doc != "" {
		s.print("\n%s\n", e.Doc)
	}
	s.print("\nParameters:\n")
	for _, p := range e.Params {
		kind := p.Type
		if p.List {
			kind = "list of " + kind
		}
		if p.Required {
			kind += ", required"
		}
		if p.Default != "" {
			kind += ", default " + p.Default
		}
		s.print("  --%s (%s)\n      %s\n", p.Name, kind, p.Doc)
	}
	return nil
}

// completeCall completes the product, the operation, then its parameters.
func completeCall(_ *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	var words []string
	switch len(args) {
	case 0:
		words = []string{sas.Product}
	case 1:
		for _, e := range endpoints() {
			words = append(words, e.Name+"\t"+e.Summary)
		}
	default:
		if e, known := lookup(args[0], args[1]); known {
			for _, p := range e.Params {
				words = append(words, "--"+p.Name+"\t"+p.Doc)
			}
		}
	}
	words = slices.DeleteFunc(words, func(w string) bool { return !strings.HasPrefix(w, toComplete) })
	return words, cobra.ShellCompDirectiveNoFileComp
}
