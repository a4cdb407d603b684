package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

// syncFlags are the flags of registry sync.
type syncFlags struct {
	target
	full, confirm, noWait, all bool
}

func (s *shell) registrySync() *cobra.Command {
	var f syncFlags
	c := &cobra.Command{
		Use: "sync REGISTRY", Short: "Read a registry now, and wait for the end",
		Long: `Reads a registry now and waits until that has ended. The exit code is 4 if the
reading fails or is partial. --all has every registry read within 10 minutes.`,
		Example: `  portolan registry sync harbor-prod
  portolan registry sync harbor-prod --confirm-vanished    many images are gone, and that is right
  portolan registry sync --all`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case f.all == (len(args) == 1):
				return usagef("name one registry, or give --all")
			case f.all:
				return s.syncAll(c.Context(), f.target)
			}
			return s.syncOne(c.Context(), &f, args[0])
		},
	}
	fs := c.Flags()
	fs.SortFlags = false
	fs.BoolVar(&f.full, "full", false, "read every repository, whatever the source says about changes")
	fs.BoolVar(&f.confirm, "confirm-vanished", false, "believe that images which disappeared are gone")
	fs.BoolVar(&f.noWait, "no-wait", false, "do not wait for the end")
	fs.BoolVar(&f.all, "all", false, "every registry, spread over 10 minutes")
	f.add(fs)
	return c
}

func (s *shell) syncAll(ctx context.Context, t target) error {
	server, err := s.client(t)
	if err != nil {
		return err
	}
	if err := server.call(ctx, "RefreshContainerAssets", params{"AssetType": "IMAGE"}, &struct{}{}); err != nil {
		return err
	}
	s.print("Every registry will be read within 10 minutes.\n")
	return nil
}

func (s *shell) syncOne(ctx context.Context, f *syncFlags, name string) error {
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	r, err := server.find(ctx, name)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			SyncID string `json:"SyncId"`
		}
	}
	p := params{"RegistryId": number(r.ID), "Full": yes(f.full), "ConfirmVanished": yes(f.confirm)}
	if err := server.call(ctx, "SyncImageRegistry", p, &answer); err != nil {
		return err
	}
	if f.noWait {
		s.print("%s\n", answer.Data.SyncID)
		return nil
	}
	l, err := s.wait(ctx, server, r.ID, answer.Data.SyncID)
	if err != nil {
		return err
	}
	return s.result(l)
}

// yes writes a parameter that is absent when false.
func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func (s *shell) registryExplain() *cobra.Command {
	return s.one(&cobra.Command{
		Use: "explain", Short: "Show where a registry's ImageCount comes from",
		Long:    "Shows, as an addition that a person can follow, how the number of images comes\nout of what the source listed in the last reading.",
		Example: "  portolan registry explain harbor-prod",
	}, func(c *cobra.Command, server *client, r *row) error { return s.explain(c.Context(), server, r.ID) })
}

func ledgerColumns() []column {
	return []column{
		{title: "SYNC", field: "SyncId"},
		{title: "STATUS", field: "Status"},
		{title: "TRIGGER", field: "Trigger"},
		{title: "STARTED", field: "StartTime"},
		{title: "ENDED", field: "EndTime"},
		{title: "REPOSITORIES", field: "RepositoriesListed"},
		{title: "FAILED", field: "RepositoriesFailed"},
		{title: "IMAGES", field: "ImagesSeen"},
		{title: "ADDED", field: "ImagesAdded"},
		{title: "GONE", field: "ImagesGone"},
		{title: "HELD", field: "ImagesHeld"},
		{title: "ERROR", field: "ErrorCode"},
	}
}

func (s *shell) registryLedger() *cobra.Command {
	var (
		form, sync string
		history    bool
	)
	c := s.one(&cobra.Command{
		Use: "ledger", Short: "Show the account of a reading, or the history of readings",
		Example: "  portolan registry ledger harbor-prod\n  portolan registry ledger harbor-prod --history",
	}, func(c *cobra.Command, server *client, r *row) error {
		p := params{"RegistryId": number(r.ID)}
		if history {
			_, err := s.list(c.Context(), server, "DescribeImageRegistrySyncs", "List", p, listing{form: form, columns: ledgerColumns(), empty: "No readings yet."})
			return err
		}
		if form == asJSON {
			p["SyncId"] = sync
			body, err := server.send(c.Context(), sasCall("DescribeImageRegistrySync"), p)
			if err != nil {
				return err
			}
			return s.answer(body)
		}
		l, err := server.reading(c.Context(), r.ID, sync)
		if err != nil {
			return err
		}
		s.showLedger(l)
		return nil
	})
	c.Flags().StringVar(&sync, "sync", "", "id of the reading (default the latest)")
	c.Flags().BoolVar(&history, "history", false, "all readings that are kept, the latest first")
	addOutput(c.Flags(), &form)
	return c
}

func (s *shell) showLedger(l *ledger) {
	n := strconv.Itoa
	s.facts(
		"Reading", l.SyncID, "Status", string(l.Status), "Trigger", l.Trigger, "Started", l.StartTime, "Ended", l.EndTime,
		"Repositories listed", n(l.RepositoriesListed), "  read", n(l.RepositoriesRead), "  skipped", n(l.RepositoriesSkipped), "  failed", n(l.RepositoriesFailed),
		"Rows listed", n(l.RowsListed), "  images", n(l.ImagesSeen), "  duplicate tags", n(l.DuplicateTags), "  accessories", n(l.Accessories),
		"  other artifacts", n(l.OtherArtifacts), "  failed", n(l.RowsFailed), "  unexplained", n(l.Unexplained),
		"Images added", n(l.ImagesAdded), "Images updated", n(l.ImagesUpdated), "Images gone", n(l.ImagesGone), "Images held", n(l.ImagesHeld),
		"Tags read", n(l.TagsRead), "Manifests read", n(l.ManifestsRead), "Requests", strconv.FormatInt(l.Requests, 10),
		"Bytes read", size(strconv.FormatInt(l.BytesRead, 10)), "Asked to wait", strconv.FormatInt(l.Throttled, 10)+" s", "Cut short", map[bool]string{true: "yes", false: "no"}[l.Truncated],
	)
	if l.ErrorCode != "" {
		s.print("\n%s: %s\n", l.ErrorCode, l.ErrorMessage)
	}
	for _, i := range l.Issues {
		if i.Message == l.ErrorMessage {
			continue
		}
		s.print("  %s %s: %s %s\n", i.Step, i.Repository, i.Code, i.Message)
	}
}
