package sas

import (
	"context"
	"time"

	"portolan/internal/rpc"
)

type enrollAgentRequest struct {
	VpcID      string `rpc:"VpcId" required:"true" range:"1,64" doc:"The VPC that the agent serves, as registries of NetType 2 name it." example:"vpc-0123456789"`
	AgentName  string `range:"0,64" doc:"A name to show; that of the VPC if it is left out." example:"harbor-lab"`
	TokenHours int    `range:"1,720" default:"24" doc:"For how many hours the token counts." example:"24"`
}

type enrollAgentResponse struct {
	Data agentToken `doc:"The agent and its token."`
}

type agentToken struct {
	AgentID         string `json:"AgentId" doc:"The id of the agent." example:"agt-0123456789abcdef"`
	AgentName       string `doc:"The name of the agent." example:"harbor-lab"`
	VpcID           string `json:"VpcId" doc:"The VPC that it serves." example:"vpc-0123456789"`
	Token           string `doc:"What the agent enrols with at its first start. It counts once, and is shown only here." example:"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"`
	TokenExpireTime string `doc:"Until when the token counts." example:"2026-01-03 10:23:30"`
}

func (s *Service) enrollAgent() rpc.Endpoint {
	return rpc.Operation[enrollAgentRequest, enrollAgentResponse]{
		Spec: own("EnrollAgent", rpc.Write, "Enrols an agent that carries connections into a VPC.", `
An agent serves the registries of its account that are in its VPC, and no others. With several agents for a VPC they share the work.`,
			rpc.Err{Code: "LimitExceeded.Agent", Status: 400, Doc: "The account has 1,000 agents."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *enrollAgentRequest) (*enrollAgentResponse, error) {
			life := time.Duration(req.TokenHours) * time.Hour
			a, token, err := s.Agents.Enroll(ctx, caller.Principal.AccountID, req.VpcID, req.AgentName, life)
			if err != nil {
				return nil, err
			}
			return &enrollAgentResponse{Data: agentToken{a.ID, a.Name, a.VpcID, token, s.when(a.TokenExpires)}}, nil
		},
	}.Endpoint()
}
