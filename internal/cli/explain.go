package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"portolan"
)

func (s *shell) registryExplain() *cobra.Command {
	var form output
	c := s.one(&cobra.Command{
		Use: "explain", Short: "Show where a registry's ImageCount comes from",
		Long: `Shows, as an addition that a person can follow, how the number of images comes
out of what the source listed in the last reading. All numbers are counted apart,
so that a mistake shows, but for the images kept of repositories that were not
read: no ledger counts them, they are what is left of ImageCount.`,
		Example: "  portolan registry explain harbor-prod",
	}, func(c *cobra.Command, server *client, r *row) error {
		if r.Type == string(portolan.CICD) {
			return s.explainReports(c.Context(), server, r, form.form)
		}
		return s.explain(c.Context(), server, r.ID, form.form)
	})
	form.add(c, asJSON)
	return c
}

// sum is the account of an ImageCount. Images = RowsListed - DuplicateTags -
// Accessories - OtherArtifacts - RowsFailed - Unexplained, and ImageCount =
// ImagesSeen + ImagesKept + ImagesHeld + ImagesByEvents.
type sum struct {
	RegistryID          int64 `json:"RegistryId"`
	RegistryName        string
	SyncID              string `json:"SyncId"`
	EndTime             string
	Status              portolan.SyncStatus
	RepositoriesListed  int
	RepositoriesRead    int
	RepositoriesSkipped int
	RepositoriesFailed  int
	RowsListed          int
	DuplicateTags       int
	Accessories         int
	OtherArtifacts      int
	RowsFailed          int
	Unexplained         int
	ImagesSeen          int
	// ImagesKept is what is left of ImageCount: images of repositories that
	// were not read in this reading, which no ledger counts.
	ImagesKept int
	ImagesHeld int
	// ImagesByEvents is by how many more images there are since events had
	// some repositories read again.
	ImagesByEvents int
	ImageCount     int
	// ImagesListed is the total of DescribeImageInstances.
	ImagesListed int
	TagsRead     int
	// Truncated says that the source announced other totals than it listed.
	Truncated    bool
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
	// Mistake says what does not add up, "" if all does.
	Mistake string `json:",omitempty"`
}

// imagesOf counts the rows of DescribeImageInstances for a registry.
func (c *client) imagesOf(ctx context.Context, id int64) (int, error) {
	criteria, err := json.Marshal([]map[string]string{{"name": "instanceId", "value": number(id)}})
	if err != nil {
		return 0, err
	}
	_, total, err := c.page(ctx, "DescribeImageInstances", "ImageInstanceList", params{"Criteria": string(criteria), "PageSize": "1"})
	return total, err
}

// keptByEvents is how many readings that events caused a server remembers.
const keptByEvents = 100

