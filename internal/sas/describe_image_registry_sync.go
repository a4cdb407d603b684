package sas

import (
	"context"
	"errors"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeImageRegistrySyncRequest struct {
	RegistryID int64  `rpc:"RegistryId" required:"true" range:"1," doc:"The registry." example:"22233"`
	SyncID     string `rpc:"SyncId" range:",64" doc:"The reading; the latest of the whole registry if absent." example:"8b4d5f0a-0c7e-4d9c-9a53-5b6f8a3c2d10"`
}

type describeImageRegistrySyncResponse struct {
	Data syncRow `doc:"The reading with its ledger."`
}

type syncRow struct {
	SyncID              string      `json:"SyncId" doc:"The id of the reading." example:"8b4d5f0a-0c7e-4d9c-9a53-5b6f8a3c2d10"`
	RegistryID          int64       `json:"RegistryId" doc:"The registry." example:"22233"`
	Status              string      `doc:"pending, running, ok, partial or failed." example:"ok"`
	Trigger             string      `doc:"add, manual or schedule; webhook for a reading of the repositories that events told of, and of nothing else." example:"schedule"`
	StartTime           string      `doc:"When it started; empty while it waits." example:"2026-01-02 10:23:30"`
	EndTime             string      `doc:"When it ended; empty until then." example:"2026-01-02 10:24:10"`
	RepositoriesListed  int         `doc:"Repositories in the catalogue: Read + Skipped + Failed." example:"12"`
	RepositoriesRead    int         `doc:"Repositories read to their end." example:"12"`
	RepositoriesSkipped int         `doc:"Repositories that the source proved unchanged." example:"0"`
	RepositoriesFailed  int         `doc:"Repositories that could not be read; they keep their last state." example:"0"`
	RowsListed          int         `doc:"Rows of the source (tags; artifacts for Harbor): ImagesSeen + DuplicateTags + Accessories + OtherArtifacts + RowsFailed + Unexplained." example:"60"`
	RowsFailed          int         `doc:"Rows of repositories that failed." example:"0"`
	TagsRead            int         `doc:"Tags resolved to a digest." example:"60"`
	ManifestsRead       int         `doc:"Manifests fetched; each digest is fetched once, ever." example:"50"`
	ImagesSeen          int         `doc:"Distinct images." example:"50"`
	DuplicateTags       int         `doc:"More tags of images that were counted already." example:"6"`
	ImagesAdded         int         `doc:"Images that are new." example:"3"`
	ImagesUpdated       int         `doc:"Images whose tags or facts changed." example:"1"`
	ImagesGone          int         `doc:"Images that left the inventory." example:"0"`
	ImagesHeld          int         `doc:"Images that disappeared and are not yet believed gone: still listed and counted." example:"0"`
	Accessories         int         `doc:"Signatures, attestations, SBOMs and other referrers." example:"3"`
	OtherArtifacts      int         `doc:"Charts and other artifacts that are no images." example:"1"`
	Unexplained         int         `doc:"Rows that nothing accounts for; always 0." example:"0"`
	Requests            int64       `doc:"Requests sent, tokens and retries included." example:"130"`
	BytesRead           int64       `doc:"Bytes of answers read." example:"48211"`
	Throttled           int64       `doc:"Seconds that the registry asked to wait." example:"0"`
	Truncated           bool        `doc:"Whether the source cut a list short." example:"false"`
	ErrorCode           string      `json:",omitempty" doc:"Why it was not ok." example:"Partial"`
	ErrorMessage        string      `json:",omitempty" doc:"What was seen, and what to do." example:"1 of 12 repositories could not be read."`
	Issues              []syncIssue `doc:"The first 100 issues."`
}

type syncIssue struct {
	Repository string `doc:"The repository; empty for the registry itself." example:"team/app"`
	Step       string `doc:"What was being done." example:"images"`
	Code       string `doc:"The class of the error." example:"Forbidden"`
	Message    string `doc:"What was seen." example:"Logged in, but listing team/app needs the permission to list artifacts."`
}

func (s *Service) describeImageRegistrySync() rpc.Endpoint {
	return rpc.Operation[describeImageRegistrySyncRequest, describeImageRegistrySyncResponse]{
		Spec: own("DescribeImageRegistrySync", rpc.Read, "Shows one reading of a registry with its ledger.", "", errNoRegistry,
			rpc.Err{Code: "SyncNotExist", Status: 400, Doc: "The registry has no such reading."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageRegistrySyncRequest) (*describeImageRegistrySyncResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			sync, err := s.DB.Sync(ctx, r.AccountID, r.ID, req.SyncID)
			if errors.Is(err, store.ErrNotFound) {
				return nil, portolan.ErrSyncNotExist
			}
			if err != nil {
				return nil, err
			}
			return &describeImageRegistrySyncResponse{Data: s.syncRow(sync)}, nil
		},
	}.Endpoint()
}

func (s *Service) syncRow(x *portolan.Sync) syncRow {
	l := &x.Ledger
	row := syncRow{
		SyncID: x.ID, RegistryID: x.RegistryID, Status: string(x.Status), Trigger: x.Cause, StartTime: s.when(x.Started), EndTime: s.when(x.Ended),
		RepositoriesListed: l.RepositoriesListed, RepositoriesRead: l.RepositoriesRead, RepositoriesSkipped: l.RepositoriesSkipped, RepositoriesFailed: l.RepositoriesFailed,
		RowsListed: l.RowsListed, RowsFailed: l.RowsFailed, TagsRead: l.TagsRead, ManifestsRead: l.ManifestsRead,
		ImagesSeen: l.ImagesSeen, DuplicateTags: l.DuplicateTags, ImagesAdded: l.ImagesAdded, ImagesUpdated: l.ImagesUpdated,
		ImagesGone: l.ImagesGone, ImagesHeld: l.ImagesHeld, Accessories: l.Accessories, OtherArtifacts: l.OtherArtifacts, Unexplained: l.Unexplained,
		Requests: l.Requests, BytesRead: l.BytesRead, Throttled: int64(l.Throttled / time.Second), Truncated: l.Truncated,
		ErrorCode: string(l.ErrorCode), ErrorMessage: l.ErrorMessage,
	}
	for _, i := range l.Issues {
		row.Issues = append(row.Issues, syncIssue{i.Repository, i.Step, string(i.Code), i.Message})
	}
	return row
}
