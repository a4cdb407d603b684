package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeImageRequest struct {
	ImageInstanceID string `rpc:"ImageInstanceId" required:"true" doc:"The InstanceId or the id of the registry." example:"cri-0123456789abcdef"`
	ImageRegionID   string `rpc:"ImageRegionId" required:"true" doc:"The region label of the registry." example:"cn-hangzhou"`
	ImageRepoID     string `rpc:"ImageRepoId" required:"true" doc:"The RepoId." example:"crr-0123456789abcdef"`
	ImageTag        string `required:"true" doc:"A tag of the image." example:"1.8.0.15"`
}

type describeImageResponse struct {
	Data imageDigest `doc:"The image."`
}

type imageDigest struct {
	Digest string `doc:"What the tag names." example:"0afb98d97f1a4030782fcf47e186909e5ad957bcc182d8be70334e0684b2d7f1"`
}

func (s *Service) describeImage() rpc.Endpoint {
	return rpc.Operation[describeImageRequest, describeImageResponse]{
		Spec: vendor("DescribeImage", rpc.Read, "Answers the digest that a tag names.", "", errNoImage),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeImageRequest) (*describeImageResponse, error) {
			list, _, err := s.DB.Images(ctx, caller.Principal.AccountID, criteriaOf(
				store.Term{Field: store.FieldInstance, Values: []string{req.ImageInstanceID}},
				store.Term{Field: store.FieldRegion, Values: []string{req.ImageRegionID}},
				store.Term{Field: store.FieldRepo, Values: []string{req.ImageRepoID}},
				store.Term{Field: store.FieldTagIs, Values: []string{req.ImageTag}},
			), 1, 1)
			if err != nil {
				return nil, err
			}
			if len(list) == 0 {
				return nil, portolan.ErrImageNotExist
			}
			return &describeImageResponse{Data: imageDigest{list[0].Digest.Wire()}}, nil
		},
	}.Endpoint()
}
