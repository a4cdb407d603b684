package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
)

type describeDeletedImageRegistriesRequest struct {
	rpc.Paging
}

type describeDeletedImageRegistriesResponse struct {
	List     []deletedRow `doc:"The registries of the page, the last deleted first."`
	PageInfo pageInfo     `doc:"Where the page is."`
}

type deletedRow struct {
	ID           int64  `json:"Id" doc:"The id, for RestoreImageRegistry." example:"22233"`
	RegistryName string `doc:"Its name." example:"harbor-old"`
	RegistryType string `doc:"Its type." example:"harbor"`
	DomainName   string `doc:"Where it is." example:"harbor.example.com"`
	ImageCount   int    `doc:"The images that come back with it." example:"69"`
	GmtDelete    string `doc:"When it was deleted." example:"2026-01-02 10:23:30"`
	GmtRestore   string `doc:"Until when it can be restored." example:"2026-01-09 10:23:30"`
}

func (s *Service) describeDeletedImageRegistries() rpc.Endpoint {
	return rpc.Operation[describeDeletedImageRegistriesRequest, describeDeletedImageRegistriesResponse]{
		Spec: own("DescribeDeletedImageRegistries", rpc.List, "Lists the registries that were deleted and can be restored.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeDeletedImageRegistriesRequest) (*describeDeletedImageRegistriesResponse, error) {
			const undo = portolan.UndoDays * day
			list, total, err := s.DB.DeletedRegistries(ctx, caller.Principal.AccountID, s.DB.Now().Add(-undo), req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeDeletedImageRegistriesResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for _, r := range list {
				resp.List = append(resp.List, deletedRow{
					ID: r.ID, RegistryName: r.Name, RegistryType: string(r.Type), DomainName: r.DomainName, ImageCount: r.ImageCount,
					GmtDelete: s.when(r.Deleted), GmtRestore: s.when(r.Deleted.Add(undo)),
				})
			}
			return resp, nil
		},
	}.Endpoint()
}
