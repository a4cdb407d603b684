package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portolan"
)

func registryColumns() []column {
	return []column{
		{title: "ID", field: "Id"},
		{title: "NAME", field: "RegistryName", wide: 32},
		{title: "TYPE", field: "RegistryType"},
		{title: "HOST", field: "DomainName", wide: 40},
		{title: "USER", field: "UserName", wide: 24},
		{title: "IMAGES", field: "ImageCount"},
		{title: "STATUS", field: "SyncStatus", show: shownStatus},
		{title: "LAST READ", field: "LastSyncTime"},
		{title: "ERROR", field: "SyncErrorCode"},
		{field: "Paused", detail: true},
	}
}

// shownStatus is the status of a registry, and that nobody reads it.
func shownStatus(row map[string]any) string {
	status := text(row["SyncStatus"])
	if row["Paused"] == true {
		status += ", paused"
	}
	return status
}

// listFlags are the flags of registry list.
type listFlags struct {
	target
	form            output
	name            string
	types, notTypes []string
	stale           time.Duration
	exitCode        bool
	deleted         bool
	zone            string
}

func (s *shell) registryList() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List registries, or those that need attention",
		Long: `Lists registries. With --stale only those that need attention: the last reading
failed or is partial, or none ended within that time. Answers have times without
a zone: --time-zone must be the one that the server was started with.`,
		Example: `  portolan registry list --type harbor
  portolan registry list --stale 24h --exit-code    for an alarm: exit code 4 if any is listed
  portolan registry list --output csv > registries.csv
  portolan registry list --deleted    what registry restore can bring back`,
		Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.deleted {
				return s.listDeleted(c, &f)
			}
			return s.listRegistries(c.Context(), &f)
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.name, "name", "", "only where the name contains this")
	fs.StringSliceVar(&f.types, "type", nil, "only of this type (repeatable)")
	fs.StringSliceVar(&f.notTypes, "not-type", nil, "not of this type (repeatable)")
	fs.DurationVar(&f.stale, "stale", 0, "only those not read to their end within this time, or failing")
	fs.BoolVar(&f.exitCode, "exit-code", false, "exit with 4 if --stale lists any")
	fs.BoolVar(&f.deleted, "deleted", false, "those that were removed and can be restored; goes alone")
	addZone(fs, &f.zone)
	f.form.add(c, asJSON, asCSV)
	f.add(fs)
	complete(c, "type", typeNames())
	complete(c, "not-type", typeNames())
	return c
}

func (s *shell) listRegistries(ctx context.Context, f *listFlags) error {
	if f.exitCode && f.stale <= 0 {
		return usagef("--exit-code needs --stale, as in --stale 24h")
	}
	if err := knownTypes(f.types, f.notTypes); err != nil {
		return err
	}
	zone, err := s.serverZone(f.zone)
	if err != nil {
		return err
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	p := params{"RegistryNameLike": f.name}
	for name, list := range map[string][]string{"RegistryTypeInList": f.types, "RegistryTypeNotInList": f.notTypes} {
		for i, t := range list {
			p[fmt.Sprintf("%s.%d", name, i+1)] = t
		}
	}
	rows := server.rows(ctx, "PageImageRegistry", "List", p)
	l := listing{shell: s, form: f.form.form, columns: registryColumns(), empty: "No registries. Add one: portolan registry add --help"}
	if f.name != "" || f.types != nil || f.notTypes != nil {
		l.empty = "No registry matches."
	}
	w := window{now: time.Now(), stale: f.stale, zone: zone}
	if f.stale > 0 {
		rows = w.needing(rows)
		l.empty = "All registries are well."
	}
	n, err := l.print(rows)
	if w.ahead != "" {
		s.tell("warning: %s; is --time-zone that of the server?", w.ahead)
	}
	if err == nil && f.exitCode && n > 0 {
		return &exitError{ExitSyncFailed, fmt.Errorf("%s stale or failing", count(n, "registry is", "registries are"))}
	}
	return err
}

// listDeleted lists what can be restored.
func (s *shell) listDeleted(c *cobra.Command, f *listFlags) error {
	if f.name != "" || f.types != nil || f.notTypes != nil || f.stale != 0 || f.exitCode {
		return usagef("--deleted lists all that can be restored: it goes with --output only")
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	_, err = s.list(c.Context(), server, "DescribeDeletedImageRegistries", "List", nil, listing{form: f.form.form, empty: "No registry can be restored.", columns: []column{
		{title: "ID", field: "Id"},
		{title: "NAME", field: "RegistryName", wide: 32},
		{title: "TYPE", field: "RegistryType"},
		{title: "HOST", field: "DomainName", wide: 40},
		{title: "IMAGES", field: "ImageCount"},
		{title: "DELETED", field: "GmtDelete"},
		{title: "UNTIL", field: "GmtRestore"},
	}})
	return err
}

func typeNames() []string {
	var names []string
	for _, t := range portolan.RegistryTypes() {
		names = append(names, string(t))
	}
	return names
}

// knownTypes refuses types that no registry can have: the list of them would
// be empty without a reason.
func knownTypes(lists ...[]string) error {
	for _, t := range slices.Concat(lists...) {
		if !slices.Contains(typeNames(), t) {
			return usagef("there is no type %q; there are %s", t, strings.Join(typeNames(), ", "))
		}
	}
	return nil
}

// pullTypes are the types that are added by hand.
func pullTypes() []string {
	return slices.DeleteFunc(typeNames(), func(t string) bool { return !portolan.RegistryType(t).Pull() })
}
