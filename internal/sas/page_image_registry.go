package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type pageImageRegistryRequest struct {
	rpc.Paging            `in:"body"`
	RegistryNameLike      string   `in:"body" range:",256" doc:"A part of RegistryName. Compared after Unicode case folding; no character is special." example:"asa"`
	RegistryTypeInList    []string `in:"body" doc:"Only registries of these types. A type that does not exist matches nothing." example:"harbor"`
	RegistryTypeNotInList []string `in:"body" doc:"No registries of these types." example:"CI/CD"`
	SourceIP              string   `rpc:"SourceIp" doc:"The address that the client claims to have. It is logged and decides nothing." example:"203.0.113.7"`
}

type pageImageRegistryResponse struct {
	List     []*registryRow `doc:"The registries of the page, newest first."`
	PageInfo pageInfo       `doc:"Where the page is."`
}

type registryRow struct {
	BlackList      string `doc:"Addresses whose reports are refused." example:"203.0.113.0/24"`
	DomainName     string `doc:"The host of the registry." example:"harbor.example.com"`
	GmtCreate      string `doc:"When the entry was made." example:"2026-01-02 10:23:30"`
	GmtModified    string `doc:"When the entry was last changed by a call." example:"2026-01-02 10:23:30"`
	ID             int64  `json:"Id" doc:"The id of the registry." example:"1078312"`
	ImageCount     int    `doc:"The distinct images of the last complete reading of each repository." example:"1"`
	JenkinsEnv     string `doc:"The label that the last CI report gave." example:"release"`
	NetType        int    `doc:"1 Internet, 2 VPC." example:"1"`
	Password       string `json:",omitempty" doc:"****** if there is one." example:"******"`
	PersistenceDay int    `doc:"Days for which a gone image is remembered." example:"30"`
	ProtocolType   int    `doc:"1 HTTP, 2 HTTPS." example:"2"`
	RegionID       string `json:"RegionId" doc:"The region label." example:"cn-hangzhou"`
	RegistryHostIP string `json:"RegistryHostIp" doc:"The address that is dialled instead of looking the host up." example:"203.0.113.10"`
	RegistryName   string `doc:"The name." example:"test1"`
	RegistryType   string `doc:"acr, harbor, quay, CI/CD or oci." example:"harbor"`
	Token          string `json:",omitempty" doc:"The first characters of the token of a CI/CD registry." example:"c7b90d29****"`
	TransPerHour   int    `doc:"Scans per hour at most." example:"30"`
	UserName       string `doc:"The user." example:"robot$portolan"`
	VpcID          string `json:"VpcId" doc:"The VPC, with NetType 2." example:"vpc-0123456789"`
	WhiteList      string `doc:"The only addresses whose reports are taken." example:"192.0.2.0/24"`
	registryState

	json []byte // of all of the above
}

func (s *Service) pageImageRegistry() rpc.Endpoint {
	return rpc.Operation[pageImageRegistryRequest, pageImageRegistryResponse]{
		Spec: vendor("PageImageRegistry", rpc.List, "Queries image registries by page.", `
Filters combine with AND. The order is GmtCreate, then Id, descending. Totals are exact.`),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *pageImageRegistryRequest) (*pageImageRegistryResponse, error) {
			registries, err := s.DB.Registries(ctx, caller.Principal.AccountID)
			if err != nil {
				return nil, err
			}
			page, total := registries.Page(store.RegistryFilter{
				NameLike: req.RegistryNameLike, Types: req.RegistryTypeInList, NotTypes: req.RegistryTypeNotInList,
			}, req.CurrentPage, req.PageSize)
			rows := s.ready.of(page, s.registryRow)
			return &pageImageRegistryResponse{List: rows, PageInfo: pageOf(req.Paging, len(rows), total)}, nil
		},
	}.Endpoint()
}

func (s *Service) registryRow(r *portolan.Registry) registryRow {
	return registryRow{
		BlackList: r.BlackList, DomainName: r.DomainName, GmtCreate: s.when(r.Created), GmtModified: s.when(r.Modified),
		ID: r.ID, ImageCount: r.ImageCount, JenkinsEnv: r.JenkinsEnv, NetType: r.NetType, Password: password(r),
		PersistenceDay: r.PersistenceDay, ProtocolType: r.Protocol, RegionID: r.RegionID, RegistryHostIP: r.HostIP,
		RegistryName: r.Name, RegistryType: string(r.Type), Token: token(r), TransPerHour: r.TransPerHour,
		UserName: r.UserName, VpcID: r.VpcID, WhiteList: r.WhiteList, registryState: s.stateOf(r),
	}
}
