package sas

import (
	"context"
	"maps"
	"slices"

	"portolan/internal/rpc"
)

type listImageRegistryExtraResponse struct {
	ImageRegistryExtraInfos []extraInfo `doc:"One row for each namespace."`
}

type extraInfo struct {
	AliUID       int64  `json:"AliUid" doc:"The account." example:"1000000000000001"`
	AuthToken    string `json:",omitempty" doc:"The first characters of the token of the namespace." example:"64ad8ddf****"`
	ID           int64  `json:"Id" doc:"The number of the row, from 1." example:"1"`
	Namespace    string `doc:"The namespace." example:"public-goods"`
	RegistryID   int64  `json:"RegistryId" doc:"The registry." example:"25363"`
	RegistryType string `doc:"The type of the registry." example:"quay"`
}

func (s *Service) listImageRegistryExtra() rpc.Endpoint {
	return rpc.Operation[registryRequest, listImageRegistryExtraResponse]{
		Spec: vendor("ListImageRegistryExtra", rpc.List, "Lists the namespaces that a registry is bound to, with their masked tokens.", "", errNoRegistry),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*listImageRegistryExtraResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			namespaces := slices.Sorted(maps.Keys(r.Extra.TokenMasks))
			for _, n := range r.Extra.Namespaces {
				if r.Extra.TokenMasks[n] == "" {
					namespaces = append(namespaces, n)
				}
			}
			slices.Sort(namespaces)
			resp := &listImageRegistryExtraResponse{}
			for i, n := range namespaces {
				resp.ImageRegistryExtraInfos = append(resp.ImageRegistryExtraInfos, extraInfo{
					AliUID: r.AccountID, AuthToken: r.Extra.TokenMasks[n], ID: int64(i + 1), Namespace: n, RegistryID: r.ID, RegistryType: string(r.Type),
				})
			}
			return resp, nil
		},
	}.Endpoint()
}
