package sas

import (
	"context"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/rpc"
)

// registryFields are the parameters that make a registry what it is.
type registryFields struct {
	RegistryName     string `range:",128" doc:"The name, 1 to 128 characters; the host if absent." example:"harbor-prod"`
	RegistryHostIP   string `rpc:"RegistryHostIp" doc:"An address to dial instead of looking the host up; Host header and TLS name stay DomainName." example:"203.0.113.10"`
	Port             int    `range:"1,65535" doc:"The port; 80 or 443 by protocol if absent." example:"443"`
	ProtocolType     int64  `enum:"1,2" doc:"1 HTTP, 2 HTTPS (default)." example:"2"`
	NetType          int64  `enum:"1,2" doc:"1 Internet (default), 2 VPC." example:"1"`
	VpcID            string `rpc:"VpcId" doc:"The VPC; required with NetType 2, refused with 1." example:"vpc-0123456789"`
	RegistryRegionID string `rpc:"RegistryRegionId" doc:"A region label of 1 to 64 of a-z, 0-9 and -; cn-hangzhou if absent." example:"cn-hangzhou"`
	RegistryVersion  string `doc:"V2, the only one." example:"V2"`
	PersistenceDay   int    `range:"1,3650" doc:"Days for which a gone image is remembered; 30 if absent." example:"30"`
	WhiteList        string `doc:"Addresses and CIDR prefixes, comma-separated, at most 100." example:"192.0.2.0/24"`
	BlackList        string `doc:"Addresses and CIDR prefixes, comma-separated, at most 100." example:"203.0.113.0/24"`
	ExtraParam       string `doc:"JSON: a list of {namespace, authToken}, or an object with namespaces, repositories (scope), authTokens, caCertificate (PEM), certificateSha256, excludeRepositories (patterns: * within a segment, ** across), requestsPerMinute (1 to 60000, 0 for any number) and syncWindow (HH:MM-HH:MM in the server's zone)." example:"{\"namespaces\":[\"platform\"]}"`
}

// bodyFields are those that ModifyImageRegistry has in its body.
type bodyFields struct {
	UserName     string `doc:"The user; absent for anonymous reading. Prefer a robot account for Harbor." example:"robot$portolan"`
	Password     string `doc:"The password or secret. It never comes back out." example:"secret"`
	TransPerHour int    `range:"1,100000" doc:"Scans per hour at most; 30 if absent." example:"10"`
}

func (f *registryFields) fields(domain string, b *bodyFields) registry.Fields {
	return registry.Fields{
		Name: f.RegistryName, DomainName: domain, HostIP: f.RegistryHostIP, UserName: b.UserName, Password: b.Password,
		VpcID: f.VpcID, RegionID: f.RegistryRegionID, Version: f.RegistryVersion, WhiteList: f.WhiteList, BlackList: f.BlackList,
		ExtraParam: f.ExtraParam, Port: f.Port, Protocol: int(f.ProtocolType), NetType: int(f.NetType),
		TransPerHour: b.TransPerHour, PersistenceDay: f.PersistenceDay,
	}
}

type addPrivateRegistryRequest struct {
	RegistryType string `required:"true" doc:"harbor, quay, acr or oci (any registry that speaks the OCI Distribution API)." example:"harbor"`
	DomainName   string `required:"true" doc:"A host name or address without scheme, port or path." example:"harbor.example.com"`
	registryFields
	bodyFields
}

type addPrivateRegistryResponse struct {
	Data addedRegistry `doc:"The new registry."`
}

type addedRegistry struct {
	AliUID          int64  `json:"AliUid" doc:"The account." example:"1000000000000001"`
	DomainName      string `doc:"The host." example:"harbor.example.com"`
	ID              int64  `json:"Id" doc:"The id of the registry." example:"1078312"`
	NetType         int64  `doc:"1 Internet, 2 VPC." example:"1"`
	Password        string `json:",omitempty" doc:"****** if there is one." example:"******"`
	ProtocolType    int64  `doc:"1 HTTP, 2 HTTPS." example:"2"`
	RegionID        string `json:"RegionId" doc:"The region label." example:"cn-hangzhou"`
	RegistryHostIP  string `json:"RegistryHostIp" doc:"The address that is dialled." example:"203.0.113.10"`
	RegistryType    string `doc:"The type." example:"harbor"`
	RegistryVersion string `doc:"V2." example:"V2"`
	Token           string `json:",omitempty" doc:"Of a CI/CD registry only." example:"3c3c602c****"`
	TransPerHour    int    `doc:"Scans per hour at most." example:"30"`
	UserName        string `doc:"The user." example:"robot$portolan"`
	VpcID           string `json:"VpcId" doc:"The VPC, with NetType 2." example:"vpc-0123456789"`
	Port            int    `doc:"The port." example:"443"`
	RegistryName    string `doc:"The name." example:"harbor-prod"`
}

func (s *Service) addPrivateRegistry() rpc.Endpoint {
	return rpc.Operation[addPrivateRegistryRequest, addPrivateRegistryResponse]{
		Spec: vendor("AddPrivateRegistry", rpc.Write, "Adds a registry and starts its first reading.", `
The form and the address rules are checked, the entry is saved, and the registry is read in the background: one that
cannot be read is saved and shown as failing. TestImageRegistry tries a registry before it is saved.`,
			rpc.Err{Code: "RegistryAlreadyExists", Status: 400, Doc: "The same type, host, port, user, VPC and host address exist already; the message names the Id."},
			rpc.Err{Code: "AddressForbidden", Status: 400, Doc: "The literal address is one that Portolan does not dial."},
			rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "RegistryVersion V1."},
			rpc.Err{Code: "LimitExceeded.Registry", Status: 400, Doc: "The account holds 50,000 registries."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *addPrivateRegistryRequest) (*addPrivateRegistryResponse, error) {
			r, err := s.Registries.Add(ctx, caller.Principal.AccountID, portolan.RegistryType(req.RegistryType), req.fields(req.DomainName, &req.bodyFields))
			if err != nil {
				return nil, err
			}
			return &addPrivateRegistryResponse{Data: added(r)}, nil
		},
	}.Endpoint()
}

func added(r *portolan.Registry) addedRegistry {
	return addedRegistry{
		AliUID: r.AccountID, DomainName: r.DomainName, ID: r.ID, NetType: int64(r.NetType), Password: password(r), Port: r.Port,
		ProtocolType: int64(r.Protocol), RegionID: r.RegionID, RegistryHostIP: r.HostIP, RegistryName: r.Name, RegistryType: string(r.Type),
		RegistryVersion: r.Version, Token: token(r), TransPerHour: r.TransPerHour, UserName: r.UserName, VpcID: r.VpcID,
	}
}
