package distribution

import (
	"fmt"
	"strings"

	"portolan"
	"portolan/internal/connector"
)

// manifest is one that can be pushed, with its blobs.
type manifest struct {
	mediaType string
	body      []byte
	blobs     [][]byte
}

func (m manifest) digest() portolan.Digest { return digest(m.body) }

func digest(b []byte) portolan.Digest { return connector.DigestManifest("", b) }

// extra is JSON that goes into a manifest, as `"subject":{…}`.
func newManifest(configType, layerType, seed, extra string) manifest {
	config, layer := []byte(`{"seed":"`+seed+`"}`), []byte("layer of "+seed)
	if extra != "" {
		extra = "," + extra
	}
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[{"mediaType":%q,"digest":%q,"size":%d}]%s}`,
		connector.MediaTypeOCIManifest, configType, digest(config), len(config), layerType, digest(layer), len(layer), extra)
	return manifest{mediaType: connector.MediaTypeOCIManifest, body: body, blobs: [][]byte{config, layer}}
}

func newImage(seed string) manifest {
	return newManifest("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip", seed, "")
}

func newChart(seed string) manifest {
	return newManifest("application/vnd.cncf.helm.config.v1+json", "application/vnd.cncf.helm.chart.content.v1.tar+gzip", seed, "")
}

func newReferrer(subject manifest) manifest {
	return newManifest("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip", "referrer",
		fmt.Sprintf(`"artifactType":"application/vnd.example.sbom","subject":{"mediaType":%q,"digest":%q,"size":%d}`, subject.mediaType, subject.digest(), len(subject.body)))
}

func newSignature() manifest {
	return newManifest("application/vnd.oci.image.config.v1+json", "application/vnd.dev.cosign.simplesigning.v1+json", "signature", "")
}

func newIndex(children map[string]manifest) manifest {
	var list []string
	for _, platform := range []string{"linux/amd64", "linux/arm64", "unknown/unknown"} {
		child, ok := children[platform]
		if !ok {
			continue
		}
		os, architecture, _ := strings.Cut(platform, "/")
		list = append(list, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d,"platform":{"os":%q,"architecture":%q}}`,
			child.mediaType, child.digest(), len(child.body), os, architecture))
	}
	body := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, connector.MediaTypeOCIIndex, strings.Join(list, ","))
	return manifest{mediaType: connector.MediaTypeOCIIndex, body: body}
}
