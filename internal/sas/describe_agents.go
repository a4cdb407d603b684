package sas

import (
	"context"
	"time"

	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeAgentsRequest struct {
	VpcID string `rpc:"VpcId" range:"0,64" doc:"Only agents of this VPC." example:"vpc-0123456789"`
	rpc.Paging
}

type describeAgentsResponse struct {
	List     []agentRow `doc:"The agents of the page, the latest first."`
	PageInfo pageInfo   `doc:"Where the page is."`
}

type agentRow struct {
	AgentID         string `json:"AgentId" doc:"The id of the agent." example:"agt-0123456789abcdef"`
	AgentName       string `doc:"The name of the agent." example:"harbor-lab"`
	VpcID           string `json:"VpcId" doc:"The VPC that it serves." example:"vpc-0123456789"`
	Status          string `doc:"waiting until the token is used, or expired; then connected or disconnected, or revoked." example:"connected"`
	Connected       bool   `doc:"Whether a server has a connection of it." example:"true"`
	Servers         int    `doc:"The number of servers that it is connected to." example:"1"`
	Streams         int    `doc:"The number of connections that it carries." example:"4"`
	LastSeenTime    string `json:",omitempty" doc:"When it was last connected." example:"2026-01-02 10:23:30"`
	Version         string `json:",omitempty" doc:"Its version, as it says." example:"0.1.0"`
	Address         string `json:",omitempty" doc:"Where it connected from." example:"203.0.113.10"`
	CreateTime      string `doc:"When it was made." example:"2026-01-02 10:23:30"`
	EnrollTime      string `json:",omitempty" doc:"When its token was used." example:"2026-01-02 10:24:30"`
	TokenExpireTime string `json:",omitempty" doc:"Until when its token counts; absent once it was used." example:"2026-01-03 10:23:30"`
}

func (s *Service) describeAgents() rpc.Endpoint {
	return rpc.Operation[describeAgentsRequest, describeAgentsResponse]{
		Spec: own("DescribeAgents", rpc.List, "Lists the agents of the account.", `
Agents that are revoked, or whose token expired, are listed for 30 days more.`),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeAgentsRequest) (*describeAgentsResponse, error) {
			list, total, err := s.DB.Agents(ctx, caller.Principal.AccountID, req.VpcID, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeAgentsResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for _, a := range list {
				resp.List = append(resp.List, s.agentRow(a, s.Agents.Now()))
			}
			return resp, nil
		},
	}.Endpoint()
}

func (s *Service) agentRow(a *store.Agent, now time.Time) agentRow {
	row := agentRow{
		AgentID: a.ID, AgentName: a.Name, VpcID: a.VpcID, Connected: a.Sessions > 0, Servers: a.Sessions, Streams: a.Streams,
		LastSeenTime: s.when(a.LastSeen), Version: a.Version, Address: a.Address, CreateTime: s.when(a.Created), EnrollTime: s.when(a.Enrolled),
	}
	if a.Enrolled.IsZero() {
		row.TokenExpireTime = s.when(a.TokenExpires)
	}
	switch {
	case !a.Revoked.IsZero():
		row.Status = "revoked"
	case row.Connected:
		row.Status = "connected"
	case !a.Enrolled.IsZero():
		row.Status = "disconnected"
	case now.After(a.TokenExpires):
		row.Status = "expired"
	default:
		row.Status = "waiting"
	}
	return row
}
