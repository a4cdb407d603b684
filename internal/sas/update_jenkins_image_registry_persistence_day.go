package sas

import (
	"context"

	"portolan/internal/registry"
	"portolan/internal/rpc"
)

type updateJenkinsImageRegistryPersistenceDayRequest struct {
	PersistenceDay int   `required:"true" range:"1,3650" in:"body" doc:"Days for which an image stays that is not reported again." example:"30"`
	RegistryID     int64 `rpc:"RegistryId" required:"true" range:"1," in:"body" doc:"The registry, of type CI/CD." example:"25363"`
	claimed
}

func (s *Service) updateJenkinsImageRegistryPersistenceDay() rpc.Endpoint {
	return rpc.Operation[updateJenkinsImageRegistryPersistenceDayRequest, jenkinsDone]{
		Spec: vendor("UpdateJenkinsImageRegistryPersistenceDay", rpc.Write, "Changes how long images of a CI/CD registry stay.", `
An image that is not reported for that many days leaves the lists and counts; for as many days more it is remembered, and
comes back as itself when it is reported again. Fewer days act within the hour.`, errNoRegistry, errNotCI),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *updateJenkinsImageRegistryPersistenceDayRequest) (*jenkinsDone, error) {
			err := s.Registries.ModifyCI(ctx, caller.Principal.AccountID, req.RegistryID, registry.Fields{PersistenceDay: req.PersistenceDay})
			if err != nil {
				return nil, err
			}
			return &jenkinsDone{true, inTime()}, nil
		},
	}.Endpoint()
}
