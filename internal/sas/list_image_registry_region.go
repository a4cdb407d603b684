package sas

import (
	"context"
	"maps"
	"slices"

	"portolan/internal/rpc"
)

// DefaultRegions are shown although no registry uses them yet.
func DefaultRegions() []string { return []string{"cn-hangzhou", "ap-southeast-1"} }

type listImageRegistryRegionResponse struct {
	Regions []region `doc:"The configured regions, then every other one in use."`
}

type region struct {
	RegionID   string `json:"RegionId" doc:"The label." example:"cn-hangzhou"`
	RegionName string `doc:"The label again." example:"cn-hangzhou"`
}

func (s *Service) listImageRegistryRegion() rpc.Endpoint {
	return rpc.Operation[langRequest, listImageRegistryRegionResponse]{
		Spec: vendor("ListImageRegistryRegion", rpc.List, "Lists the regions that registries can be labelled with.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, _ *langRequest) (*listImageRegistryRegionResponse, error) {
			registries, err := s.DB.Registries(ctx, caller.Principal.AccountID)
			if err != nil {
				return nil, err
			}
			used := map[string]bool{}
			for _, region := range registries.Kinds {
				used[region] = !slices.Contains(s.Regions, region)
			}
			maps.DeleteFunc(used, func(_ string, other bool) bool { return !other })
			resp := &listImageRegistryRegionResponse{}
			for _, id := range slices.Concat(s.Regions, slices.Sorted(maps.Keys(used))) {
				resp.Regions = append(resp.Regions, region{id, id})
			}
			return resp, nil
		},
	}.Endpoint()
}
