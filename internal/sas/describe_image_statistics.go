package sas

import (
	"context"

	"portolan/internal/rpc"
)

type describeImageStatisticsResponse struct {
	InstanceCount     int `doc:"The images of the account." example:"5"`
	RiskInstanceCount int `doc:"Images with risks; 0 until scanning exists." example:"0"`
}

func (s *Service) describeImageStatistics() rpc.Endpoint {
	return rpc.Operation[struct{}, describeImageStatisticsResponse]{
		Spec: vendor("DescribeImageStatistics", rpc.Read, "Counts the images of the account.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, _ *struct{}) (*describeImageStatisticsResponse, error) {
			registries, err := s.DB.Registries(ctx, caller.Principal.AccountID)
			if err != nil {
				return nil, err
			}
			return &describeImageStatisticsResponse{InstanceCount: registries.Images(), RiskInstanceCount: riskyImages}, nil
		},
	}.Endpoint()
}
