package sas

import (
	"context"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeImageChangesRequest struct {
	RegistryID int64  `rpc:"RegistryId" range:"1," doc:"Only of this registry." example:"22233"`
	SyncID     string `rpc:"SyncId" range:",64" doc:"Only of this reading." example:"8b4d5f0a-0c7e-4d9c-9a53-5b6f8a3c2d10"`
	Kind       string `enum:"added,retagged,gone" doc:"Only of this kind." example:"added"`
	Since      int64  `range:"1," doc:"Only what became visible at this time or later, in milliseconds." example:"1600069948849"`
	rpc.Paging
}

type describeImageChangesResponse struct {
	List     []changeRow `doc:"The changes of the page, the newest first."`
	PageInfo pageInfo    `doc:"Where the page is."`
}

type changeRow struct {
	Kind          string   `doc:"added, retagged or gone." example:"retagged"`
	ChangeTime    string   `doc:"When it became visible, in milliseconds." example:"1600069948849"`
	RegistryID    int64    `json:"RegistryId" doc:"The registry." example:"22233"`
	RegistryName  string   `doc:"Its name." example:"harbor-prod"`
	RegistryType  string   `doc:"Its type." example:"harbor"`
	RepoName      string   `doc:"The last part of the repository's path." example:"server"`
	RepoNamespace string   `doc:"The path of the repository before its last slash; may be empty." example:"platform/auth"`
	Digest        string   `doc:"The digest, without sha256:." example:"a5ccdd9b166b67e02954aa9b618fe19b7968bd56a15463d2ad7f2643ba5bd1c1"`
	UUID          string   `json:"Uuid" doc:"The id of the image." example:"01a20f2f-f375-76fd-bb89-b2bab8585b4a"`
	TagsBefore    []string `doc:"The tags that it had." example:"1.8.0"`
	Tags          []string `doc:"The tags that it has now." example:"1.8.1"`
	Generation    int64    `doc:"The number of the reading's result; 0 for what builds report." example:"12"`
	SyncID        string   `json:"SyncId" doc:"The reading that found it; empty for what builds report." example:"8b4d5f0a-0c7e-4d9c-9a53-5b6f8a3c2d10"`
}

func (s *Service) describeImageChanges() rpc.Endpoint {
	return rpc.Operation[describeImageChangesRequest, describeImageChangesResponse]{
		Spec: own("DescribeImageChanges", rpc.List, "Lists what changed in the inventory: images that were added, retagged or are gone.", `
Changes are kept for 30 days. Those of one reading become visible together, when the reading ends. The first reading of a
registry changes nothing: what it finds is listed by DescribeImageInstances.`, errNoRegistry),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageChangesRequest) (*describeImageChangesResponse, error) {
			if req.RegistryID != 0 {
				if _, err := s.registryOf(ctx, caller, req.RegistryID); err != nil {
					return nil, err
				}
			}
			f := store.ChangeFilter{RegistryID: req.RegistryID, SetID: req.SyncID, Kind: store.ChangeKind(req.Kind)}
			if req.Since > 0 {
				f.Since = time.UnixMilli(req.Since)
			}
			list, total, err := s.DB.Changes(ctx, caller.Principal.AccountID, f, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeImageChangesResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for i := range list {
				resp.List = append(resp.List, changeRowOf(&list[i]))
			}
			return resp, nil
		},
	}.Endpoint()
}

func changeRowOf(c *store.ImageChange) changeRow {
	namespace, name := portolan.SplitRepository(c.Path)
	row := changeRow{
		Kind: string(c.Kind), ChangeTime: millis(c.At), RegistryID: c.RegistryID, RegistryName: c.RegistryName, RegistryType: string(c.RegistryType),
		RepoName: name, RepoNamespace: namespace, Digest: c.Digest.Wire(), UUID: c.UUID, TagsBefore: c.Before, Tags: c.After, Generation: c.Generation,
	}
	if c.RegistryType.Pull() {
		row.SyncID = c.SetID
	}
	return row
}
