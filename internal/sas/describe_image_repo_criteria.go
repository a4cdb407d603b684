package sas

import (
	"context"

	"portolan/internal/rpc"
)

func (s *Service) describeImageRepoCriteria() rpc.Endpoint {
	return rpc.Operation[criteriaListRequest, criteriaListResponse]{
		Spec: vendor("DescribeImageRepoCriteria", rpc.Read, "Lists the conditions by which repositories can be selected.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *criteriaListRequest) (*criteriaListResponse, error) {
			return s.criteriaList(ctx, caller.Principal.AccountID, req.Value, false)
		},
	}.Endpoint()
}
