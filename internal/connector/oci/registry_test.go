package oci_test

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/registry"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
)

// TestRegistry reads a registry that others wrote, over a network.
func TestRegistry(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	app, chart := connectortest.NewImage("app"), connectortest.NewChart("chart")
	multi := index("multi", `{"mediaType":"`+app.MediaType+`","digest":"`+string(app.Digest)+`","size":9,"platform":{"os":"linux","architecture":"arm64"}}`)
	for _, push := range []struct {
		path, tag string
		image     connectortest.Image
	}{
		{"team/app", "1.0", app},
		{"team/app", "latest", app},
		{"team/app", connectortest.NewSignature(app.Digest).Tags[0], connectortest.NewSignature(app.Digest)},
		{"team/app", "multi", multi},
		{"team/nested/charts/web", "0.1.0", chart},
	} {
		put(t, server, push.path, push.tag, push.image)
	}
	u := mustParse(t, server.URL)
	r := open(t, nil, func(c *connector.Config) {
		c.BaseURL, c.Client, c.Credential = u, server.Client(), portolan.Credential{}
	})
	if probe, err := r.Probe(t.Context()); err != nil || probe.Identity != "anonymous" {
		t.Fatalf("%+v, %v", probe, err)
	}
	paths, err := repositories(t, r)
	slices.Sort(paths) // that registry's catalogue has no order
	if diff := cmp.Diff([]string{"team/app", "team/nested/charts/web"}, paths); err != nil || diff != "" {
		t.Fatalf("%v %s", err, diff)
	}
	var got []string
	for _, path := range paths {
		_, rows, err := images(t, r, path, nothing{})
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			got = append(got, strings.Join([]string{path, row.Tags[0].Name, string(row.Digest), string(row.Kind), strings.Join(row.Platforms, " ")}, "|"))
		}
	}
	slices.Sort(got)
	want := []string{
		"team/app|1.0|" + string(app.Digest) + "|image|",
		"team/app|latest|" + string(app.Digest) + "|image|",
		"team/app|multi|" + string(multi.Digest) + "|image|linux/arm64",
		"team/app|" + connectortest.NewSignature(app.Digest).Tags[0] + "|" + string(connectortest.NewSignature(app.Digest).Digest) + "|accessory|",
		"team/nested/charts/web|0.1.0|" + string(chart.Digest) + "|other|",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, _, err := images(t, r, "team/none", nothing{}); !errors.Is(err, connector.ErrNotExist) {
		t.Errorf("an unknown repository: %v, want ErrNotExist", err)
	}
}

func put(t *testing.T, server *httptest.Server, path, tag string, image connectortest.Image) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL+"/v2/"+path+"/manifests/"+tag, strings.NewReader(string(image.Manifest)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", image.MediaType)
	resp, err := server.Client().Do(req)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("pushing %s:%s: %v, %v", path, tag, resp, err)
	}
	_ = resp.Body.Close()
}
