package cli

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"portolan"
)

// ledgerColumns are those of readings; programs get every figure.
func ledgerColumns() []column {
	return []column{
		{title: "SYNC", field: "SyncId"},
		{field: "RegistryId", detail: true},
		{title: "STATUS", field: "Status"},
		{title: "TRIGGER", field: "Trigger"},
		{title: "STARTED", field: "StartTime"},
		{title: "ENDED", field: "EndTime"},
		{title: "REPOSITORIES", field: "RepositoriesListed"},
		{field: "RepositoriesRead", detail: true},
		{field: "RepositoriesSkipped", detail: true},
		{title: "FAILED", field: "RepositoriesFailed"},
		{field: "RowsListed", detail: true},
		{title: "IMAGES", field: "ImagesSeen"},
		{field: "DuplicateTags", detail: true},
		{field: "Accessories", detail: true},
		{field: "OtherArtifacts", detail: true},
		{field: "RowsFailed", detail: true},
		{field: "Unexplained", detail: true},
		{title: "ADDED", field: "ImagesAdded"},
		{field: "ImagesUpdated", detail: true},
		{title: "GONE", field: "ImagesGone"},
		{title: "HELD", field: "ImagesHeld"},
		{field: "TagsRead", detail: true},
		{field: "ManifestsRead", detail: true},
		{field: "Requests", detail: true},
		{field: "BytesRead", detail: true},
		{field: "Throttled", detail: true},
		{field: "Truncated", detail: true},
		{title: "ERROR", field: "ErrorCode"},
		{field: "ErrorMessage", detail: true},
	}
}

func (s *shell) registryLedger() *cobra.Command {
	var (
		sync    string
		form    output
		history bool
	)
	c := s.one(&cobra.Command{
		Use: "ledger", Short: "Show the account of a reading, or the history of readings",
		Example: "  portolan registry ledger harbor-prod\n  portolan registry ledger harbor-prod --history",
	}, func(c *cobra.Command, server *client, r *row) error {
		if r.Type == string(portolan.CICD) {
			return usagef("registry %d is of type CI/CD: it is not read, so there is no ledger; portolan image changes tells what builds reported", r.ID)
		}
		p := params{"RegistryId": number(r.ID)}
		if history && sync != "" {
			return usagef("give one of --history and --sync")
		}
		list := listing{shell: s, form: form.form, columns: ledgerColumns(), empty: "No readings yet."}
		if history {
			_, err := s.list(c.Context(), server, "DescribeImageRegistrySyncs", "List", p, list)
			return err
		}
		p["SyncId"] = sync
		var answer struct{ Data json.RawMessage }
		if err := server.call(c.Context(), "DescribeImageRegistrySync", p, &answer); err != nil {
			return err
		}
		switch form.form {
		case asJSON:
			return s.answer(answer.Data)
		case asCSV:
			_, err := list.print(func(yield func(json.RawMessage, error) bool) { yield(answer.Data, nil) })
			return err
		}
		var l ledger
		if err := json.Unmarshal(answer.Data, &l); err != nil {
			return fmt.Errorf("the answer to DescribeImageRegistrySync is not in its documented form: %w", err)
		}
		s.showLedger(&l)
		return nil
	})
	c.Flags().StringVar(&sync, "sync", "", "id of the reading (default the latest)")
	c.Flags().BoolVar(&history, "history", false, "all readings that are kept, the latest first")
	form.add(c, asJSON, asCSV)
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
		s.print("  %s %s: %s: %s\n", i.Step, i.Repository, i.Code, i.Message)
	}
}
