package acr

import (
	"context"
	"net/url"
	"strconv"

	"portolan/internal/connector"
)

// personal speaks the API cr 2016-06-07: ROA, and one registry for each account
// and region.
type personal struct{ api *api }

// roaAnswer is the envelope of every answer that is no error.
type roaAnswer[T any] struct {
	Data *T `json:"data"`
}

func (a *roaAnswer[T]) refused() (code, requestID string, yes bool) { return "", "", a.Data == nil }

func (p *personal) name() string { return "Container Registry Personal Edition" }

// paged is the query for a page. The largest page is not documented: what the
// answer says of its size is believed.
func paged(n, size int) url.Values {
	return url.Values{"Page": {strconv.Itoa(n)}, "PageSize": {strconv.Itoa(size)}}
}

func (p *personal) repositories(ctx context.Context, namespace string, n, size int) (page[repositoryEntry], error) {
	var answer roaAnswer[struct {
		Repos    []repositoryEntry `json:"repos"`
		Total    number            `json:"total"`
		PageSize number            `json:"pageSize"`
	}]
	c := call{action: "GetRepoList", path: "/repos", query: paged(n, size), doing: "listing the repositories", needs: needsRepositories}
	if namespace != "" {
		c.action, c.path = "GetRepoListByNamespace", "/repos/"+url.PathEscape(namespace)
		c.doing += " of " + namespace
	}
	return pageOf(ctx, p.api, c, n, &answer, func() ([]repositoryEntry, number, number) {
		return answer.Data.Repos, answer.Data.Total, answer.Data.PageSize
	})
}

func (p *personal) locate(_ context.Context, r connector.Repository) (repositoryID, error) {
	return repositoryID{path: r.Path}, nil
}

func (p *personal) tags(ctx context.Context, r repositoryID, n int) (page[tagEntry], error) {
	var answer roaAnswer[struct {
		Tags     []tagEntry `json:"tags"`
		Total    number     `json:"total"`
		PageSize number     `json:"pageSize"`
	}]
	namespace, name := namespaceOf(r.path)
	c := call{
		action: "GetRepoTags", path: "/repos/" + url.PathEscape(namespace) + "/" + url.PathEscape(name) + "/tags",
		query: paged(n, pageSize), doing: "listing the tags of " + r.path, needs: needsTags,
	}
	return pageOf(ctx, p.api, c, n, &answer, func() ([]tagEntry, number, number) {
		return answer.Data.Tags, answer.Data.Total, answer.Data.PageSize
	})
}

func (p *personal) login(ctx context.Context) (temporary, error) {
	var answer roaAnswer[struct {
		TempUserName       string `json:"tempUserName"`
		AuthorizationToken string `json:"authorizationToken"`
		ExpireDate         number `json:"expireDate"`
	}]
	c := call{action: "GetAuthorizationToken", path: "/tokens", doing: "reading manifests", needs: needsLogin + " and " + needsPull}
	if _, err := p.api.get(ctx, c, &answer); err != nil {
		return temporary{}, err
	}
	return p.api.temporary(c, answer.Data.TempUserName, answer.Data.AuthorizationToken, answer.Data.ExpireDate)
}
