package sas

import (
	"context"

	"portolan/internal/rpc"
)

type describeImageRegistrySyncsRequest struct {
	RegistryID int64 `rpc:"RegistryId" required:"true" range:"1," doc:"The registry." example:"22233"`
	rpc.Paging
}

type describeImageRegistrySyncsResponse struct {
	List     []syncRow `doc:"The readings of the page, the latest first."`
	PageInfo pageInfo  `doc:"Where the page is."`
}

func (s *Service) describeImageRegistrySyncs() rpc.Endpoint {
	return rpc.Operation[describeImageRegistrySyncsRequest, describeImageRegistrySyncsResponse]{
		Spec: own("DescribeImageRegistrySyncs", rpc.List, "Lists the readings of a registry: the last 100, or those of 90 days.", `
Of readings that events caused (Trigger webhook), the last 100 are kept beside those.`, errNoRegistry),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageRegistrySyncsRequest) (*describeImageRegistrySyncsResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			list, total, err := s.DB.Syncs(ctx, r.AccountID, r.ID, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeImageRegistrySyncsResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for _, x := range list {
				resp.List = append(resp.List, s.syncRow(x))
			}
			return resp, nil
		},
	}.Endpoint()
}
