package sas

import (
	"context"

	"portolan/internal/rpc"
)

type describeImageRepoDetailListRequest struct {
	criteriaRequest
	rpc.Paging
}

type describeImageRepoDetailListResponse struct {
	ImageRepoResponses []repoDetail `doc:"The repositories of the page, the newest first."`
	PageInfo           pageInfo     `doc:"Where the page is."`
}

type repoDetail struct {
	risk
	placed
	HasRiskImageCount int    `doc:"Images with risks; 0 until scanning exists." example:"0"`
	ImageCount        int    `doc:"The images in the repository." example:"3"`
	SourceBizTag      string `doc:"Always empty." example:""`
	RegistryID        int64  `json:"RegistryId" doc:"The registry it is in." example:"22233"`
}

func (s *Service) describeImageRepoDetailList() rpc.Endpoint {
	return rpc.Operation[describeImageRepoDetailListRequest, describeImageRepoDetailListResponse]{
		Spec: vendor("DescribeImageRepoDetailList", rpc.List, "Lists repositories with their images counted.", `
The sum of ImageCount over a registry's repositories is the ImageCount of the registry.`),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageRepoDetailListRequest) (*describeImageRepoDetailListResponse, error) {
			c, err := req.criteria()
			if err != nil {
				return nil, err
			}
			list, total, err := s.DB.Repositories(ctx, caller.Principal.AccountID, c, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeImageRepoDetailListResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for i := range list {
				p := &list[i]
				resp.ImageRepoResponses = append(resp.ImageRepoResponses, repoDetail{
					risk: noRisk(), placed: placeOf(p), HasRiskImageCount: riskyImages, ImageCount: p.ImageCount, RegistryID: p.Registry.ID,
				})
			}
			return resp, nil
		},
	}.Endpoint()
}
