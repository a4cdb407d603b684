package samples

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
)

// Media types of the samples.
const (
	typeIndex      = "application/vnd.oci.image.index.v1+json"
	typeManifest   = "application/vnd.oci.image.manifest.v1+json"
	typeConfig     = "application/vnd.oci.image.config.v1+json"
	typeLayer      = "application/vnd.oci.image.layer.v1.tar+gzip"
	typeEmpty      = "application/vnd.oci.empty.v1+json"
	typeSigned     = "application/vnd.dev.cosign.simplesigning.v1+json"
	typeHelmConfig = "application/vnd.cncf.helm.config.v1+json"
	typeHelmChart  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	typeSPDX       = "application/spdx+json"
)

// manifest is a document with the configuration that it names.
type manifest struct {
	mediaType string
	body      []byte
	config    []byte
}

func (m manifest) digest() string { return digest(m.body) }
func (m manifest) hex() string    { return strings.TrimPrefix(m.digest(), "sha256:") }

// descriptor names a document or a blob.
type descriptor struct {
	MediaType string    `json:"mediaType"`
	Digest    string    `json:"digest"`
	Size      int       `json:"size"`
	Platform  *platform `json:"platform,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type document struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType,omitempty"`
	Config        *descriptor  `json:"config,omitempty"`
	Layers        []descriptor `json:"layers,omitempty"`
	Manifests     []descriptor `json:"manifests,omitempty"`
	Subject       *descriptor  `json:"subject,omitempty"`
}

func describe(mediaType string, b []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: digest(b), Size: len(b)}
}

// packed makes a manifest of one configuration and one layer.
func packed(configType string, config []byte, layerType, layer string, d document) manifest {
	c := describe(configType, config)
	d.SchemaVersion, d.MediaType, d.Config = 2, typeManifest, &c
	d.Layers = []descriptor{{MediaType: layerType, Digest: digest([]byte(layer)), Size: layerSize(layer)}}
	return manifest{mediaType: typeManifest, body: marshal(d), config: config}
}

// layerSize makes up a size of 5 to 200 MB, and the same for the same layer.
func layerSize(layer string) int {
	sum := sha256.Sum256([]byte(layer))
	const least, span = 5_000_000, 195_000_000
	return least + int(binary.BigEndian.Uint32(sum[:])%span)
}

// image makes an image; the same seed makes the same one.
func image(seed, on string) manifest {
	os, architecture, _ := strings.Cut(on, "/")
	config := marshal(map[string]any{
		"created": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "os": os, "architecture": architecture,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest([]byte(seed + on))}},
	})
	return packed(typeConfig, config, typeLayer, seed+on, document{})
}

func index(children []manifest, platforms []string) manifest {
	d := document{SchemaVersion: 2, MediaType: typeIndex}
	for i, child := range children {
		os, architecture, _ := strings.Cut(platforms[i], "/")
		item := describe(typeManifest, child.body)
		item.Platform = &platform{os, architecture}
		d.Manifests = append(d.Manifests, item)
	}
	return manifest{mediaType: typeIndex, body: marshal(d)}
}

func signature(of manifest) manifest {
	return packed(typeConfig, []byte(`{"os":"","architecture":""}`), typeSigned, "signature of "+of.hex(), document{})
}

func referrer(of manifest) manifest {
	subject := describe(of.mediaType, of.body)
	return packed(typeEmpty, []byte("{}"), typeSPDX, "description of "+of.hex(), document{ArtifactType: typeSPDX, Subject: &subject})
}

func chart(seed string) manifest {
	return packed(typeHelmConfig, []byte(`{"name":"portal","version":"`+seed+`"}`), typeHelmChart, seed, document{})
}
