package connector_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
)

const (
	sumA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

	ociConfig    = `"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"` + sumA + `","size":10}`
	dockerConfig = `"config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"` + sumA + `","size":10}`
	layer        = `{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"` + sumB + `","size":100}`
)

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want portolan.Kind
	}{
		"OCI image":            {`{"schemaVersion":2,` + ociConfig + `,"layers":[` + layer + `]}`, portolan.KindImage},
		"Docker image":         {`{"schemaVersion":2,"mediaType":"` + connector.MediaTypeDocker + `",` + dockerConfig + `,"layers":[` + layer + `]}`, portolan.KindImage},
		"no layers":            {`{"schemaVersion":2,` + ociConfig + `,"layers":[]}`, portolan.KindImage},
		"artifactType equals":  {`{"schemaVersion":2,"artifactType":"application/vnd.oci.image.config.v1+json",` + ociConfig + `,"layers":[` + layer + `]}`, portolan.KindImage},
		"artifactType differs": {`{"schemaVersion":2,"artifactType":"application/vnd.x",` + ociConfig + `,"layers":[` + layer + `]}`, portolan.KindOther},
		"subject":              {`{"schemaVersion":2,` + ociConfig + `,"layers":[` + layer + `],"subject":{"digest":"` + sumB + `"}}`, portolan.KindAccessory},
		"attestation":          {`{"schemaVersion":2,` + ociConfig + `,"layers":[{"mediaType":"application/vnd.in-toto+json"}]}`, portolan.KindOther},
		"cosign":               {`{"schemaVersion":2,` + ociConfig + `,"layers":[{"mediaType":"application/vnd.dev.cosign.simplesigning.v1+json"}]}`, portolan.KindOther},
		"some layers in-toto":  {`{"schemaVersion":2,` + ociConfig + `,"layers":[{"mediaType":"application/vnd.in-toto+json"},` + layer + `]}`, portolan.KindImage},
		"Helm":                 {`{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json","digest":"` + sumA + `"},"layers":[` + layer + `]}`, portolan.KindOther},
		"empty config":         {`{"schemaVersion":2,"artifactType":"application/vnd.x","config":{"mediaType":"application/vnd.oci.empty.v1+json"},"layers":[]}`, portolan.KindOther},
		"no config":            {`{"schemaVersion":2,"mediaType":"` + connector.MediaTypeOCIManifest + `","layers":[]}`, portolan.KindOther},
		"schema 1":             {`{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[],"history":[]}`, portolan.KindImage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := connector.ParseManifest("", []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got := connector.Classify(m).Kind; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestClassifyFacts(t *testing.T) {
	t.Parallel()
	body := `{"schemaVersion":2,` + ociConfig + `,"layers":[` + layer + `,` + layer + `],"annotations":{"org.opencontainers.image.created":"2026-01-02T03:04:05Z"}}`
	m, err := connector.ParseManifest("application/vnd.oci.image.manifest.v1+json; charset=utf-8", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	want := connector.Facts{
		Kind: portolan.KindImage, MediaType: connector.MediaTypeOCIManifest, ImageID: sumA,
		Size: int64(len(body)) + 210, Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	if diff := cmp.Diff(want, connector.Classify(m)); diff != "" {
		t.Error(diff)
	}
}

func TestClassifyIndex(t *testing.T) {
	t.Parallel()
	body := `{"schemaVersion":2,"mediaType":"` + connector.MediaTypeOCIIndex + `","manifests":[
		{"digest":"` + sumA + `","platform":{"os":"unknown","architecture":"unknown"}},
		{"digest":"` + sumA + `","annotations":{"vnd.docker.reference.type":"attestation-manifest"},"platform":{"os":"linux","architecture":"amd64"}},
		{"digest":"` + sumB + `","platform":{"os":"linux","architecture":"arm","variant":"v7"}},
		{"digest":"` + sumB + `","platform":{"os":"bad\u0000","architecture":"arm"}}]}`
	m, err := connector.ParseManifest("", []byte(body))
	if err != nil || !m.Index() {
		t.Fatalf("not an index: %v", err)
	}
	if n := len(m.Candidates()); n != 2 {
		t.Errorf("%d candidates, want 2", n)
	}
	got := connector.ClassifyIndex(m, &connector.Facts{Kind: portolan.KindImage, Size: 77, ImageID: sumA})
	want := connector.Facts{Kind: portolan.KindImage, MediaType: connector.MediaTypeOCIIndex, Size: 77, Platforms: []string{"linux/arm/v7"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := connector.ClassifyIndex(m, nil).Kind; got != portolan.KindOther {
		t.Errorf("without an image: %s", got)
	}
	m.Subject = sumA
	if got := connector.ClassifyIndex(m, nil).Kind; got != portolan.KindAccessory {
		t.Errorf("with a subject: %s", got)
	}
}

func TestParseManifestRefuses(t *testing.T) {
	t.Parallel()
	many := strings.Repeat(`0,`, 500_000) + `{}`
	for name, body := range map[string]string{
		"not JSON": "<html>", "empty": "", "other JSON": "{}", "list": "[]", "error": `{"errors":[]}`,
		"subject without digest": `{"schemaVersion":2,"subject":{"digest":"x"}}`,
		"too many children":      `{"schemaVersion":2,"manifests":[` + many + `]}`,
		"type with controls":     `{"schemaVersion":2,"mediaType":"a\u0007"}`,
		"huge type":              `{"schemaVersion":2,"mediaType":"` + strings.Repeat("x", 1000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := connector.ParseManifest("", []byte(body)); !errors.Is(err, connector.ErrManifest) {
				t.Errorf("got %v, want ErrManifest", err)
			}
		})
	}
}

func TestVerifyManifest(t *testing.T) {
	t.Parallel()
	body := []byte("hello")
	const (
		sha256 = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
		sha512 = "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca72323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"
	)
	for _, d := range []portolan.Digest{sha256, sha512} {
		if err := connector.VerifyManifest(d, "", body); err != nil {
			t.Errorf("%s: %v", d, err)
		}
		if err := connector.VerifyManifest(d, "", []byte("hallo")); !errors.Is(err, connector.ErrManifest) {
			t.Errorf("%s: other content was accepted: %v", d, err)
		}
	}
	if got := connector.DigestManifest("", body); got != sha256 {
		t.Errorf("digest %s", got)
	}
}

// TestVerifySigned: the digest of a signed schema 1 manifest is that of what
// was signed.
func TestVerifySigned(t *testing.T) {
	t.Parallel()
	payload := "{\n   \"schemaVersion\": 1,\n   \"name\": \"a\"\n}"
	head, tail := payload[:len(payload)-2], payload[len(payload)-2:]
	protected := fmt.Sprintf(`{"formatLength":%d,"formatTail":%q}`, len(head), base64.RawURLEncoding.EncodeToString([]byte(tail)))
	signed := head + ",\n   \"signatures\": [{\"protected\": \"" + base64.RawURLEncoding.EncodeToString([]byte(protected)) + "\"}]\n}"
	want := connector.DigestManifest("", []byte(payload))
	if err := connector.VerifyManifest(want, connector.MediaTypeSchema1Sign, []byte(signed)); err != nil {
		t.Error(err)
	}
	if got := connector.DigestManifest(connector.MediaTypeSchema1Sign, []byte(signed)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	m, err := connector.ParseManifest(connector.MediaTypeSchema1Sign, []byte(signed))
	if err != nil || connector.Classify(m).Kind != portolan.KindImage {
		t.Errorf("a signed manifest is no image: %v", err)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 32)
	image := connector.Facts{Kind: portolan.KindImage, MediaType: connector.MediaTypeOCIManifest}
	tests := map[string]struct {
		tags  []string
		facts connector.Facts
		want  portolan.Kind
	}{
		"normal":           {[]string{"1.0"}, image, portolan.KindImage},
		"untagged":         {nil, image, portolan.KindImage},
		"signature":        {[]string{"sha256-" + hex + ".sig"}, image, portolan.KindAccessory},
		"fallback":         {[]string{"sha256-" + hex}, image, portolan.KindAccessory},
		"both":             {[]string{"sha256-" + hex + ".att", "1.0"}, image, portolan.KindImage},
		"other ending":     {[]string{"sha256-" + hex + ".txt"}, image, portolan.KindImage},
		"short":            {[]string{"sha256-0a.sig"}, image, portolan.KindImage},
		"facts say chart":  {[]string{"1.0"}, connector.Facts{Kind: portolan.KindOther}, portolan.KindOther},
		"several endings":  {[]string{"sha256-" + hex + ".sbom", "sha256-" + hex + ".cosign"}, image, portolan.KindAccessory},
		"something before": {[]string{"x-sha256-" + hex}, image, portolan.KindImage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tags []connector.Tag
			for _, name := range test.tags {
				tags = append(tags, connector.Tag{Name: name})
			}
			if got := connector.Judge(tags, test.facts); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("", []byte(`{"schemaVersion":2,`+ociConfig+`,"layers":[`+layer+`]}`))
	f.Add(connector.MediaTypeOCIIndex, []byte(`{"schemaVersion":2,"manifests":[{"digest":"`+sumA+`","platform":{"os":"linux"}}]}`))
	f.Add(connector.MediaTypeSchema1Sign, []byte(`{"schemaVersion":1,"signatures":[{"protected":"e30"}]}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		_ = connector.DigestManifest(contentType, body)
		m, err := connector.ParseManifest(contentType, body)
		if err != nil {
			return
		}
		for _, facts := range []connector.Facts{connector.Classify(m), connector.ClassifyIndex(m, nil)} {
			if !facts.Complete() || facts.Kind == "" || facts.Size < int64(len(body)) || len(facts.Platforms) > connector.MaxChildren {
				t.Errorf("%q: facts %+v", body, facts)
			}
		}
	})
}
