package cli

import (
	"bufio"
	"context"
	"strings"

	"github.com/spf13/cobra"

	"portolan"
)

func retentionColumns() []column {
	return []column{
		{title: "NAMESPACE", field: "RepoNamespace", wide: 40},
		{title: "REPOSITORY", field: "RepoName", wide: 40},
		{title: "TAGS", field: "Tags", wide: 36},
		{title: "DIGEST", field: "Digest", show: field("Digest", shortDigest)},
		{title: "REASON", field: "Reason"},
		{field: "Since", detail: true},
		{field: "Uuid", detail: true},
	}
}

// retention is what DescribeImageRegistryRetention answers of a set.
type retention struct {
	PreviewID       string `json:"PreviewId"`
	PersistenceDay  int
	TotalCount      int
	GoneCount       int
	UnreportedCount int
}

func (s *shell) registryRetention() *cobra.Command {
	var (
		days        int
		dryRun, yes bool
		form        output
	)
	c := s.one(&cobra.Command{
		Use: "retention", Short: "Show and remove what a registry need not remember any longer",
		Long: `Removes the images that are gone, or of a CI/CD registry not reported, for longer
than the registry remembers. The server does that by itself; here it can be
looked at before, and other numbers of days can be tried. What is removed is
exactly what was shown: if that has changed, nothing is. Images that a registry
still lists are never removed.`,
		Example: "  portolan registry retention harbor-prod --days 14 --dry-run\n  portolan registry retention harbor-prod --days 14 --yes",
	}, func(c *cobra.Command, server *client, r *row) error {
		if c.Flags().Changed("days") && (days < 1 || days > portolan.MaxPersistenceDay) {
			return usagef("--days must be from 1 to %d", portolan.MaxPersistenceDay)
		}
		p := params{"RegistryId": number(r.ID), "PersistenceDay": number(days)}
		if dryRun {
			_, err := s.list(c.Context(), server, "DescribeImageRegistryRetention", "List", p,
				listing{form: form.form, columns: retentionColumns(), empty: "Nothing would be removed."})
			return err
		}
		if form.form != asTable {
			return usagef("--output goes with --dry-run")
		}
		return s.retain(c.Context(), server, p, yes)
	})
	fs := c.Flags()
	fs.IntVar(&days, "days", 0, "count with this many days instead of the registry's")
	fs.BoolVar(&dryRun, "dry-run", false, "list what would be removed, and remove nothing")
	fs.BoolVar(&yes, "yes", false, "do not ask")
	form.add(c, asJSON, asCSV)
	return c
}

// retain removes what it shows the sum of.
func (s *shell) retain(ctx context.Context, server *client, p params, yes bool) error {
	var shown struct{ Data retention }
	p["PageSize"] = "1"
	if err := server.call(ctx, "DescribeImageRegistryRetention", p, &shown); err != nil {
		return err
	}
	d := shown.Data
	if d.TotalCount == 0 {
		s.print("Nothing is to be removed with %s.\n", count(d.PersistenceDay, "day", "days"))
		return nil
	}
	s.tell("%s to be removed with %s: %d gone, %d not reported.", count(d.TotalCount, "image is", "images are"), count(d.PersistenceDay, "day", "days"),
		d.GoneCount, d.UnreportedCount)
	if !yes {
		if !terminal(s.in) {
			return usagef("give --yes to remove them, or --dry-run to list them")
		}
		if answer := s.question(bufio.NewScanner(s.in), "Remove them? [y/N] "); !strings.HasPrefix(strings.ToLower(answer), "y") {
			s.print("Nothing was removed.\n")
			return nil
		}
	}
	var done struct{ Data struct{ RemovedCount int } }
	if err := server.call(ctx, "RunImageRegistryRetention", params{"RegistryId": p["RegistryId"], "PreviewId": d.PreviewID}, &done); err != nil {
		return err
	}
	s.print("Removed %s.\n", count(done.Data.RemovedCount, "image", "images"))
	return nil
}
