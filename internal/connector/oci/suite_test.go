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
	serve := map[string]func(*connectortest.Model) *server{
		"basic": func(m *connectortest.Model) *server { return &server{model: m, pageSize: pageSize} },
		"token": func(m *connectortest.Model) *server { return &server{model: m, pageSize: pageSize, bearer: true} },
		"single tokens": func(m *connectortest.Model) *server {
			return &server{model: m, pageSize: pageSize, bearer: true, single: true}
		},
	}
	for name, make := range serve {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Suite{
				Open:        oci.Open,
				Serve:       func(_ testing.TB, m *connectortest.Model) http.Handler { return make(m) },
				PageSize:    pageSize,
				Links:       true,
				Accessories: true,
			}.Run(t)
		})
	}
}
