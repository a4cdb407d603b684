package sas

import (
	"context"

	"portolan/internal/rpc"
)

func (s *Service) describeImageCriteria() rpc.Endpoint {
	return rpc.Operation[criteriaListRequest, criteriaListResponse]{
		Spec: vendor("DescribeImageCriteria", rpc.Read, "Lists the conditions by which images can be selected.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *criteriaListRequest) (*criteriaListResponse, error) {
			return s.criteriaList(ctx, caller.Principal.AccountID, req.Value, true)
		},
	}.Endpoint()
}
