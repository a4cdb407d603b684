package sas

import (
	"context"

	"portolan/internal/rpc"
)

func (s *Service) restoreImageRegistry() rpc.Endpoint {
	return rpc.Operation[registryRequest, doneResponse]{
		Spec: own("RestoreImageRegistry", rpc.Write, "Brings back a registry that was deleted within the last 7 days.", `
Its images, their history and their ids come back with it, and it is read at once.`,
			errNoRegistry, rpc.Err{Code: "RegistryAlreadyExists", Status: 400, Doc: "The same registry was added since."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*doneResponse, error) {
			if err := s.Registries.Restore(ctx, caller.Principal.AccountID, req.RegistryID); err != nil {
				return nil, err
			}
			return &doneResponse{Data: true}, nil
		},
	}.Endpoint()
}
