package quaytest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// identify answers the token that a request carries. Quay goes on without one
// that it does not know or that has expired, as if there were none.
func (s *Server) identify(r *http.Request) *Token {
	secret, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	i := slices.IndexFunc(s.model.Tokens, func(t Token) bool { return t.Secret == secret && !t.Expired })
	if !found || i < 0 {
		return nil
	}
	return &s.model.Tokens[i]
}

func (t *Token) may(scope string) bool { return slices.Contains(t.Scopes, scope) }

// given reports whether the token's user may read a repository.
func (t *Token) given(namespace, path string) bool {
	return slices.Contains(t.Admin, namespace) || slices.Contains(t.Read, path)
}

// list answers GET /repository. The scope of a token is not looked at.
func (s *Server) list(who *Token, q url.Values) answer {
	switch {
	case q.Get("starred") == "true" && who == nil:
		return aborted(http.StatusBadRequest, "The browser (or proxy) sent a request that this server could not understand.")
	case q.Get("starred") == "true":
		return ok(map[string]any{"repositories": []any{}})
	case q.Get("namespace") == "" && q.Get("public") != "true":
		return problem(http.StatusBadRequest, "invalid_request", "namespace, starred or public are required for this API call")
	}
	type entry struct {
		namespace *Namespace
		*Repository
	}
	var entries []entry
	kind, start := cmp.Or(q.Get("repo_kind"), "image"), fromPageToken(q.Get("next_page"))
	s.model.each(func(n *Namespace, r *Repository) {
		visible := r.Public && q.Get("public") == "true" || who != nil && who.given(n.Name, n.Name+"/"+r.Name)
		if named := q.Get("namespace"); named != "" && named != n.Name {
			return
		}
		if visible && r.Kind == kind && r.State != "MARKED_FOR_DELETION" && r.ID >= start {
			entries = append(entries, entry{n, r})
		}
	})
	slices.SortFunc(entries, func(a, b entry) int { return a.ID - b.ID })
	page := map[string]any{}
	if perPage := s.model.PerPage; len(entries) > perPage {
		page["next_page"] = pageToken(entries[perPage].ID)
		entries = entries[:perPage]
	}
	rows := []any{}
	for _, e := range entries {
		row := s.view(e.namespace.Name, e.Repository)
		if q.Get("last_modified") == "true" {
			row["last_modified"] = s.lastModified(e.namespace.Name, e.Repository)
		}
		rows = append(rows, row)
	}
	page["repositories"] = rows
	return ok(page)
}

// pageToken is as opaque as Quay's, which is encrypted.
func pageToken(id int) string {
	return "gAAAAABo" + base64.RawURLEncoding.EncodeToString([]byte("start_index="+strconv.Itoa(id)))
}

// fromPageToken answers where a page starts, 0 for what is no token: Quay
// begins anew then.
func fromPageToken(token string) int {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token, "gAAAAABo"))
	id, err2 := strconv.Atoi(strings.TrimPrefix(string(raw), "start_index="))
	if err != nil || err2 != nil {
		return 0
	}
	return id
}

func (s *Server) view(namespace string, r *Repository) map[string]any {
	return map[string]any{
		"namespace": namespace, "name": r.Name, "description": nil, "is_public": r.Public, "kind": r.Kind, "state": r.State, "is_starred": false,
	}
}

func (s *Server) lastModified(namespace string, r *Repository) any {
	tags := s.alive(namespace, r)
	if len(tags) == 0 {
		return nil
	}
	return tags[0].Start.Unix()
}

// alive are the alive tags of a repository, newest first.
func (s *Server) alive(namespace string, r *Repository) []Tag {
	now, key := s.model.Now(), namespace+"/"+r.Name
	if c, ok := s.cache[key]; ok && (c.until.IsZero() || now.Before(c.until)) {
		return c.tags
	}
	c := cached{tags: r.alive(now)}
	for _, t := range c.tags {
		if !t.End.IsZero() && (c.until.IsZero() || t.End.Before(c.until)) {
			c.until = t.End
		}
	}
	s.cache[key] = c
	return c.tags
}

