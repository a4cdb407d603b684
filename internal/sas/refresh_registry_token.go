package sas

import (
	"context"
	"time"

	"portolan/internal/rpc"
)

type refreshRegistryTokenRequest struct {
	RegistryID   int64 `rpc:"RegistryId" required:"true" range:"1," doc:"The registry, of type CI/CD." example:"443496"`
	GraceSeconds int   `range:"0,604800" doc:"For how long the old token stays valid; it ends at once if absent." example:"3600"`
}

type refreshRegistryTokenResponse struct {
	Data string `doc:"The whole new token, here and never again." example:"77ba3bf5-af95-4b77-aa94-0123456789ab"`
}

func (s *Service) refreshRegistryToken() rpc.Endpoint {
	return rpc.Operation[refreshRegistryTokenRequest, refreshRegistryTokenResponse]{
		Spec: vendor("RefreshRegistryToken", rpc.Write, "Makes a new token for a CI/CD registry.", `
The old token ends at once, or after GraceSeconds, so that builds can be given the new one before. One older than the old
one always ends.`, errNoRegistry, errNotCI),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *refreshRegistryTokenRequest) (*refreshRegistryTokenResponse, error) {
			token, err := s.Registries.RefreshToken(ctx, caller.Principal.AccountID, req.RegistryID, time.Duration(req.GraceSeconds)*time.Second)
			if err != nil {
				return nil, err
			}
			return &refreshRegistryTokenResponse{token}, nil
		},
	}.Endpoint()
}
