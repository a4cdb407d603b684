package sas

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type runImageRegistryRetentionRequest struct {
	RegistryID int64  `rpc:"RegistryId" required:"true" range:"1," doc:"The registry." example:"22233"`
	PreviewID  string `rpc:"PreviewId" required:"true" range:",64" doc:"What DescribeImageRegistryRetention answered." example:"1767323045000-4be1f0a87e2c5d9916a3f20c8b7d4e55"`
}

type runImageRegistryRetentionResponse struct {
	Data retentionRun `doc:"What was done."`
}

type retentionRun struct {
	RemovedCount int `doc:"The number of images that were removed." example:"12"`
}

// runTimeout is how long the removal of a large set may take. What is not done
// by then stays.
const runTimeout = time.Minute

func (s *Service) runImageRegistryRetention() rpc.Endpoint {
	spec := own("RunImageRegistryRetention", rpc.Write, "Removes exactly the images that were previewed.", `
If the set has changed since the preview, nothing is removed. If it changes while it is being removed, the rest stays.`,
		errNoRegistry, rpc.Err{Code: errOutdated.Code, Status: errOutdated.Status, Doc: "What would be removed is not what was previewed."},
		rpc.Err{Code: codeIncomplete, Status: http.StatusConflict, Doc: "The time for a call was up before all were removed."})
	spec.Timeout = runTimeout
	return rpc.Operation[runImageRegistryRetentionRequest, runImageRegistryRetentionResponse]{
		Spec: spec,
		Handle: func(ctx context.Context, caller *rpc.Caller, req *runImageRegistryRetentionRequest) (*runImageRegistryRetentionResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			cutoff, ok := cutoffOf(req.PreviewID)
			if !ok || cutoff.After(s.DB.Now().Add(-day)) { // no preview counts fewer days than one
				return nil, portolan.Invalid("PreviewId", "must be one that DescribeImageRegistryRetention answered")
			}
			n, err := s.DB.Retain(ctx, r, cutoff, func(p store.Preview) bool { return previewID(p) == req.PreviewID })
			if err != nil {
				return nil, stopped(ctx, n, err)
			}
			return &runImageRegistryRetentionResponse{Data: retentionRun{n}}, nil
		},
	}.Endpoint()
}

const codeIncomplete = "RetentionIncomplete"

// stopped is why a removal ended after n images.
func stopped(ctx context.Context, n int, err error) error {
	outdated := errors.Is(err, store.ErrPreviewOutdated)
	switch {
	case outdated && n > 0:
		return &portolan.Error{
			Code: errOutdated.Code, Status: http.StatusConflict,
			Message: fmt.Sprintf("What is to be removed changed meanwhile; the first %d are removed, the rest stays. Look again with DescribeImageRegistryRetention.", n),
		}
	case outdated:
		return errOutdated
	case ctx.Err() != nil && n > 0:
		return &portolan.Error{
			Code: codeIncomplete, Status: http.StatusConflict,
			Message: fmt.Sprintf("The time for a call was up: the first %d are removed, the rest stays. Go on with a new preview of DescribeImageRegistryRetention.", n),
		}
	}
	return err
}
