package sas

import (
	"context"

	"portolan/internal/registry"
	"portolan/internal/rpc"
)

type updateJenkinsImageRegistryNameRequest struct {
	RegistryID   int64  `rpc:"RegistryId" required:"true" range:"1," in:"body" doc:"The registry, of type CI/CD." example:"25090"`
	RegistryName string `required:"true" range:",128" in:"body" doc:"The new name, 1 to 128 characters." example:"jenkins-eu"`
	claimed
}

// jenkinsDone is the answer to a change of a CI/CD registry.
type jenkinsDone struct {
	Data bool `doc:"true." example:"true"`
	timed
}

var errNotCI = rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "The registry is not of type CI/CD."}

func (s *Service) updateJenkinsImageRegistryName() rpc.Endpoint {
	return rpc.Operation[updateJenkinsImageRegistryNameRequest, jenkinsDone]{
		Spec: vendor("UpdateJenkinsImageRegistryName", rpc.Write, "Renames a CI/CD registry.", "", errNoRegistry, errNotCI),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *updateJenkinsImageRegistryNameRequest) (*jenkinsDone, error) {
			err := s.Registries.ModifyCI(ctx, caller.Principal.AccountID, req.RegistryID, registry.Fields{Name: req.RegistryName})
			if err != nil {
				return nil, err
			}
			return &jenkinsDone{true, inTime()}, nil
		},
	}.Endpoint()
}
