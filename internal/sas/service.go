// Package sas has the operations of Security Center (product Sas, version
// 2018-12-03), one a file: request, response, documentation, handler.
//
// It knows the wire's shapes and the rules of lists; it hands changes to the
// services that own them. It must not know HTTP or signatures.
package sas

import (
	"context"
	"errors"
	"strings"
	"time"

	"portolan"
	"portolan/internal/agent"
	"portolan/internal/event"
	"portolan/internal/inventory"
	"portolan/internal/registry"
	"portolan/internal/report"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

// Product and version of all operations, and the prefix of their RAM actions.
const (
	Product = "Sas"
	Version = "2018-12-03"
	actions = "yundun-sas:"
)

// Service is what the operations work with.
type Service struct {
	DB         *store.DB
	Registries *registry.Service
	Inventory  *inventory.Service
	Events     *event.Service
	Reports    *report.Service
	Agents     *agent.Service
	// Zone is the time zone of times on the wire.
	Zone *time.Location
	// Regions are shown although no registry uses them yet.
	Regions []string

	ready readyRows
}

// Endpoints lists the operations.
func (s *Service) Endpoints() []rpc.Endpoint {
	return []rpc.Endpoint{
		s.pageImageRegistry(),
		s.addPrivateRegistry(),
		s.modifyImageRegistry(),
		s.deletePrivateRegistry(),
		s.restoreImageRegistry(),
		s.listPrivateRegistryList(),
		s.listPrivateRegistryType(),
		s.listImageRegistryRegion(),
		s.listImageRegistryExtra(),
		s.refreshContainerAssets(),
		s.testImageRegistry(),
		s.syncImageRegistry(),
		s.describeImageRegistrySync(),
		s.describeImageRegistrySyncs(),
		s.describeImageRepoList(),
		s.describeImageRepoDetailList(),
		s.describeImageRepoCriteria(),
		s.describeImageInstances(),
		s.describeImageCriteria(),
		s.describeImage(),
		s.describeImageInfoList(),
		s.describeImageStatistics(),
		s.findImage(),
		s.refreshRegistryWebhook(),
		s.pauseImageRegistry(),
		s.resumeImageRegistry(),
		s.createJenkinsImageRegistry(),
		s.updateJenkinsImageRegistryName(),
		s.updateJenkinsImageRegistryPersistenceDay(),
		s.queryJenkinsImageRegistryPersistenceDay(),
		s.refreshRegistryToken(),
		s.createJenkinsImageScanTask(),
		s.describeImageScanTask(),
		s.describeImageChanges(),
		s.describeImageRegistryRetention(),
		s.runImageRegistryRetention(),
		s.describeDeletedImageRegistries(),
		s.createEventWebhook(),
		s.describeEventWebhooks(),
		s.deleteEventWebhook(),
		s.testEventWebhook(),
		s.enrollAgent(),
		s.describeAgents(),
		s.revokeAgent(),
	}
}

// vendor is the Spec of an operation of the vendor's.
func vendor(name string, access rpc.Access, summary, doc string, errs ...rpc.Err) rpc.Spec {
	return rpc.Spec{
		Name: name, Product: Product, Version: Version, Action: actions + name, Access: access,
		Summary: summary, Doc: strings.TrimSpace(doc), Errors: errs, Since: "0.1.0",
	}
}

// own is the Spec of an operation that only Portolan has.
func own(name string, access rpc.Access, summary, doc string, errs ...rpc.Err) rpc.Spec {
	spec := vendor(name, access, summary, doc, errs...)
	spec.Extension = true
	return spec
}

var (
	errNoRegistry = rpc.Err{Code: "RegistryNotExist", Status: 400, Doc: "The account has no registry of that id."}
	errNoImage    = rpc.Err{Code: "ImageNotExist", Status: 400, Doc: "The account has no such image."}
)

// registryOf answers a registry of the caller's account.
func (s *Service) registryOf(ctx context.Context, caller *rpc.Caller, id int64) (*portolan.Registry, error) {
	r, err := s.DB.Registry(ctx, caller.Principal.AccountID, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, portolan.ErrRegistryNotExist
	}
	return r, err
}
