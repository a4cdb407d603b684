package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
)

type listPrivateRegistryListRequest struct {
	RegistryType string `doc:"Only registries of this type." example:"harbor"`
}

type listPrivateRegistryListResponse struct {
	ImageRegistryInfos rpc.Seq[registryInfo] `doc:"All registries, newest first."`
}

type registryInfo struct {
	AliUID          int64  `json:"AliUid" doc:"The account." example:"1000000000000001"`
	DomainName      string `doc:"The host." example:"harbor.example.com"`
	ID              int64  `json:"Id" doc:"The id." example:"66485"`
	JenkinsEnv      string `doc:"The label that the last CI report gave." example:"release"`
	NetType         int64  `doc:"1 Internet, 2 VPC." example:"1"`
	Password        string `json:",omitempty" doc:"****** if there is one." example:"******"`
	PersistenceDay  int64  `doc:"Days for which a gone image is remembered." example:"90"`
	Port            int    `doc:"The port." example:"443"`
	ProtocolType    int64  `doc:"1 HTTP, 2 HTTPS." example:"2"`
	RegionID        string `json:"RegionId" doc:"The region label." example:"cn-hangzhou"`
	RegistryHostIP  string `json:"RegistryHostIp" doc:"The address that is dialled." example:"203.0.113.10"`
	RegistryName    string `doc:"The name." example:"test1"`
	RegistryType    string `doc:"The type." example:"harbor"`
	RegistryVersion string `doc:"V2." example:"V2"`
	Token           string `json:",omitempty" doc:"The first characters of the token of a CI/CD registry." example:"0da12bce****"`
	TransPerHour    int    `doc:"Scans per hour at most." example:"30"`
	UserName        string `doc:"The user." example:"robot$portolan"`
	VpcID           string `json:"VpcId" doc:"The VPC, with NetType 2." example:"vpc-0123456789"`
	WhiteList       string `doc:"The only addresses whose reports are taken." example:"192.0.2.0/24"`
	BlackList       string `doc:"Addresses whose reports are refused." example:"203.0.113.0/24"`
	LastEventTime   string `json:",omitempty" doc:"When the registry's webhook last told of a change." example:"2026-01-02 10:31:07"`

	registryManners
}

func (s *Service) listPrivateRegistryList() rpc.Endpoint {
	return rpc.Operation[listPrivateRegistryListRequest, listPrivateRegistryListResponse]{
		Spec: vendor("ListPrivateRegistryList", rpc.List, "Lists all registries, unpaged.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *listPrivateRegistryListRequest) (*listPrivateRegistryListResponse, error) {
			registries, err := s.DB.Registries(ctx, caller.Principal.AccountID)
			if err != nil {
				return nil, err
			}
			return &listPrivateRegistryListResponse{ImageRegistryInfos: func(yield func(registryInfo, error) bool) {
				for r := range registries.All {
					if (req.RegistryType == "" || req.RegistryType == string(r.Type)) && !yield(s.infoOf(r), nil) {
						return
					}
				}
			}}, nil
		},
	}.Endpoint()
}

func (s *Service) infoOf(r *portolan.Registry) registryInfo {
	return registryInfo{
		AliUID: r.AccountID, BlackList: r.BlackList, DomainName: r.DomainName, ID: r.ID, JenkinsEnv: r.JenkinsEnv, NetType: int64(r.NetType),
		Password: password(r), PersistenceDay: int64(r.PersistenceDay), Port: r.Port, ProtocolType: int64(r.Protocol), RegionID: r.RegionID,
		RegistryHostIP: r.HostIP, RegistryName: r.Name, RegistryType: string(r.Type), RegistryVersion: r.Version, Token: token(r),
		TransPerHour: r.TransPerHour, UserName: r.UserName, VpcID: r.VpcID, WhiteList: r.WhiteList, LastEventTime: s.when(r.LastEvent), registryManners: mannersOf(r),
	}
}
