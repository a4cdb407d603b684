package sas

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

const day = 24 * time.Hour

type describeImageRegistryRetentionRequest struct {
	RegistryID     int64 `rpc:"RegistryId" required:"true" range:"1," doc:"The registry." example:"22233"`
	PersistenceDay int   `range:"1,3650" doc:"The number of days to try; that of the registry if absent." example:"14"`
	rpc.Paging
}

type describeImageRegistryRetentionResponse struct {
	Data     retentionSummary `doc:"All that would be removed."`
	List     []retentionRow   `doc:"The images of the page, in the order in which they came."`
	PageInfo pageInfo         `doc:"Where the page is."`
}

type retentionSummary struct {
	PreviewID       string `json:"PreviewId" doc:"Stands for exactly this set of images; for RunImageRegistryRetention." example:"1767323045000-4be1f0a87e2c5d9916a3f20c8b7d4e55"`
	PersistenceDay  int    `doc:"The number of days that was counted with." example:"30"`
	TotalCount      int    `doc:"The number of images that would be removed: GoneCount and UnreportedCount." example:"12"`
	GoneCount       int    `doc:"Images that are gone and remembered until then." example:"12"`
	UnreportedCount int    `doc:"Images that were not reported, and are listed until then; of CI/CD registries only." example:"0"`
}

type retentionRow struct {
	UUID          string   `json:"Uuid" doc:"The id of the image." example:"01a20f2f-f375-76fd-bb89-b2bab8585b4a"`
	RepoName      string   `doc:"The last part of the repository's path." example:"server"`
	RepoNamespace string   `doc:"The path of the repository before its last slash; may be empty." example:"platform/auth"`
	Digest        string   `doc:"The digest, without sha256:." example:"a5ccdd9b166b67e02954aa9b618fe19b7968bd56a15463d2ad7f2643ba5bd1c1"`
	Tags          []string `doc:"The tags that it has, or had." example:"1.8.0"`
	Reason        string   `doc:"Why it would be removed." example:"gone since 2026-01-02 10:23:30 (31 days)"`
	Since         string   `doc:"When it became gone, or was last reported, in milliseconds." example:"1600069948849"`
}

func (s *Service) describeImageRegistryRetention() rpc.Endpoint {
	return rpc.Operation[describeImageRegistryRetentionRequest, describeImageRegistryRetentionResponse]{
		Spec: own("DescribeImageRegistryRetention", rpc.List, "Previews what retention would remove of a registry.", `
Of a registry that is read, images that are gone are remembered for PersistenceDay days; age alone never removes one that is
listed. Of a CI/CD registry, images that were not reported for that long leave the lists, and are then remembered as gone ones
are. Nothing is changed by looking.`, errNoRegistry),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageRegistryRetentionRequest) (*describeImageRegistryRetentionResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			days := req.PersistenceDay
			if days == 0 {
				days = r.PersistenceDay
			}
			now := s.DB.Now()
			list, p, err := s.DB.PreviewRetention(ctx, r, now.Add(-time.Duration(days)*day), req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeImageRegistryRetentionResponse{
				Data: retentionSummary{
					PreviewID: previewID(p), PersistenceDay: days, TotalCount: p.Total(), GoneCount: p.Gone, UnreportedCount: p.Unreported,
				},
				PageInfo: pageOf(req.Paging, len(list), p.Total()),
			}
			for i := range list {
				resp.List = append(resp.List, s.retentionRow(&list[i], now))
			}
			return resp, nil
		},
	}.Endpoint()
}

func (s *Service) retentionRow(m *store.Removal, now time.Time) retentionRow {
	namespace, name := portolan.SplitRepository(m.Path)
	why := "gone since"
	if m.Reported {
		why = "not reported since"
	}
	return retentionRow{
		UUID: m.UUID, RepoName: name, RepoNamespace: namespace, Digest: m.Digest.Wire(), Tags: m.Before, Since: millis(m.Since),
		Reason: fmt.Sprintf("%s %s (%d days)", why, s.when(m.Since), int(now.Sub(m.Since)/day)),
	}
}

// shownDigest is as much of a preview's digest as its id has: nobody gains
// anything by another set of the same.
const shownDigest = 16

// previewID writes the cutoff and the digest of a preview.
func previewID(p store.Preview) string {
	return strconv.FormatInt(p.Cutoff.UnixMilli(), 10) + "-" + hex.EncodeToString(p.Digest[:shownDigest])
}

// cutoffOf reads the cutoff of a preview's id.
func cutoffOf(id string) (time.Time, bool) {
	text, _, _ := strings.Cut(id, "-")
	ms, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMilli(ms), err == nil && ms > 0
}

// errOutdated refuses to remove what was not shown.
var errOutdated = &portolan.Error{
	Code: "PreviewOutdated", Status: http.StatusConflict,
	Message: "What would be removed has changed since the preview. Look again with DescribeImageRegistryRetention.",
}
