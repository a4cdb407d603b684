package sas

import (
	"context"
	"fmt"

	"portolan/internal/rpc"
)

type refreshRegistryWebhookResponse struct {
	Data registryWebhook `doc:"The webhook. This is the only answer that has its secret."`
}

type registryWebhook struct {
	RegistryID int64  `json:"RegistryId" doc:"The registry." example:"22233"`
	Secret     string `doc:"The secret of the webhook: 32 hex digits." example:"0f1e2d3c4b5a69788796a5b4c3d2e1f0"`
	Path       string `doc:"Where the registry sends its events, on this server: the path of a URL." example:"/hooks/22233/0f1e2d3c4b5a69788796a5b4c3d2e1f0"`
}

func (s *Service) refreshRegistryWebhook() rpc.Endpoint {
	return rpc.Operation[registryRequest, refreshRegistryWebhookResponse]{
		Spec: own("RefreshRegistryWebhook", rpc.Write, "Makes a new secret for a registry's webhook.", `
The registry sends its events to the path of the answer, with POST: those of Harbor (default or CloudEvents), Quay, ACR,
distribution and zot are understood. An event has the repository that it names read again, at once; it changes nothing
by itself. Only a keyed hash of the secret is kept, and the one before it is refused from now on.`,
			errNoRegistry, rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "A CI/CD registry reports its images itself."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *registryRequest) (*refreshRegistryWebhookResponse, error) {
			secret, err := s.Registries.NewHook(ctx, caller.Principal.AccountID, req.RegistryID)
			if err != nil {
				return nil, err
			}
			return &refreshRegistryWebhookResponse{Data: registryWebhook{
				RegistryID: req.RegistryID, Secret: secret, Path: fmt.Sprintf("/hooks/%d/%s", req.RegistryID, secret),
			}}, nil
		},
	}.Endpoint()
}
