package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"

	"portolan"
)

// imagesOf counts the rows of DescribeImageInstances for a registry.
func (c *client) imagesOf(ctx context.Context, id int64) (int, error) {
	criteria, err := json.Marshal([]map[string]string{{"name": "instanceId", "value": number(id)}})
	if err != nil {
		return 0, err
	}
	_, total, err := c.page(ctx, "DescribeImageInstances", "ImageInstanceList", params{"Criteria": string(criteria), "PageSize": "1"})
	return total, err
}

// explain shows where a registry's ImageCount comes from, as an addition that
// a person can follow.
func (s *shell) explain(ctx context.Context, c *client, id int64) error {
	l, err := c.lastEnded(ctx, id)
	if err != nil {
		return err
	}
	r, err := c.registryByID(ctx, id)
	if err != nil {
		return err
	}
	listed, err := c.imagesOf(ctx, id)
	if err != nil {
		return err
	}
	s.print("Registry %d %s, reading %s of %s: %s\n", id, r.Name, l.SyncID, l.EndTime, l.Status)
	s.print("%d repositories listed = %d read + %d unchanged and skipped + %d failed\n\n",
		l.RepositoriesListed, l.RepositoriesRead, l.RepositoriesSkipped, l.RepositoriesFailed)
	kept := r.ImageCount - l.ImagesSeen - l.ImagesHeld
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(sign string, n int, what string) {
		_, _ = fmt.Fprintf(w, "%s\t%d\t  %s\n", sign, n, what)
	}
	line("", l.RowsListed, "rows listed by the source")
	line("-", l.DuplicateTags, "more tags of an image that is counted already")
	line("-", l.Accessories, "signatures, attestations, SBOMs and other referrers")
	line("-", l.OtherArtifacts, "charts and other artifacts that are no images")
	line("-", l.RowsFailed, "rows of repositories that failed")
	line("-", l.Unexplained, "rows that nothing accounts for")
	line("=", l.ImagesSeen, "images seen in this reading")
	line("+", kept, "images kept from earlier readings: of repositories that were not read in this one")
	line("+", l.ImagesHeld, "images held: gone from the source, not yet believed")
	line("=", r.ImageCount, "ImageCount")
	if err := w.Flush(); err != nil {
		return err
	}
	return s.checked(l, kept, r.ImageCount, listed)
}

// checked says what does not add up. The numbers come from counters that are
// kept apart, so that a mistake shows.
func (s *shell) checked(l *ledger, kept, count, listed int) error {
	seen := l.RowsListed - l.DuplicateTags - l.Accessories - l.OtherArtifacts - l.RowsFailed - l.Unexplained
	elsewhere := l.RepositoriesSkipped + l.RepositoriesFailed
	switch {
	case seen != l.ImagesSeen, l.Unexplained != 0, kept < 0, kept > 0 && elsewhere == 0 && l.Status == portolan.SyncOK:
		return errors.New("the numbers do not add up: please report this, with the output above")
	case listed != count:
		return fmt.Errorf("DescribeImageInstances lists %d images, ImageCount is %d: if no reading ended in between, please report this", listed, count)
	}
	s.print("\nIt adds up, and DescribeImageInstances lists the same %d images.\n", listed)
	return nil
}
