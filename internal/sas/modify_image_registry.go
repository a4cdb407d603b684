package sas

import (
	"context"

	"portolan/internal/rpc"
)

type modifyImageRegistryRequest struct {
	ID          int64    `rpc:"Id" required:"true" range:"1," in:"body" doc:"The id of the registry." example:"390103286"`
	DomainName  string   `doc:"Another host. Needs the Password again." example:"harbor2.example.com"`
	ClearFields []string `doc:"Fields to empty: RegistryHostIp, UserName, Password, VpcId, WhiteList, BlackList, ExtraParam." example:"RegistryHostIp"`
	registryFields
	bodyFields `in:"body"`
}

type modifyImageRegistryResponse struct {
	outcome
}

// outcome is the envelope that some answers carry.
type outcome struct {
	Code           string `doc:"200." example:"200"`
	Data           bool   `doc:"true." example:"true"`
	HTTPStatusCode int    `json:"HttpStatusCode" doc:"200." example:"200"`
	Message        string `doc:"success." example:"success"`
	Success        bool   `doc:"true." example:"true"`
	TimeCost       int64  `doc:"Always 0: the time is in the server's metrics." example:"0"`
}

func succeeded() outcome {
	return outcome{Code: "200", Data: true, HTTPStatusCode: 200, Message: "success", Success: true}
}

func (s *Service) modifyImageRegistry() rpc.Endpoint {
	return rpc.Operation[modifyImageRegistryRequest, modifyImageRegistryResponse]{
		Spec: vendor("ModifyImageRegistry", rpc.Write, "Changes a registry.", `
Absent or empty parameters leave what is there; ClearFields empties. A change of DomainName, RegistryHostIp, Port,
ProtocolType, NetType, VpcId or of the trusted certificate needs the Password (and the authTokens) again in the same
call: a stored secret is never sent to a new place. After a change of how it is read, the registry is read at once.`,
			errNoRegistry,
			rpc.Err{Code: "MissingPassword", Status: 400, Doc: "The call changes where secrets are sent, and does not give them again."},
			rpc.Err{Code: "RegistryAlreadyExists", Status: 400, Doc: "The change would make it the same as another registry."},
			rpc.Err{Code: "AddressForbidden", Status: 400, Doc: "The literal address is one that Portolan does not dial."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *modifyImageRegistryRequest) (*modifyImageRegistryResponse, error) {
			err := s.Registries.Modify(ctx, caller.Principal.AccountID, req.ID, req.fields(req.DomainName, &req.bodyFields), req.ClearFields)
			if err != nil {
				return nil, err
			}
			return &modifyImageRegistryResponse{succeeded()}, nil
		},
	}.Endpoint()
}
