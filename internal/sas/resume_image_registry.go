package sas

import (
	"context"

	"portolan/internal/rpc"
)

func (s *Service) resumeImageRegistry() rpc.Endpoint {
	return rpc.Operation[registryRequest, doneResponse]{
		Spec: own("ResumeImageRegistry", rpc.Write, "Resumes a paused registry, and reads it at once.", `
Resuming a registry that is not paused changes nothing.`,
			errNoRegistry, rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "A CI/CD registry is not read."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*doneResponse, error) {
			if err := s.Inventory.Resume(ctx, caller.Principal.AccountID, req.RegistryID); err != nil {
				return nil, err
			}
			return &doneResponse{Data: true}, nil
		},
	}.Endpoint()
}