// repository answers what is below a repository. Permission comes before
// existence: only who may read anything in the namespace gets a 404.
func (s *Server) repository(who *Token, req *http.Request, path string) answer {
	path, rest := split(path)
	path, err := url.PathUnescape(path)
	if err != nil {
		return notFound()
	}
	namespace, _, _ := strings.Cut(path, "/")
	r := s.model.Find(path)
	switch {
	case r != nil && r.Public:
	case who == nil:
		return problem(http.StatusUnauthorized, "invalid_token", "Requires authentication")
	case !who.may("repo:read") || !who.given(namespace, path):
		return problem(http.StatusForbidden, "insufficient_scope", "Unauthorized")
	case r == nil:
		return notFound()
	}
	switch rest {
	case "":
		return s.about(namespace, r, req.URL.Query())
	case "tag/":
		return s.tags(namespace, r, req.URL.Query())
	}
	return manifest(r, strings.TrimPrefix(rest, "manifest/"))
}

// split parts the path of a repository from what is asked of it.
func split(path string) (repository, rest string) {
	if repository, ok := strings.CutSuffix(path, "/tag/"); ok {
		return repository, "tag/"
	}
	if i := strings.LastIndex(path, "/manifest/sha"); i > 0 {
		return path[:i], path[i+1:]
	}
	return path, ""
}

// about answers GET /repository/{path}.
func (s *Server) about(namespace string, r *Repository, q url.Values) answer {
	row := s.view(namespace, r)
	if q.Get("includeTags") != "false" {
		tags := map[string]any{}
		list := s.alive(namespace, r)
		for _, t := range list[:min(len(list), s.model.MaxTags)] {
			tag := map[string]any{"name": t.Name, "size": r.Manifests[t.Digest].Size, "last_modified": rfc2822(t.Start), "manifest_digest": t.Digest}
			if !t.End.IsZero() {
				tag["expiration"] = rfc2822(t.End)
			}
			tags[t.Name] = tag
		}
		row["tags"] = tags
	}
	return ok(row)
}

func rfc2822(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 -0000") }

const maxTagPage = 100

// tags answers GET /repository/{path}/tag/.
func (s *Server) tags(namespace string, r *Repository, q url.Values) answer {
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), "50"))
	number, err2 := strconv.Atoi(cmp.Or(q.Get("page"), "1"))
	if err != nil || err2 != nil {
		return aborted(http.StatusBadRequest, "invalid literal for int()")
	}
	limit, number = min(maxTagPage, max(1, limit)), max(1, number)
	list := s.alive(namespace, r)
	if q.Get("onlyActiveTags") != "true" {
		list = newest(r.Tags, func(*Tag) bool { return true })
	}
	from := min(len(list), limit*(number-1))
	to := min(len(list), from+limit)
	rows := []any{}
	for _, t := range list[from:to] {
		rows = append(rows, tagRow(r, t))
	}
	return ok(map[string]any{"tags": rows, "page": number, "has_additional": to < len(list)})
}

func tagRow(r *Repository, t Tag) map[string]any {
	m := r.Manifests[t.Digest]
	row := map[string]any{
		"name": t.Name, "reversion": false, "start_ts": t.Start.Unix(), "manifest_digest": t.Digest,
		"is_manifest_list": isList(m.MediaType), "size": m.Size, "last_modified": rfc2822(t.Start),
	}
	if !t.End.IsZero() {
		row["end_ts"], row["expiration"] = t.End.Unix(), rfc2822(t.End)
	}
	return row
}

func isList(mediaType string) bool {
	return strings.HasSuffix(mediaType, "image.index.v1+json") || strings.HasSuffix(mediaType, "manifest.list.v2+json")
}

// manifest answers GET /repository/{path}/manifest/{digest}.
func manifest(r *Repository, digest string) answer {
	m, found := r.Manifests[digest]
	if !found || m.Hidden || m.Data == "" {
		return notFound()
	}
	return ok(map[string]any{
		"digest": digest, "is_manifest_list": isList(m.MediaType), "manifest_data": m.Data,
		"config_media_type": nil, "layers_compressed_size": m.Size, "layers": nil,
	})
}
