package sas

import (
	"context"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/rpc"
)

// claimed is what a client says of its own address.
type claimed struct {
	SourceIP string `rpc:"SourceIp" doc:"Logged as a claim; never used." example:"192.0.2.1"`
}

type createJenkinsImageRegistryRequest struct {
	jenkinsFields `in:"body"`
	claimed
}

type jenkinsFields struct {
	BlackList       string `doc:"Addresses and CIDR prefixes whose reports are refused, comma-separated, at most 100." example:"203.0.113.0/24"`
	DomainName      string `doc:"The host of the build system, as a note: it is never contacted." example:"jenkins.example.com"`
	ExtraParam      string `doc:"As in AddPrivateRegistry; not used for reports." example:"{}"`
	NetType         int    `enum:"1,2" doc:"1 Internet (default), 2 VPC." example:"1"`
	Password        string `doc:"Kept sealed and not used: builds report with the token." example:"secret"`
	PersistenceDay  int    `range:"1,3650" doc:"Days after which an image leaves the lists that is not reported again; 30 if absent." example:"30"`
	ProtocolType    int    `enum:"1,2" doc:"1 HTTP, 2 HTTPS (default)." example:"2"`
	RegionID        string `rpc:"RegionId" doc:"A region label of 1 to 64 of a-z, 0-9 and -; cn-hangzhou if absent." example:"cn-shanghai"`
	RegistryHostIP  string `rpc:"RegistryHostIp" doc:"The address of the build system, as a note." example:"203.0.113.10"`
	RegistryName    string `range:",128" doc:"The name, 1 to 128 characters; DomainName or CI/CD if absent." example:"jenkins"`
	RegistryType    string `enum:"CI/CD" doc:"CI/CD." example:"CI/CD"`
	RegistryVersion string `doc:"-, V1 or V2; means nothing here." example:"-"`
	TransPerHour    int    `range:"1,100000" doc:"Scans per hour at most; 30 if absent. It does not limit reports." example:"30"`
	UserName        string `doc:"The user that goes with Password." example:"jenkins"`
	VpcID           string `rpc:"VpcId" doc:"The VPC; required with NetType 2, refused with 1." example:"vpc-0123456789"`
	WhiteList       string `doc:"The only addresses and CIDR prefixes whose reports are taken, comma-separated, at most 100; all if absent." example:"192.0.2.0/24"`
}

type createJenkinsImageRegistryResponse struct {
	Data jenkinsRegistry `doc:"The new registry."`
	timed
}

// timed is the end of the answers about CI/CD registries.
type timed struct {
	HTTPStatusCode int   `json:"HttpStatusCode" doc:"200." example:"200"`
	TimeCost       int64 `doc:"Always 0: the time is in the server's metrics." example:"0"`
}

func inTime() timed { return timed{HTTPStatusCode: 200} }

type jenkinsRegistry struct {
	BlackList      string `doc:"Addresses whose reports are refused." example:"203.0.113.0/24"`
	DomainName     string `doc:"The host of the build system." example:"jenkins.example.com"`
	GmtCreate      string `doc:"When the entry was made." example:"2026-01-02 10:23:30"`
	GmtModified    string `doc:"When the entry was last changed by a call." example:"2026-01-02 10:23:30"`
	ID             int64  `json:"Id" doc:"The id of the registry." example:"443496"`
	NetType        int    `doc:"1 Internet, 2 VPC." example:"1"`
	Password       string `json:",omitempty" doc:"****** if there is one." example:"******"`
	PersistenceDay int    `doc:"Days for which an image stays that is not reported again." example:"30"`
	ProtocolType   int    `doc:"1 HTTP, 2 HTTPS." example:"2"`
	RegionID       string `json:"RegionId" doc:"The region label." example:"cn-shanghai"`
	RegistryHostIP string `json:"RegistryHostIp" doc:"The address of the build system." example:"203.0.113.10"`
	RegistryName   string `doc:"The name." example:"jenkins"`
	RegistryType   string `doc:"CI/CD." example:"CI/CD"`
	Token          string `doc:"The whole token, here and never again. Builds report with it." example:"3c3c602c-fa1f-4bc0-992f-b4b2cac70000"`
	TransPerHour   int    `doc:"Scans per hour at most." example:"30"`
	UserName       string `doc:"The user." example:"jenkins"`
	VpcID          string `json:"VpcId" doc:"The VPC, with NetType 2." example:"vpc-0123456789"`
	WhiteList      string `doc:"The only addresses whose reports are taken." example:"192.0.2.0/24"`
}

func (s *Service) createJenkinsImageRegistry() rpc.Endpoint {
	return rpc.Operation[createJenkinsImageRegistryRequest, createJenkinsImageRegistryResponse]{
		Spec: vendor("CreateJenkinsImageRegistry", rpc.Write, "Adds a registry of a build system, which reports its images.", `
Nothing is contacted: builds report with the token, by CreateJenkinsImageScanTask or to /reports/<Id>. The token is
answered whole here and never again; RefreshRegistryToken makes another one. SyncStatus is pending until the first report.`,
			rpc.Err{Code: "LimitExceeded.Registry", Status: 400, Doc: "The account holds 50,000 registries."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *createJenkinsImageRegistryRequest) (*createJenkinsImageRegistryResponse, error) {
			r, token, err := s.Registries.AddCI(ctx, caller.Principal.AccountID, req.fields())
			if err != nil {
				return nil, err
			}
			return &createJenkinsImageRegistryResponse{Data: s.jenkinsRegistry(r, token), timed: inTime()}, nil
		},
	}.Endpoint()
}

func (f *jenkinsFields) fields() registry.Fields {
	return registry.Fields{
		Name: f.RegistryName, DomainName: f.DomainName, HostIP: f.RegistryHostIP, UserName: f.UserName, Password: f.Password,
		VpcID: f.VpcID, RegionID: f.RegionID, Version: f.RegistryVersion, WhiteList: f.WhiteList, BlackList: f.BlackList,
		ExtraParam: f.ExtraParam, Protocol: f.ProtocolType, NetType: f.NetType, TransPerHour: f.TransPerHour, PersistenceDay: f.PersistenceDay,
	}
}

func (s *Service) jenkinsRegistry(r *portolan.Registry, token string) jenkinsRegistry {
	return jenkinsRegistry{
		BlackList: r.BlackList, DomainName: r.DomainName, GmtCreate: s.when(r.Created), GmtModified: s.when(r.Modified), ID: r.ID,
		NetType: r.NetType, Password: password(r), PersistenceDay: r.PersistenceDay, ProtocolType: r.Protocol, RegionID: r.RegionID,
		RegistryHostIP: r.HostIP, RegistryName: r.Name, RegistryType: string(r.Type), Token: token, TransPerHour: r.TransPerHour,
		UserName: r.UserName, VpcID: r.VpcID, WhiteList: r.WhiteList,
	}
}
