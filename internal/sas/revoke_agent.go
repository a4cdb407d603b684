package sas

import (
	"context"
	"errors"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type revokeAgentRequest struct {
	AgentID string `rpc:"AgentId" required:"true" range:"1,64" doc:"The agent." example:"agt-0123456789abcdef"`
}

func (s *Service) revokeAgent() rpc.Endpoint {
	return rpc.Operation[revokeAgentRequest, doneResponse]{
		Spec: own("RevokeAgent", rpc.Write, "Revokes an agent for good.", `
What it carries is cut: at once on the server that is called, within 2 seconds on others. It cannot connect again, and a token that was not used counts no more.`,
			rpc.Err{Code: "AgentNotExist", Status: 400, Doc: "The account has no agent of that id."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *revokeAgentRequest) (*doneResponse, error) {
			err := s.Agents.Revoke(ctx, caller.Principal.AccountID, req.AgentID)
			if errors.Is(err, store.ErrNotFound) {
				return nil, portolan.Refused("AgentNotExist", "The specified agent does not exist.")
			}
			return &doneResponse{Data: err == nil}, err
		},
	}.Endpoint()
}
