package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// shelf is a registry in memory: so many repositories, of so many tags, each
// with a manifest of its own.
type shelf struct {
	repositories, tags int
	manifests          map[string][]byte // by repository and tag, and by repository and digest
	digests            map[string]string // by repository and tag
}

func newShelf(repositories, tags int) *shelf {
	s := &shelf{repositories: repositories, tags: tags, manifests: map[string][]byte{}, digests: map[string]string{}}
	for r := range repositories {
		for t := range tags {
			body := manifestOf(r, t)
			digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
			s.manifests[repositoryName(r)+"@"+digest] = body
			s.manifests[repositoryName(r)+"@"+tagName(t)] = body
			s.digests[repositoryName(r)+"@"+tagName(t)] = digest
		}
	}
	return s
}

func repositoryName(r int) string { return fmt.Sprintf("team-%03d/app-%05d", r%100, r) }

func tagName(t int) string { return fmt.Sprintf("1.%d.0", t) }

const manifestType = "application/vnd.oci.image.manifest.v1+json"

func manifestOf(r, t int) []byte {
	digest := func(kind string) string {
		return fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Appendf(nil, "%s %d %d", kind, r, t)))
	}
	layer := `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":%d}`
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"%s","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":7023},"layers":[`+
		layer+`,`+layer+`,`+layer+`]}`, manifestType, digest("config"), digest("base"), 32_654, digest("runtime"), 16_724, digest("app"), 73_109)
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
	if err != nil || n < 1 || n > 1000 {
		n = 100
	}
	var names []string
	last := r.URL.Query().Get("last")
	for i := range s.repositories { // in the order of this registry, which is not that of the names
		names = append(names, repositoryName(i))
	}
	start := 0
	for i, name := range names {
		if name == last {
			start = i + 1
		}
	}
	end := min(start+n, len(names))
	if end < len(names) {
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, n, names[end-1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"repositories": names[start:end]})
}

func (s *shelf) list(w http.ResponseWriter, repository string) {
	tags := make([]string, s.tags)
	for t := range tags {
		tags[t] = tagName(t)
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
	w.Header().Set("Content-Type", manifestType)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// startShelf serves a registry.
func (s *spec) startShelf(ctx context.Context, ended chan<- error) (addr string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: newShelf(s.Shelf, shelfTags)} //nolint:gosec // on loopback, for its own client
	go func() {
		<-ctx.Done()
		ended <- server.Close()
	}()
	go func() { _ = server.Serve(listener) }() // ends with Close
	return listener.Addr().String(), nil
}

// shelfTags is the number of tags of a repository, and of its digests.
const shelfTags = 5
