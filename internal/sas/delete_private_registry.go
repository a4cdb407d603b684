package sas

import (
	"context"

	"portolan/internal/rpc"
)

type registryRequest struct {
	RegistryID int64 `rpc:"RegistryId" required:"true" range:"1," doc:"The id of the registry." example:"22233"`
}

type doneResponse struct {
	Data bool `doc:"true." example:"true"`
}

func (s *Service) deletePrivateRegistry() rpc.Endpoint {
	return rpc.Operation[registryRequest, doneResponse]{
		Spec: vendor("DeletePrivateRegistry", rpc.Write, "Deletes a registry.", `
The entry and its images are hidden at once, can be restored for 7 days (RestoreImageRegistry), and are then purged.`, errNoRegistry),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*doneResponse, error) {
			if err := s.Registries.Delete(ctx, caller.Principal.AccountID, req.RegistryID); err != nil {
				return nil, err
			}
			return &doneResponse{Data: true}, nil
		},
	}.Endpoint()
}
