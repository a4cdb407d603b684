package faults

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/registry"

	"portolan"
	"portolan/internal/connector/connectortest"
)

const (
	tokenPath = "/token"
	// listSize is the longest page that the registry gives.
	listSize = 4
)

// ociOrigin is a registry that others wrote, behind a front that asks for
// tokens, cuts lists into pages, and can hide a repository.
type ociOrigin struct {
	registry http.Handler

	mu     sync.Mutex
	tags   map[string]map[string]connectortest.Image // repository, tag
	hidden string
}

func newOCI() *ociOrigin {
	o := &ociOrigin{registry: registry.New(registry.Logger(log.New(io.Discard, "", 0))), tags: map[string]map[string]connectortest.Image{}}
	app := connectortest.NewImage("app 1.1")
	o.push("team/app", app, "1.1", "latest")
	o.push("team/app", connectortest.NewImage("app 1.0"), "1.0")
	o.push("team/app", connectortest.NewImage("app 0.9"), "0.9")
	signed := connectortest.NewImage("signed")
	signature := connectortest.NewSignature(signed.Digest)
	o.push("team/signed", signed, "1")
	o.push("team/signed", signature, signature.Tags...)
	o.push("team/many", connectortest.NewImage("many 1"), "v1", "v2")
	o.push("team/many", connectortest.NewImage("many 3"), "v3", "v4", "v5", "v6")
	o.push("platform/base", o.index("platform/base"), "2.0")
	o.push("charts/portal", connectortest.NewChart("chart"), "0.1.0")
	o.push("toolbox", connectortest.NewImage("toolbox"), "1")
	return o
}

func (*ociOrigin) kind() portolan.RegistryType { return portolan.OCI }
func (*ociOrigin) user() string                { return "reader" }

// index makes an index of two images that have no tags of their own.
func (o *ociOrigin) index(path string) connectortest.Image {
	const mediaType = "application/vnd.oci.image.index.v1+json"
	var children []map[string]any
	for _, architecture := range []string{"amd64", "arm64"} {
		child := connectortest.NewImage(path + architecture)
		o.send(http.MethodPut, path, string(child.Digest), child)
		children = append(children, map[string]any{
			"mediaType": child.MediaType, "digest": child.Digest, "size": len(child.Manifest),
			"platform": map[string]any{"os": "linux", "architecture": architecture},
		})
	}
	body, _ := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaType, "manifests": children}) // plain values
	return connectortest.Image{
		Digest: portolan.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(body))), MediaType: mediaType, Manifest: body, Kind: portolan.KindImage,
	}
}

func (o *ociOrigin) push(path string, image connectortest.Image, tags ...string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.tags[path] == nil {
		o.tags[path] = map[string]connectortest.Image{}
	}
	for _, tag := range tags {
		o.send(http.MethodPut, path, tag, image)
		o.tags[path][tag] = image
	}
}

func (o *ociOrigin) send(method, path, reference string, image connectortest.Image) {
	req := httptest.NewRequest(method, "/v2/"+path+"/manifests/"+reference, strings.NewReader(string(image.Manifest)))
	req.Header.Set("Content-Type", image.MediaType)
	answer := httptest.NewRecorder()
	o.registry.ServeHTTP(answer, req)
	if answer.Code/100 != 2 {
		panic(answer.Body.String()) //nolint:forbidigo // the fixture is wrong
	}
}

func (o *ociOrigin) remove(path, tag string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send(http.MethodDelete, path, tag, connectortest.Image{})
	delete(o.tags[path], tag)
}

func (o *ociOrigin) change() {
	o.push("team/app", connectortest.NewImage("app 1.2"), "1.2", "latest")
	o.remove("team/app", "0.9")
	o.push("team/many", connectortest.NewImage("many 6"), "v6")
	o.push("platform/new", connectortest.NewImage("new"), "1")
	o.push("charts/portal", connectortest.NewImage("no chart"), "image")
}

func (o *ociOrigin) vanish() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hidden = "toolbox"
	return o.hidden
}

func (o *ociOrigin) truth() content {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := content{}
	for path, tags := range o.tags {
		for tag, image := range tags {
			if image.Kind == portolan.KindImage && path != o.hidden {
				c.add(path, image.Digest, tag)
			}
		}
	}
	return c
}

func (o *ociOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, secret, _ := r.BasicAuth()
	switch {
	case r.URL.Path == tokenPath && (user != o.user() || secret != password):
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == tokenPath:
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_in":300}`, token)
	case r.Header.Get("Authorization") != "Bearer "+token:
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+host+tokenPath+`",service="registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	default:
		o.serve(w, r)
	}
}

func (o *ociOrigin) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	path, isTags := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list")
	switch {
	case o.hidden != "" && strings.HasPrefix(r.URL.Path, "/v2/"+o.hidden+"/"):
		respond(w, r, http.StatusNotFound, "application/json", `{"errors":[{"code":"NAME_UNKNOWN"}]}`)
	case r.URL.Path == "/v2/_catalog":
		list(w, r, "repositories", o.tags, o.hidden)
	case isTags && o.tags[path] != nil:
		list(w, r, "tags", o.tags[path], "")
	default:
		o.registry.ServeHTTP(w, r)
	}
}

// list answers a page of the keys of a map, with the Link to the next.
func list[V any](w http.ResponseWriter, r *http.Request, name string, of map[string]V, less string) {
	last := r.URL.Query().Get("last")
	var names []string
	for n := range of {
		if n > last && n != less {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	if len(names) > listSize {
		names = names[:listSize]
		w.Header().Set("Link", "<"+r.URL.Path+"?n="+strconv.Itoa(listSize)+"&last="+names[listSize-1]+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "x", name: names}) // an answer in memory
}
