package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Forms of a result.
const (
	asTable = "table"
	asJSON  = "json"
	asCSV   = "csv"
)

// outputType is how the flag is called among the types of flags.
const outputType = "form"

// output is the form of a command's result, out of those that it has.
type output struct {
	form  string
	forms []string
}

func (o *output) String() string { return o.form }

func (o *output) Type() string { return outputType }

// Set is called by the parser of flags.
func (o *output) Set(form string) error {
	if !slices.Contains(o.forms, form) {
		return fmt.Errorf("there is no form %q", form)
	}
	o.form = form
	return nil
}

// add adds the flag --output with the forms that the command has, table first.
func (o *output) add(c *cobra.Command, more ...string) {
	o.form, o.forms = asTable, append([]string{asTable}, more...)
	last := len(o.forms) - 1
	c.Flags().VarP(o, "output", "o", strings.Join(o.forms[:last], ", ")+" or "+o.forms[last])
	complete(c, "output", o.forms)
}

// complete completes the values of a flag.
func complete(c *cobra.Command, flag string, values []string) {
	// An error would say that the flag is missing or completed already: the
	// tests run every command.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}
