package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
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
		{title: "STATUS", field: "SyncStatus"},
		{title: "LAST READ", field: "LastSyncTime"},
		{title: "ERROR", field: "SyncErrorCode"},
	}
}

// listFlags are the flags of registry list.
type listFlags struct {
	target
	form, name      string
	types, notTypes []string
	stale           time.Duration
	exitCode        bool
	zone            string
}

func (s *shell) registryList() *cobra.Command {
	var f listFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List registries, or those that need attention",
		Long: `Lists registries. With --stale only those that need attention: the last reading
failed or is partial, or none ended within that time.`,
		Example: `  portolan registry list --type harbor
  portolan registry list --stale 24h --exit-code    for an alarm: exit code 4 if any is listed
  portolan registry list --output csv > registries.csv`,
		Args: takes(0),
		RunE: func(c *cobra.Command, _ []string) error { return s.listRegistries(c.Context(), &f) },
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.StringVar(&f.name, "name", "", "only where the name contains this")
	fs.StringSliceVar(&f.types, "type", nil, "only of this type (repeatable)")
	fs.StringSliceVar(&f.notTypes, "not-type", nil, "not of this type (repeatable)")
	fs.DurationVar(&f.stale, "stale", 0, "only those not read to their end within this time, or failing")
	fs.BoolVar(&f.exitCode, "exit-code", false, "exit with 4 if --stale lists any")
	fs.StringVar(&f.zone, "time-zone", "", "time zone of the server (default $PORTOLAN_TIME_ZONE or UTC)")
	addOutput(fs, &f.form)
	f.add(fs)
	return c
}

func (s *shell) listRegistries(ctx context.Context, f *listFlags) error {
	if f.exitCode && f.stale <= 0 {
		return usagef("--exit-code needs --stale, as in --stale 24h")
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
	l := listing{shell: s, form: f.form, columns: registryColumns(), empty: "No registries. Add one: portolan registry add --help"}
	if f.stale > 0 {
		rows = needing(rows, time.Now().Add(-f.stale), zone)
		l.empty = "All registries are well."
	}
	n, err := l.print(rows)
	if err == nil && f.exitCode && n > 0 {
		return &exitError{ExitSyncFailed, fmt.Errorf("%s stale or failing", count(n, "registry is", "registries are"))}
	}
	return err
}

// serverZone is the zone in which the server writes times.
func (s *shell) serverZone(name string) (*time.Location, error) {
	if name == "" {
		name = s.env(envPrefix + "TIME_ZONE")
	}
	zone, err := time.LoadLocation(name) // UTC for ""
	if err != nil {
		return nil, usagef("--time-zone: there is no time zone %q; use a name such as UTC or Asia/Shanghai", name)
	}
	return zone, nil
}

// needing keeps the registries that fail, or that no reading of ended since.
func needing(rows iter.Seq2[json.RawMessage, error], since time.Time, zone *time.Location) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for raw, err := range rows {
			if err == nil && well(raw, since, zone) {
				continue
			}
			if !yield(raw, err) {
				return
			}
		}
	}
}

func well(raw json.RawMessage, since time.Time, zone *time.Location) bool {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return false
	}
	if r.SyncErrorCode != "" || r.Type == string(portolan.CICD) {
		return r.SyncErrorCode == "" // builds report when they run
	}
	last := r.LastSyncTime
	if last == "" {
		last = r.GmtCreate // one that was just added has time for its first reading
	}
	at, err := time.ParseInLocation(time.DateTime, last, zone)
	return err == nil && at.After(since)
}
