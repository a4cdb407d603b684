package oci_test

import (
	"fmt"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/connectortest"
)

// TestIndex looks into indexes until the first image.
func TestIndex(t *testing.T) {
	t.Parallel()
	image, chart := connectortest.NewImage("amd64"), connectortest.NewChart("chart")
	child := func(i connectortest.Image, platform string) string {
		return fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":%s}`, i.MediaType, i.Digest, len(i.Manifest), platform)
	}
	const linux, unknown = `{"os":"linux","architecture":"amd64"}`, `{"os":"unknown","architecture":"unknown"}`
	missing := connectortest.NewImage("missing")
	nested := index("nested", child(image, linux))
	deep := index("deep", child(index("deeper", child(nested, linux)), linux))
	tests := map[string]struct {
		index connectortest.Image
		kind  portolan.Kind // "" for a row that fails
		gets  int
		size  int64
	}{
		"first":           {index("1", child(image, linux), child(chart, linux)), portolan.KindImage, 2, 107 + int64(len(image.Manifest))},
		"second":          {index("2", child(chart, linux), child(image, linux)), portolan.KindImage, 3, 107 + int64(len(image.Manifest))},
		"none":            {index("3", child(chart, linux)), portolan.KindOther, 2, -1},
		"empty":           {index("4"), portolan.KindOther, 1, -1},
		"attestation":     {index("5", child(image, unknown)), portolan.KindOther, 1, -1},
		"nested":          {index("6", child(nested, linux)), portolan.KindImage, 3, 107 + int64(len(image.Manifest))},
		"nested too deep": {index("7", child(deep, linux)), portolan.KindOther, 3, -1},
		"sparse":          {index("8", child(missing, linux), child(image, linux)), portolan.KindImage, 3, 107 + int64(len(image.Manifest))},
		"missing only":    {index("9", child(missing, linux), child(chart, linux)), "", 3, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &connectortest.Model{}
			test.index.Tags = []string{"latest"}
			m.Add("a", test.index, image, chart, nested, deep, index("deeper", child(nested, linux)))
			r := open(t, &server{model: m, pageSize: 100}, nil)
			_, rows, err := images(t, r, "a", nothing{})
			if err != nil || len(rows) != 1 {
				t.Fatalf("%v, %v", rows, err)
			}
			row := rows[0]
			if row.Kind != test.kind || (row.Err != nil) != (test.kind == "") {
				t.Errorf("got %s, %v, want %s", row.Kind, row.Err, test.kind)
			}
			if got := r.requests("GET /v2/a/manifests/"); got != test.gets {
				t.Errorf("%d manifests fetched, want %d", got, test.gets)
			}
			if test.size >= 0 && row.Size != test.size {
				t.Errorf("size %d, want %d", row.Size, test.size)
			}
		})
	}
}

func index(seed string, children ...string) connectortest.Image {
	body := []byte(fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"annotations":{"seed":%q},"manifests":[%s]}`, connector.MediaTypeOCIIndex, seed, strings.Join(children, ",")))
	return connectortest.Image{Digest: connector.DigestManifest("", body), MediaType: connector.MediaTypeOCIIndex, Manifest: body}
}
