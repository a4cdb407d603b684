package sas

import (
	"context"

	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeImageRepoListRequest struct {
	Type        string `required:"true" enum:"image_repo" doc:"image_repo." example:"image_repo"`
	TargetType  string `required:"true" enum:"image_repo" doc:"image_repo." example:"image_repo"`
	OperateType string `enum:"count,other" doc:"count leaves the list out." example:"count"`
	FieldName   string `enum:"repoName,repoNamespace" doc:"What FieldValue is compared with." example:"repoName"`
	FieldValue  string `range:",256" doc:"A part of what FieldName names." example:"zeus"`
	RepoName    string `range:",256" doc:"A part of the repository's name." example:"server"`
	RepoSpace   string `rpc:"RepoNamespace" range:",256" doc:"A part of the repository's namespace." example:"platform"`
	Selected    int    `enum:"0,1" doc:"1 answers the selected repositories: none are." example:"0"`
	rpc.Paging
}

type describeImageRepoListResponse struct {
	AddTargetCount int       `doc:"Always 0: nothing is selected." example:"0"`
	AllTargetCount int       `doc:"The repositories of the account." example:"25"`
	DelTargetCount int       `doc:"Always 0: nothing is selected." example:"0"`
	ImageRepoList  []repoRow `doc:"The repositories of the page."`
	PageInfo       pageInfo  `doc:"Where the page is."`
}

type repoRow struct {
	Flag          string `json:",omitempty" doc:"Always absent: nothing is selected." example:"add"`
	ImageCount    int    `doc:"The images in the repository." example:"1"`
	RepoName      string `doc:"The last part of its path." example:"zeus"`
	RepoNamespace string `doc:"The rest of its path." example:"platform"`
	RegistryID    int64  `json:"RegistryId" doc:"The registry it is in." example:"22233"`
}

func (s *Service) describeImageRepoList() rpc.Endpoint {
	return rpc.Operation[describeImageRepoListRequest, describeImageRepoListResponse]{
		Spec:   vendor("DescribeImageRepoList", rpc.List, "Lists repositories by name.", ""),
		Handle: s.repoList,
	}.Endpoint()
}

func (s *Service) repoList(ctx context.Context, caller *rpc.Caller, req *describeImageRepoListRequest) (*describeImageRepoListResponse, error) {
	account := caller.Principal.AccountID
	var c store.Criteria
	for _, t := range []struct{ field, value string }{
		{"repoName", req.RepoName}, {"repoNamespace", req.RepoSpace}, {req.FieldName, req.FieldValue},
	} {
		if t.field != "" && t.value != "" {
			c.Terms = append(c.Terms, store.Term{Field: store.Field(t.field), Values: []string{t.value}})
		}
	}
	resp := &describeImageRepoListResponse{}
	_, all, err := s.DB.Repositories(ctx, account, store.Criteria{}, 1, 1)
	if err != nil {
		return nil, err
	}
	resp.AllTargetCount = all
	if req.Selected == 1 {
		resp.PageInfo = pageOf(req.Paging, 0, 0)
		return resp, nil
	}
	list, total, err := s.DB.Repositories(ctx, account, c, req.CurrentPage, req.PageSize)
	if err != nil {
		return nil, err
	}
	if req.OperateType == "count" {
		list = nil
	}
	for i := range list {
		p := &list[i]
		resp.ImageRepoList = append(resp.ImageRepoList, repoRow{ImageCount: p.ImageCount, RepoName: p.Name, RepoNamespace: p.Namespace, RegistryID: p.Registry.ID})
	}
	resp.PageInfo = pageOf(req.Paging, len(list), total)
	return resp, nil
}
