package cli

import (
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

func changeColumns(full bool) []column {
	digest := column{title: "DIGEST", field: "Digest", show: field("Digest", shortDigest)}
	if full {
		digest.show = nil
	}
	return []column{
		{title: "AT", field: "ChangeTime", show: field("ChangeTime", moment)},
		{title: "KIND", field: "Kind"},
		{title: "REGISTRY", field: "RegistryId"},
		{field: "RegistryName", detail: true},
		{field: "RegistryType", detail: true},
		{title: "NAMESPACE", field: "RepoNamespace", wide: 40},
		{title: "REPOSITORY", field: "RepoName", wide: 40},
		digest,
		{title: "TAGS BEFORE", field: "TagsBefore", wide: 36},
		{title: "TAGS", field: "Tags", wide: 36},
		{field: "Uuid", detail: true},
		{field: "Generation", detail: true},
		{field: "SyncId", detail: true},
	}
}

// moment writes milliseconds as a time.
func moment(ms string) string {
	n, err := strconv.ParseInt(ms, 10, 64)
	if err != nil || n <= 0 {
		return ""
	}
	return time.UnixMilli(n).UTC().Format(time.DateTime)
}

func (s *shell) imageChanges() *cobra.Command {
	var (
		t                       target
		form                    output
		full                    bool
		registry, reading, kind string
		since                   time.Duration
	)
	c := &cobra.Command{
		Use: "changes", Short: "List what changed: images that were added, retagged or are gone",
		Long: `Lists what readings and reports changed, the newest first, with times in UTC.
Changes are kept for 30 days. The first reading of a registry changes nothing.`,
		Example: "  portolan image changes --since 24h\n  portolan image changes --registry harbor-prod --kind gone --output json",
		Args:    takes(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("since") && since <= 0 {
				return usagef("--since must be a time such as 24h")
			}
			server, err := s.client(t)
			if err != nil {
				return err
			}
			p := params{"Kind": kind, "SyncId": reading}
			if since > 0 {
				p["Since"] = strconv.FormatInt(time.Now().Add(-since).UnixMilli(), 10)
			}
			if registry != "" {
				r, err := server.find(c.Context(), registry)
				if err != nil {
					return err
				}
				p["RegistryId"] = number(r.ID)
			}
			_, err = s.list(c.Context(), server, "DescribeImageChanges", "List", p, listing{form: form.form, columns: changeColumns(full), empty: "Nothing changed."})
			return err
		},
	}
	fs := c.Flags()
	fs.DurationVar(&since, "since", 0, "only of this time, such as 24h (default all that is kept)")
	fs.StringVar(&registry, "registry", "", "only of the registry of this id or name")
	fs.StringVar(&reading, "sync", "", "only of the reading of this id")
	fs.StringVar(&kind, "kind", "", "only of this kind: added, retagged or gone")
	addFull(c, &full)
	form.add(c, asJSON, asCSV)
	t.add(fs)
	complete(c, "kind", []string{"added", "retagged", "gone"})
	// An error would say that the flag is missing: it is added above.
	_ = c.RegisterFlagCompletionFunc("registry", s.completeRegistry(&t))
	return c
}
