// Package all is the list of the registry types that can be read.
package all

import (
	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/acr"
	"portolan/internal/connector/harbor"
	"portolan/internal/connector/oci"
	"portolan/internal/connector/quay"
)

// Open answers how a type of registry is opened, and false for one that cannot
// be read.
func Open(t portolan.RegistryType) (connector.Open, bool) {
	switch t {
	case portolan.ACR:
		return acr.Open, true
	case portolan.Harbor:
		return harbor.Open, true
	case portolan.Quay:
		return quay.Open, true
	case portolan.OCI:
		return oci.Open, true
	default:
		return nil, false
	}
}
