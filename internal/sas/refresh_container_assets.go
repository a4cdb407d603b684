package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
)

type refreshContainerAssetsRequest struct {
	AssetType string `required:"true" enum:"IMAGE,CONTAINER" doc:"IMAGE; CONTAINER is not supported." example:"IMAGE"`
}

type emptyResponse struct{}

func (s *Service) refreshContainerAssets() rpc.Endpoint {
	return rpc.Operation[refreshContainerAssetsRequest, emptyResponse]{
		Spec: vendor("RefreshContainerAssets", rpc.Write, "Reads every registry of the account again, spread over 10 minutes.", `
Registries that are paused are left out, those with a syncWindow wait for it.`,
			rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "AssetType CONTAINER."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *refreshContainerAssetsRequest) (*emptyResponse, error) {
			if req.AssetType != "IMAGE" {
				return nil, portolan.Refused("UnsupportedOperation", "AssetType CONTAINER is not supported: Portolan reads registries, not clusters. Use IMAGE.")
			}
			return &emptyResponse{}, s.Inventory.RefreshAll(ctx, caller.Principal.AccountID)
		},
	}.Endpoint()
}
