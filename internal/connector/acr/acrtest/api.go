package acrtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/sign"
)

const (
	maxSkew = 15 * time.Minute
	// RequestID is in every answer of the API.
	RequestID = "5241C090-DA69-4B0F-8E3F-2F24FDE1110E"
)

var limits = sign.Limits{Params: 100, Name: 128, Value: 1 << 16}

// serveAPI answers a call of the API.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	action := r.Header.Get("X-Acs-Action")
	if queue := s.fail[action]; len(queue) > 0 {
		s.fail[action] = queue[1:]
		queue[0].serve(w)
		return
	}
	key, refused := s.authenticate(r)
	switch {
	case refused != nil:
		refused.serve(w)
		return
	case slices.Contains(key.Denied, action):
		(&Failure{Status: http.StatusForbidden, Code: "NoPermission"}).serve(w)
		return
	}
	var data any
	if s.model.Instance != "" {
		data, refused = s.enterprise(r, action)
	} else {
		data, refused = s.personal(r, action)
	}
	if refused != nil {
		refused.serve(w)
		return
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_ = json.NewEncoder(w).Encode(data)
}

func (f *Failure) serve(w http.ResponseWriter) {
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(f.Status)
	body := f.Body
	if body == "" && f.Status == http.StatusOK {
		body = fmt.Sprintf(`{"IsSuccess":false,"Code":%q,"RequestId":%q}`, f.Code, RequestID)
	}
	if body == "" {
		body = fmt.Sprintf(`{"Code":%q,"Message":"refused","RequestId":%q,"HostId":%q}`, f.Code, RequestID, APIHost)
	}
	_, _ = io.WriteString(w, body) //nolint:gosec // JSON for a client under test, no page
}

// authenticate verifies a signature as the gateway does: key, time, signature,
// nonce.
func (s *Server) authenticate(r *http.Request) (*Key, *Failure) {
	body, _ := io.ReadAll(r.Body)
	signed, err := sign.Parse(&sign.Request{
		Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Host: r.Host, Header: r.Header, Body: body,
	}, limits)
	if err != nil {
		return nil, wire(err)
	}
	key := s.model.key(signed.AccessKeyID)
	switch {
	case key == nil:
		return nil, &Failure{Status: http.StatusNotFound, Code: "InvalidAccessKeyId.NotFound"}
	case key.Inactive:
		return nil, &Failure{Status: http.StatusBadRequest, Code: "InvalidAccessKeyId.Inactive"}
	}
	if at, err := time.Parse("2006-01-02T15:04:05Z", signed.Timestamp); err != nil || s.model.Now().Sub(at).Abs() > maxSkew {
		return nil, &Failure{Status: http.StatusBadRequest, Code: "InvalidTimeStamp.Expired"}
	}
	if err := signed.Verify(key.Secret); err != nil {
		return nil, wire(err)
	}
	if s.nonces[signed.Nonce] {
		return nil, &Failure{Status: http.StatusBadRequest, Code: "SignatureNonceUsed"}
	}
	s.nonces[signed.Nonce] = true
	if want := map[bool]string{true: "2016-06-07", false: "2018-12-01"}[s.model.Instance == ""]; signed.Version != want {
		return nil, &Failure{Status: http.StatusNotFound, Code: "InvalidAction.NotFound"}
	}
	return key, nil
}

// wire answers the error of the signature's verifier with what gateways add: a
// message that repeats what was signed.
func wire(err error) *Failure {
	known, ok := errors.AsType[*portolan.Error](err)
	if !ok {
		return &Failure{Status: http.StatusInternalServerError, Code: "InternalError"}
	}
	body, _ := json.Marshal(map[string]string{"Code": known.Code, "Message": known.Message, "RequestId": RequestID})
	return &Failure{Status: http.StatusBadRequest, Code: known.Code, Body: string(body)}
}

// num writes a number as the product does.
func (s *Server) num(n int64) any {
	if s.model.NumbersAsNumbers {
		return n
	}
	return strconv.FormatInt(n, 10)
}

func (s *Server) enterprise(r *http.Request, action string) (any, *Failure) {
	q := r.URL.Query()
	if r.URL.EscapedPath() != "/" {
		return nil, &Failure{Status: http.StatusNotFound, Code: "InvalidAction.NotFound"}
	}
	if q.Get("InstanceId") != s.model.Instance {
		return nil, &Failure{Status: http.StatusOK, Code: "INSTANCE_NOT_EXIST"}
	}
	switch action {
	case "ListRepository":
		return s.listRepository(q), nil
	case "ListRepoTag":
		id := q.Get("RepoId")
		repository := s.model.find(func(r *Repository) bool { return r.ID == id })
		if repository == nil {
			return nil, &Failure{Status: http.StatusOK, Code: "REPO_NOT_EXIST"}
		}
		tags := s.ordered(repository)
		part, page, size := cut(s, tags, q.Get("PageNo"), q.Get("PageSize"))
		rows := s.rows(part, func(name string) string { return name })
		return success(map[string]any{"Images": rows, "TotalCount": s.num(int64(len(tags))), "PageNo": page, "PageSize": size}), nil
	case "GetAuthorizationToken":
		user, l := s.newLogin()
		return success(map[string]any{"TempUsername": user, "AuthorizationToken": l.password, "ExpireTime": l.until.UnixMilli()}), nil
	}
	return nil, &Failure{Status: http.StatusNotFound, Code: "InvalidAction.NotFound"}
}

func success(m map[string]any) map[string]any {
	m["IsSuccess"], m["Code"], m["RequestId"] = true, "success", RequestID
	return m
}