// sum asks for the numbers of a registry's last finished reading.
func (c *client) sum(ctx context.Context, id int64) (*sum, error) {
	l, since, err := c.lastEnded(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := c.registryByID(ctx, id)
	if err != nil {
		return nil, err
	}
	x := &sum{
		RegistryID: id, RegistryName: r.Name, SyncID: l.SyncID, EndTime: l.EndTime, Status: l.Status,
		RepositoriesListed: l.RepositoriesListed, RepositoriesRead: l.RepositoriesRead, RepositoriesSkipped: l.RepositoriesSkipped, RepositoriesFailed: l.RepositoriesFailed,
		RowsListed: l.RowsListed, DuplicateTags: l.DuplicateTags, Accessories: l.Accessories, OtherArtifacts: l.OtherArtifacts,
		RowsFailed: l.RowsFailed, Unexplained: l.Unexplained, ImagesSeen: l.ImagesSeen, ImagesKept: r.ImageCount - l.ImagesSeen - l.ImagesHeld,
		ImagesHeld: l.ImagesHeld, ImageCount: r.ImageCount, TagsRead: l.TagsRead, Truncated: l.Truncated, ErrorCode: l.ErrorCode, ErrorMessage: l.ErrorMessage,
	}
	x.ImagesByEvents = since.images
	if since.readings >= keptByEvents {
		x.ImagesByEvents = x.ImagesKept // those before are not remembered
	}
	x.ImagesKept -= x.ImagesByEvents
	if x.ImagesListed, err = c.imagesOf(ctx, id); err != nil {
		return nil, err
	}
	x.Mistake = x.mistake()
	return x, nil
}

// mistake says what does not add up.
func (x *sum) mistake() string {
	seen := x.RowsListed - x.DuplicateTags - x.Accessories - x.OtherArtifacts - x.RowsFailed - x.Unexplained
	repositories := x.RepositoriesRead + x.RepositoriesSkipped + x.RepositoriesFailed
	kept := x.ImagesKept < 0 || x.ImagesKept > 0 && x.Status == portolan.SyncOK && x.RepositoriesSkipped == 0
	switch {
	case seen != x.ImagesSeen || repositories != x.RepositoriesListed || x.Unexplained != 0 || kept:
		return "the numbers do not add up: please report this, with the output above"
	case x.ImagesListed != x.ImageCount:
		return fmt.Sprintf("DescribeImageInstances lists %d images, ImageCount is %d: if no reading ended in between, please report this", x.ImagesListed, x.ImageCount)
	}
	return ""
}

// explain shows where a registry's ImageCount comes from.
func (s *shell) explain(ctx context.Context, c *client, id int64, form string) error {
	x, err := c.sum(ctx, id)
	if err != nil {
		return err
	}
	if form == asJSON {
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		err = s.answer(b)
		return errors.Join(err, x.err())
	}
	if err := s.showSum(x); err != nil {
		return err
	}
	if x.Mistake == "" {
		s.conclude(x)
	}
	return x.err()
}

// explainReports shows where the ImageCount of a registry comes from that is
// not read: there is no list to compare it with.
func (s *shell) explainReports(ctx context.Context, c *client, r *row, form string) error {
	listed, err := c.imagesOf(ctx, r.ID)
	if err != nil {
		return err
	}
	x := &sum{RegistryID: r.ID, RegistryName: r.Name, EndTime: r.LastSyncTime, Status: portolan.SyncStatus(r.SyncStatus), ImageCount: r.ImageCount, ImagesListed: listed}
	x.Mistake = x.mistake()
	if form == asJSON {
		b, err := json.Marshal(x)
		if err != nil {
			return err
		}
		return errors.Join(s.answer(b), x.err())
	}
	s.print("Registry %d %s is not read: builds report its images.\n"+
		"ImageCount is the %s that a build reported within %s.\n", r.ID, printable(r.Name), count(r.ImageCount, "image", "images"), count(r.PersistenceDay, "day", "days"))
	if x.Mistake == "" {
		s.print("DescribeImageInstances lists as many.\n")
	}
	return x.err()
}

func (x *sum) err() error {
	if x.Mistake == "" {
		return nil
	}
	return errors.New(x.Mistake)
}

func (s *shell) showSum(x *sum) error {
	s.print("Registry %d %s, reading %s of %s: %s\n", x.RegistryID, printable(x.RegistryName), x.SyncID, x.EndTime, x.Status)
	s.print("%d repositories listed = %d read + %d unchanged and skipped + %d failed\n",
		x.RepositoriesListed, x.RepositoriesRead, x.RepositoriesSkipped, x.RepositoriesFailed)
	announced := "as many rows as it announces, where it announces a total"
	if x.Truncated {
		announced = "not the rows that it announces: portolan registry ledger tells where"
	}
	s.print("%d tags resolved to a digest; the source listed %s\n\n", x.TagsRead, announced)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, line := range []struct {
		sign string
		n    int
		what string
	}{
		{"", x.RowsListed, "rows listed by the source"},
		{"-", x.DuplicateTags, "more tags of an image that is counted already"},
		{"-", x.Accessories, "signatures, attestations, SBOMs and other referrers"},
		{"-", x.OtherArtifacts, "charts and other artifacts that are no images"},
		{"-", x.RowsFailed, "rows of repositories that failed"},
		{"-", x.Unexplained, "rows that nothing accounts for"},
		{"=", x.ImagesSeen, "images seen in this reading"},
		{"+", x.ImagesKept, "images kept of repositories not read in it (what is left of ImageCount, not counted apart)"},
		{"+", x.ImagesHeld, "images held: gone from the source, not yet believed"},
		{"+", x.ImagesByEvents, "more since, in repositories that events told of"},
		{"=", x.ImageCount, "ImageCount"},
	} {
		_, _ = fmt.Fprintf(w, "%s\t%d\t  %s\n", line.sign, line.n, line.what) // told by Flush
	}
	return w.Flush()
}

// conclude says what the sum shows. A failed reading shows nothing: all is
// kept, whatever it is.
func (s *shell) conclude(x *sum) {
	if x.ErrorCode != "" {
		s.print("\nThe reading %s: %s: %s\n", map[bool]string{true: "failed", false: "is not complete"}[x.Status == portolan.SyncFailed], x.ErrorCode, printable(x.ErrorMessage))
	}
	if x.Status == portolan.SyncFailed {
		s.print("What was read before is kept, and DescribeImageInstances lists the same %d images.\n", x.ImagesListed)
		return
	}
	s.print("\nIt adds up, and DescribeImageInstances lists the same %d images.\n", x.ImagesListed)
}
