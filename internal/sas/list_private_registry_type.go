package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
)

type langRequest struct {
	Lang string `doc:"Accepted and without effect." example:"en"`
}

type listPrivateRegistryTypeResponse struct {
	RegistryTypeInfos []registryTypeInfo `doc:"The five types, in order."`
}

type registryTypeInfo struct {
	Count        int64  `doc:"The registries of the type." example:"2"`
	RegistryType string `doc:"The type." example:"harbor"`
}

func (s *Service) listPrivateRegistryType() rpc.Endpoint {
	return rpc.Operation[langRequest, listPrivateRegistryTypeResponse]{
		Spec: vendor("ListPrivateRegistryType", rpc.List, "Counts the registries by type, zeros included.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, _ *langRequest) (*listPrivateRegistryTypeResponse, error) {
			registries, err := s.DB.Registries(ctx, caller.Principal.AccountID)
			if err != nil {
				return nil, err
			}
			counts := map[portolan.RegistryType]int64{}
			for t := range registries.Kinds {
				counts[t]++
			}
			resp := &listPrivateRegistryTypeResponse{}
			for _, t := range portolan.RegistryTypes() {
				resp.RegistryTypeInfos = append(resp.RegistryTypeInfos, registryTypeInfo{Count: counts[t], RegistryType: string(t)})
			}
			return resp, nil
		},
	}.Endpoint()
}
