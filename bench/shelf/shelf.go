// Package shelf is the content of the registries that are read in benchmarks,
// and one that answers it from memory. It must not know who reads it.
package shelf

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	// Tags is the number of tags of a repository, and of its digests.
	Tags = 5
	// ManifestType is the media type of all manifests.
	ManifestType = "application/vnd.oci.image.manifest.v1+json"
	mostListed   = 1_000
)

// Repository is the name of a repository, from 0. The names are in order.
func Repository(r int) string { return fmt.Sprintf("team-%03d/app-%05d", r/100, r) }

// Tag is the name of a repository's tag, from 0.
func Tag(t int) string { return fmt.Sprintf("1.%d.0", t) }

// Manifest is what a tag of a repository names. Nothing else names it.
func Manifest(r, t int) []byte {
	digest := func(kind string) string { return digestOf(fmt.Appendf(nil, "%s %d %d", kind, r, t)) }
	layer := `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":%d}`
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":7023},"layers":[`+
		layer+`,`+layer+`,`+layer+`]}`, ManifestType, digest("config"), digest("base"), 32_654, digest("runtime"), 16_724, digest("app"), 73_109)
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// shelf is a registry in memory that does as little as can be for an answer.
type shelf struct {
	repositories []string
	manifests    map[string][]byte // by repository and tag, and by repository and digest
	digests      map[string]string // by repository and tag
}

// New makes a registry of so many repositories.
func New(repositories int) http.Handler {
	s := &shelf{manifests: map[string][]byte{}, digests: map[string]string{}}
	for r := range repositories {
		name := Repository(r)
		s.repositories = append(s.repositories, name)
		for t := range Tags {
			body := Manifest(r, t)
			digest := digestOf(body)
			s.manifests[name+"@"+digest] = body
			s.manifests[name+"@"+Tag(t)] = body
			s.digests[name+"@"+Tag(t)] = digest
		}
	}
	return s
}

// ServeHTTP answers as registries of the OCI Distribution API do.
func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	switch {
	case path == "" || path == "/v2":
		_, _ = w.Write([]byte("{}"))
	case path == "_catalog":
		s.catalog(w, r)
	case strings.HasSuffix(path, "/tags/list"):
		s.list(w, strings.TrimSuffix(path, "/tags/list"))
	default:
		s.manifest(w, r, path)
	}
}

func (s *shelf) catalog(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 1 || n > mostListed {
		n = mostListed
	}
	start, found := slices.BinarySearch(s.repositories, r.URL.Query().Get("last"))
	if found {
		start++
	}
	end := min(start+n, len(s.repositories))
	if end < len(s.repositories) {
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, n, s.repositories[end-1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"repositories": s.repositories[start:end]})
}

func (*shelf) list(w http.ResponseWriter, repository string) {
	tags := make([]string, Tags)
	for t := range tags {
		tags[t] = Tag(t)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": repository, "tags": tags})
}

func (s *shelf) manifest(w http.ResponseWriter, r *http.Request, path string) {
	repository, reference, _ := strings.Cut(path, "/manifests/")
	key := repository + "@" + reference
	body, ok := s.manifests[key]
	if !ok {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	digest := reference
	if d, ok := s.digests[key]; ok {
		digest = d
	}
	w.Header().Set("Content-Type", ManifestType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
