package acr

import (
	"context"
	"net/url"
	"strconv"

	"portolan"
	"portolan/internal/connector"
)

// enterprise speaks the API cr 2018-12-01: RPC, and one instance of many.
type enterprise struct {
	api      *api
	instance string
}

// rpcAnswer is what every answer begins with. An error may come with status
// 200.
type rpcAnswer struct {
	IsSuccess *bool
	Code      string
	RequestID string `json:"RequestId"`
}

func (a *rpcAnswer) refused() (code, requestID string, yes bool) {
	switch {
	case a.IsSuccess == nil:
		return "", "", true
	case *a.IsSuccess:
		return "", "", false
	case isCode(a.Code):
		return a.Code, a.RequestID, true
	}
	return "UNKNOWN", a.RequestID, true
}

func (e *enterprise) name() string { return "Container Registry Enterprise Edition" }

func (e *enterprise) call(action, doing, needs string, params ...string) call {
	query := url.Values{"InstanceId": {e.instance}}
	for i := 0; i+1 < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	return call{action: action, path: "/", query: query, doing: doing, needs: needs}
}

func (e *enterprise) repositories(ctx context.Context, namespace string, n, size int) (page[repositoryEntry], error) {
	c := e.call("ListRepository", "listing the repositories", needsRepositories,
		"RepoStatus", "NORMAL", "PageNo", strconv.Itoa(n), "PageSize", strconv.Itoa(size))
	if namespace != "" {
		c.query.Set("RepoNamespaceName", namespace)
		c.doing += " of " + namespace
	}
	return e.list(ctx, c, n)
}

func (e *enterprise) list(ctx context.Context, c call, n int) (page[repositoryEntry], error) {
	var answer struct {
		rpcAnswer
		Repositories []repositoryEntry
		TotalCount   number
		PageSize     number
	}
	return pageOf(ctx, e.api, c, n, &answer, func() ([]repositoryEntry, number, number) {
		return answer.Repositories, answer.TotalCount, answer.PageSize
	})
}

// locate takes the id from the fingerprint that the catalogue gave, or looks
// for a repository that was not in it.
func (e *enterprise) locate(ctx context.Context, r connector.Repository) (repositoryID, error) {
	if id := fingerprintID(r.Fingerprint); id != "" {
		return repositoryID{path: r.Path, id: id}, nil
	}
	namespace, name := namespaceOf(r.Path)
	c := e.call("ListRepository", "looking for "+r.Path, needsRepositories,
		"RepoStatus", "NORMAL", "RepoNamespaceName", namespace, "RepoName", name)
	for n := 1; n < maxCatalogue; n++ {
		c.query.Set("PageNo", strconv.Itoa(n))
		c.query.Set("PageSize", strconv.Itoa(pageSize))
		p, err := e.list(ctx, c, n)
		if err != nil {
			return repositoryID{}, err
		}
		for _, entry := range p.items {
			if entry.path() == r.Path && entry.id() != "" {
				return repositoryID{path: r.Path, id: entry.id()}, nil
			}
		}
		if p.last() {
			break
		}
	}
	err := connector.Errorf(portolan.ServerFailure, "%s does not list the repository %s.", e.api.host, r.Path)
	err.Err = connector.ErrNotExist
	return repositoryID{}, err
}

func (e *enterprise) tags(ctx context.Context, r repositoryID, n int) (page[tagEntry], error) {
	var answer struct {
		rpcAnswer
		Images     []tagEntry
		TotalCount number
		PageSize   number
	}
	c := e.call("ListRepoTag", "listing the tags of "+r.path, needsTags,
		"RepoId", r.id, "PageNo", strconv.Itoa(n), "PageSize", strconv.Itoa(pageSize))
	return pageOf(ctx, e.api, c, n, &answer, func() ([]tagEntry, number, number) {
		return answer.Images, answer.TotalCount, answer.PageSize
	})
}

func (e *enterprise) login(ctx context.Context) (temporary, error) {
	var answer struct {
		rpcAnswer
		TempUsername       string
		AuthorizationToken string
		ExpireTime         number
	}
	c := e.call("GetAuthorizationToken", "reading manifests", needsLogin+" and "+needsPull)
	if _, err := e.api.get(ctx, c, &answer); err != nil {
		return temporary{}, err
	}
	return e.api.temporary(c, answer.TempUsername, answer.AuthorizationToken, answer.ExpireTime)
}