func (s *Server) listRepository(q url.Values) any {
	var list []any
	for i := range s.model.Repositories {
		r := &s.model.Repositories[i]
		namespace, name := r.split()
		status := orNormal(r.Status)
		if want := q.Get("RepoStatus"); want != "" && want != "ALL" && want != status ||
			q.Get("RepoNamespaceName") != "" && q.Get("RepoNamespaceName") != namespace ||
			!strings.Contains(name, q.Get("RepoName")) { // whether it is a substring is not documented
			continue
		}
		list = append(list, map[string]any{
			"RepoId": r.ID, "RepoName": name, "RepoNamespaceName": namespace, "RepoStatus": status, "RepoType": orPrivate(r.Type),
			"InstanceId": s.model.Instance, "CreateTime": 1564153576000, "ModifiedTime": 1564153576000, "Summary": "", "TagImmutability": false,
		})
	}
	part, page, size := cut(s, list, q.Get("PageNo"), q.Get("PageSize"))
	return success(map[string]any{"Repositories": part, "TotalCount": s.num(int64(len(list))), "PageNo": page, "PageSize": size})
}

// personal answers by path; the action in the header must be that of the path.
func (s *Server) personal(r *http.Request, action string) (any, *Failure) {
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
	for i := range parts {
		parts[i], _ = url.PathUnescape(parts[i])
	}
	q := r.URL.Query()
	switch {
	case len(parts) == 1 && parts[0] == "repos" && action == "GetRepoList":
		return s.repos("", q), nil
	case len(parts) == 2 && parts[0] == "repos" && action == "GetRepoListByNamespace":
		return s.repos(parts[1], q), nil
	case len(parts) == 4 && parts[0] == "repos" && parts[3] == "tags" && action == "GetRepoTags":
		path := strings.TrimPrefix(parts[1]+"/"+parts[2], "/")
		repository := s.model.find(func(r *Repository) bool { return r.Path == path })
		if repository == nil {
			return nil, &Failure{Status: http.StatusNotFound, Body: `{"code":"REPO_NOT_EXIST","message":"repo not exist","requestId":"` + RequestID + `"}`}
		}
		tags := s.ordered(repository)
		part, page, size := cut(s, tags, q.Get("Page"), q.Get("PageSize"))
		rows := s.rows(part, func(name string) string { return strings.ToLower(name[:1]) + name[1:] })
		return envelope("tags", rows, len(tags), page, size), nil
	case len(parts) == 1 && parts[0] == "tokens" && action == "GetAuthorizationToken":
		user, l := s.newLogin()
		return map[string]any{"requestId": RequestID, "data": map[string]any{
			"tempUserName": user, "authorizationToken": l.password, "expireDate": l.until.UnixMilli(),
		}}, nil
	}
	return nil, &Failure{Status: http.StatusNotFound, Code: "InvalidApi.NotFound"}
}

func (s *Server) repos(namespace string, q url.Values) any {
	var list []any
	for i := range s.model.Repositories {
		r := &s.model.Repositories[i]
		in, name := r.split()
		if namespace != "" && namespace != in {
			continue
		}
		list = append(list, map[string]any{
			"repoId": 1000 + i, "repoName": name, "repoNamespace": in, "repoStatus": orNormal(r.Status), "repoType": orPrivate(r.Type),
			"gmtCreate": 1564153576000, "gmtModified": 1564153576000, "repoDomainList": map[string]string{"public": RegistryHost},
		})
	}
	part, page, size := cut(s, list, q.Get("Page"), q.Get("PageSize"))
	return envelope("repos", part, len(list), page, size)
}

func envelope(name string, part []any, total, page, size int) any {
	return map[string]any{"requestId": RequestID, "data": map[string]any{name: part, "total": total, "page": page, "pageSize": size}}
}

// ordered are the tags of a repository in the order of its list.
func (s *Server) ordered(r *Repository) []Tag {
	if !s.model.NewestFirst {
		return r.Tags
	}
	list := slices.Clone(r.Tags)
	slices.Reverse(list)
	return list
}

// rows are tags as a list has them.
func (s *Server) rows(tags []Tag, naming func(string) string) []any {
	list := []any{}
	for _, t := range tags {
		e := map[string]any{}
		set := func(name string, v any) { e[naming(name)] = v }
		set("Tag", t.Name)
		set("Digest", strings.TrimPrefix(t.Digest, "sha256:"))
		set("ImageId", strings.TrimPrefix(t.ImageID, "sha256:"))
		set("ImageSize", t.Size)
		set("ImageCreate", s.num(max(t.Created.UnixMilli(), 0)))
		set("ImageUpdate", s.num(max(t.Updated.UnixMilli(), 0)))
		set("Status", orNormal(t.Status))
		list = append(list, e)
	}
	return list
}

// cut answers a page of a list; its number and size as they are echoed.
func cut[T any](s *Server, list []T, page, size string) (part []T, number, length int) {
	number, _ = strconv.Atoi(page)
	length, _ = strconv.Atoi(size)
	number, length = max(number, 1), min(max(length, 1), s.model.MaxPage)
	from := min((number-1)*length, len(list))
	return append([]T{}, list[from:min(from+length, len(list))]...), number, length
}

func (s *Server) newLogin() (string, login) {
	n := len(s.logins) + 1
	user := fmt.Sprintf("cr_temp_user_%d", n)
	l := login{password: fmt.Sprintf("temporary-canary-%d", n), until: s.model.Now().Add(s.model.LoginLife)}
	s.logins[user] = l
	return user, l
}

func orNormal(status string) string {
	if status == "" {
		return "NORMAL"
	}
	return status
}

func orPrivate(t string) string {
	if t == "" {
		return "PRIVATE"
	}
	return t
}
