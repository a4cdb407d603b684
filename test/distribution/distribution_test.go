package distribution

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/oci"
)

// nothing implements connector.Known and knows nothing.
type nothing struct{}

func (nothing) Facts(context.Context, []portolan.Digest) (map[portolan.Digest]connector.Facts, error) {
	return nil, nil
}
func (nothing) Resolved(string) (portolan.Digest, bool) { return "", false }

func (r *registry) source(user, secret string) (connector.Source, *connector.Transport) {
	r.Helper()
	base, err := url.Parse(r.url)
	if err != nil {
		r.Fatal(err)
	}
	transport := connector.NewTransport(connector.TransportConfig{Base: &http.Transport{}})
	src, err := oci.Open(connector.Config{
		BaseURL: base, Credential: portolan.Credential{UserName: user, Password: secret}, Client: &http.Client{Transport: transport},
	})
	if err != nil {
		r.Fatal(err)
	}
	return src, transport
}

// row is what the tests compare.
func row(repository string, r connector.Row) string {
	kind := connector.Judge(r.Tags, r.Facts)
	return strings.TrimSpace(fmt.Sprintf("%s:%s %s %s %s", repository, r.Tags[0].Name, r.Digest, kind, strings.Join(r.Platforms, " ")))
}

func TestRows(t *testing.T) {
	r := newRegistry(t)
	amd, arm, attestation := newImage("amd64"), newImage("arm64"), newManifest("application/vnd.oci.image.config.v1+json", "application/vnd.in-toto+json", "attestation", "")
	multi := newIndex(map[string]manifest{"linux/amd64": amd, "linux/arm64": arm, "unknown/unknown": attestation})
	app, chart, signature := newImage("app"), newChart("chart"), newSignature()
	referrer := newReferrer(app)
	signed := strings.Replace(string(app.digest()), ":", "-", 1) + ".sig"

	for _, child := range []manifest{amd, arm, attestation} {
		r.push("team/multi", string(child.digest()), child)
	}
	r.push("team/multi", "1.0", multi)
	r.push("team/multi", "amd64", amd) // a child that is an image of its own
	r.push("team/app", "1.0", app)
	r.push("team/app", "latest", app)
	r.push("team/app", signed, signature)
	r.push("team/app", "sbom", referrer)
	r.push("team/app", string(newImage("untagged").digest()), newImage("untagged"))
	r.push("team/nested/very/deep/app", "1", app)
	r.push("charts/web", "0.1.0", chart)
	r.push(hidden, "1", app)
	r.push("team/emptied", "1", app)
	r.send(http.MethodDelete, r.url+"/v2/team/emptied/manifests/"+string(app.digest()), "team/emptied", "", nil, http.StatusAccepted)
	r.takeRequests()

	src, _ := r.source(reader, password)
	probe, err := src.Probe(t.Context())
	if diff := cmp.Diff(connector.Probe{Product: "distribution", Identity: reader}, probe); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	var paths, got []string
	listed := 0
	for repository, err := range src.Repositories(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, repository.Path)
		l := &connector.Listing{Repository: repository, Known: nothing{}}
		for image, err := range src.Images(t.Context(), l) {
			if (err != nil) != (repository.Path == hidden) || err != nil && connector.ClassOf(err) != portolan.Forbidden {
				t.Fatalf("%s: %v of class %s", repository.Path, err, connector.ClassOf(err))
			}
			if err == nil {
				got = append(got, row(repository.Path, image))
			}
		}
		listed += l.Listed
	}
	if diff := cmp.Diff([]string{"charts/web", hidden, "team/app", "team/emptied", "team/multi", "team/nested/very/deep/app"}, paths); diff != "" {
		t.Error(diff)
	}
	want := []string{
		fmt.Sprintf("charts/web:0.1.0 %s other", chart.digest()),
		fmt.Sprintf("team/app:1.0 %s image", app.digest()),
		fmt.Sprintf("team/app:latest %s image", app.digest()),
		fmt.Sprintf("team/app:sbom %s accessory", referrer.digest()),
		fmt.Sprintf("team/app:%s %s accessory", signed, signature.digest()),
		fmt.Sprintf("team/multi:1.0 %s image linux/amd64 linux/arm64", multi.digest()),
		fmt.Sprintf("team/multi:amd64 %s image", amd.digest()),
		fmt.Sprintf("team/nested/very/deep/app:1 %s image", app.digest()),
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if listed != len(want) {
		t.Errorf("%d rows listed, want %d", listed, len(want))
	}
}

func TestWrongPassword(t *testing.T) {
	r := newRegistry(t)
	for _, user := range []string{reader, ""} {
		secret := map[string]string{reader: "wrong"}[user]
		src, _ := r.source(user, secret)
		if _, err := src.Probe(t.Context()); connector.ClassOf(err) != portolan.BadCredentials {
			t.Errorf("user %q: %v of class %s", user, err, connector.ClassOf(err))
		}
	}
}

func TestUnknownRepository(t *testing.T) {
	r := newRegistry(t)
	src, _ := r.source(reader, password)
	if _, err := src.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, err := range src.Images(t.Context(), &connector.Listing{Repository: connector.Repository{Path: "team/none"}, Known: nothing{}}) {
		if !errors.Is(err, connector.ErrNotExist) {
			t.Errorf("got %v, want ErrNotExist", err)
		}
	}
}

// TestPrice reads a registry with pages, and counts the requests: at most
// 1.05·(R+T)+D for R repositories with T tags and D digests.
func TestPrice(t *testing.T) {
	const repositories, digests = 230, 10
	r, tags := newRegistry(t), 0
	for i := range repositories {
		path := fmt.Sprintf("team%d/app%03d", i%3, i)
		for n := range 1 + i%3 {
			r.push(path, fmt.Sprint("v", n), newImage(fmt.Sprint((i+n)%digests)))
			tags++
		}
	}
	r.takeRequests()
	// The token server that takes one scope at a time costs a request more for
	// each repository: nobody can do better there.
	for _, r.oneScope = range []bool{false, true} {
		src, transport := r.source(reader, password)
		rows := readAll(t, src)
		requests := r.takeRequests()
		most := (repositories+tags)*105/100 + digests
		if r.oneScope {
			most += repositories
		}
		if rows != tags || len(requests) > most {
			t.Errorf("one scope %v: %d of %d tags by %d requests, want at most %d", r.oneScope, rows, tags, len(requests), most)
		}
		if got := transport.Meter().Requests(); got != int64(len(requests)) {
			t.Errorf("the meter says %d requests, the servers %d", got, len(requests))
		}
	}
}

func readAll(t *testing.T, src connector.Source) (rows int) {
	t.Helper()
	if _, err := src.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	for repository, err := range src.Repositories(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		for image, err := range src.Images(t.Context(), &connector.Listing{Repository: repository, Known: nothing{}}) {
			if err != nil || image.Err != nil {
				t.Fatal(err, image.Err)
			}
			rows++
		}
	}
	if _, err := src.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return rows
}
