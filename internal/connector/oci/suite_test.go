package oci_test

import (
	"net/http"
	"testing"

	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/oci"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	const pageSize = 4
	for name, bearer := range map[string]bool{"basic": false, "token": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Suite{
				Open: oci.Open,
				Serve: func(_ testing.TB, m *connectortest.Model) http.Handler {
					return &server{model: m, pageSize: pageSize, bearer: bearer}
				},
				PageSize:    pageSize,
				Links:       true,
				Accessories: true,
			}.Run(t)
		})
	}
}
