package sas

import (
	"context"

	"portolan"
	"portolan/internal/rpc"
)

type queryJenkinsImageRegistryPersistenceDayResponse struct {
	Data int `doc:"The days." example:"30"`
	timed
}

func (s *Service) queryJenkinsImageRegistryPersistenceDay() rpc.Endpoint {
	return rpc.Operation[claimed, queryJenkinsImageRegistryPersistenceDayResponse]{
		Spec: vendor("QueryJenkinsImageRegistryPersistenceDay", rpc.Read, "Tells how many days images of a new CI/CD registry stay.", `
The vendor's operation names no registry: it answers the days of one that is added without PersistenceDay. Those of a
registry are in PageImageRegistry.`),
		Handle: func(context.Context, *rpc.Caller, *claimed) (*queryJenkinsImageRegistryPersistenceDayResponse, error) {
			return &queryJenkinsImageRegistryPersistenceDayResponse{portolan.DefaultPersistence, inTime()}, nil
		},
	}.Endpoint()
}
