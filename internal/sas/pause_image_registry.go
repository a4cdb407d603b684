package sas

import (
	"context"

	"portolan/internal/rpc"
)

func (s *Service) pauseImageRegistry() rpc.Endpoint {
	return rpc.Operation[registryRequest, doneResponse]{
		Spec: own("PauseImageRegistry", rpc.Write, "Pauses a registry: it keeps its images and is not read.", `
Neither the schedule nor webhooks nor RefreshContainerAssets have it read. A reading under way ends within half a
minute, as partial: what it has read is kept, nothing is removed. TestImageRegistry works as ever. Pausing a registry
that is paused changes nothing.`,
			errNoRegistry, rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "A CI/CD registry is not read."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*doneResponse, error) {
			if err := s.Inventory.Pause(ctx, caller.Principal.AccountID, req.RegistryID); err != nil {
				return nil, err
			}
			return &doneResponse{Data: true}, nil
		},
	}.Endpoint()
}
