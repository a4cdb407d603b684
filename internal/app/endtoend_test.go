package app_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"

	"portolan/internal/connector/connectortest"
	"portolan/internal/store/storetest"
)

// pull is a registry that others wrote, with two repositories, on loopback.
func pull(t *testing.T) (host, port string) {
	t.Helper()
	s := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	front, api := connectortest.NewImage("front"), connectortest.NewImage("api")
	for _, push := range []struct {
		path, tag string
		image     connectortest.Image
	}{
		{"team/front", "1.0", front},
		{"team/front", "latest", front},
		{"team/api", "1.0", api},
		{"team/api", "front", front},
		{"team/charts", "0.1.0", connectortest.NewChart("chart")},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.URL+"/v2/"+push.path+"/manifests/"+push.tag, strings.NewReader(string(push.image.Manifest)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", push.image.MediaType)
		resp, err := s.Client().Do(req)
		if err != nil || resp.StatusCode != http.StatusCreated {
			t.Fatalf("push %s:%s: %v, %v", push.path, push.tag, resp, err)
		}
		_ = resp.Body.Close()
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname(), u.Port()
}

// A registry from its adding to its deletion, over real HTTP, in each way that
// clients call.
func TestEndToEnd(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		host, port := pull(t)
		s := launch(t, database)
		for _, d := range []dialect{v1JSON, v1XML, v3JSON} {
			added := s.must(d, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", host, "Port", port, "ProtocolType", "1", "RegistryName", "a < b & \"c\"", "NetType", "1")
			id := added.text("Data", "Id")
			if id == "" || added.text("Data", "RegistryName") != "a < b & \"c\"" || added.text("RequestId") == "" {
				t.Fatalf("%s: added %s", d.name, added.raw)
			}
			sync := s.synced(d, id)
			if sync.text("Data", "Status") != "ok" || sync.text("Data", "Trigger") != "add" || sync.text("Data", "ImagesSeen") != "3" || sync.text("Data", "OtherArtifacts") != "1" {
				t.Fatalf("%s: read %s", d.name, sync.raw)
			}
			page := s.must(d, "PageImageRegistry", "CurrentPage", "1", "PageSize", "10", "RegistryNameLike", "A < B", "RegistryTypeInList.1", "oci")
			if page.count("List") != 1 || page.text("List", "Id") != id || page.text("List", "ImageCount") != "3" || page.text("List", "SyncStatus") != "ok" || page.text("PageInfo", "TotalCount") != "1" {
				t.Errorf("%s: page %s", d.name, page.raw)
			}
			images := s.must(d, "DescribeImageInstances", "Criteria", `[{"name":"repoName","value":"front"},{"name":"instanceId","value":"`+id+`"}]`)
			if images.count("ImageInstanceList") != 1 || images.text("ImageInstanceList", "Tag") != "latest" || images.text("ImageInstanceList", "RegistryId") != id {
				t.Errorf("%s: images %s", d.name, images.raw)
			}
			list := s.must(d, "ListPrivateRegistryList", "RegistryType", "oci")
			if list.count("ImageRegistryInfos") != 1 || list.text("ImageRegistryInfos", "Port") != port {
				t.Errorf("%s: list %s", d.name, list.raw)
			}
			test := s.must(d, "TestImageRegistry", "RegistryId", id)
			if test.text("Data", "Success") != "true" {
				t.Errorf("%s: test %s", d.name, test.raw)
			}
			if status, doc := s.call(d, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", host, "Port", port); status != 400 || doc.text("Code") != "RegistryAlreadyExists" || !strings.Contains(doc.text("Message"), id) {
				t.Errorf("%s: twice %d %s", d.name, status, doc.raw)
			}
			if status, doc := s.call(d, "PageImageRegistry", "PageSize", "1001"); status != 400 || doc.text("Code") != "InvalidParameter" || doc.text("Message") != "PageSize must be an integer from 1 to 1000" {
				t.Errorf("%s: too large a page %d %s", d.name, status, doc.raw)
			}
			if done := s.must(d, "DeletePrivateRegistry", "RegistryId", id); done.text("Data") != "true" {
				t.Errorf("%s: deleted %s", d.name, done.raw)
			}
			page = s.must(d, "PageImageRegistry")
			if page.count("List") != 0 || page.text("PageInfo", "TotalCount") != "0" {
				t.Errorf("%s: page after deletion %s", d.name, page.raw)
			}
			if images := s.must(d, "DescribeImageInstances"); images.count("ImageInstanceList") != 0 {
				t.Errorf("%s: images after deletion %s", d.name, images.raw)
			}
		}
	})
}
