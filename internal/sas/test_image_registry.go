package sas

import (
	"context"
	"time"

	"portolan"
	"portolan/internal/inventory"
	"portolan/internal/rpc"
)

// maxTestSeconds is the range of TimeoutSeconds.
const maxTestSeconds = 60

type testImageRegistryRequest struct {
	RegistryID     int64  `rpc:"RegistryId" range:"1," doc:"A registry to test as it is saved; else the parameters of AddPrivateRegistry." example:"22233"`
	TimeoutSeconds int    `range:"1,60" default:"20" doc:"The time for all steps." example:"20"`
	RegistryType   string `doc:"As for AddPrivateRegistry." example:"harbor"`
	DomainName     string `doc:"As for AddPrivateRegistry." example:"harbor.example.com"`
	registryFields
	bodyFields
}

type testImageRegistryResponse struct {
	Data testResult `doc:"What was found out."`
}

type testResult struct {
	Success bool       `doc:"Whether every step went well." example:"true"`
	Product string     `doc:"What answered." example:"Harbor"`
	Version string     `doc:"Its version, if it tells." example:"v2.15.2"`
	Steps   []testStep `doc:"The steps in order."`
}

type testStep struct {
	Name    string `doc:"address, tcp, tls, authentication, permission, catalogue, tags or manifest." example:"authentication"`
	Status  string `doc:"ok, failed or skipped." example:"ok"`
	Millis  int64  `doc:"How long it took." example:"12"`
	Message string `doc:"What was seen." example:"logged in as robot$portolan"`
	Remedy  string `doc:"What to do, for a failed step." example:""`
}

func (s *Service) testImageRegistry() rpc.Endpoint {
	spec := own("TestImageRegistry", rpc.Write, "Tries to read a registry, step by step, without saving anything.", `
It dials the registry, so it counts as a write. A registry that fails the test is a successful call with Success false.`, errNoRegistry)
	spec.Timeout = (maxTestSeconds + 5) * time.Second // the answer is still to be written
	return rpc.Operation[testImageRegistryRequest, testImageRegistryResponse]{
		Spec: spec,
		Handle: func(ctx context.Context, caller *rpc.Caller, req *testImageRegistryRequest) (*testImageRegistryResponse, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Duration(req.TimeoutSeconds)*time.Second)
			defer cancel()
			result, err := s.test(ctx, caller.Principal.AccountID, req)
			if err != nil {
				return nil, err
			}
			data := testResult{Success: result.OK(), Product: result.Product, Version: result.Version}
			for _, step := range result.Steps {
				data.Steps = append(data.Steps, testStep{step.Name, step.Status, step.Took.Milliseconds(), step.Message, step.Remedy})
			}
			return &testImageRegistryResponse{Data: data}, nil
		},
	}.Endpoint()
}

func (s *Service) test(ctx context.Context, account int64, req *testImageRegistryRequest) (*inventory.TestResult, error) {
	if req.RegistryID != 0 {
		if req.RegistryType != "" || req.DomainName != "" {
			return nil, portolan.Invalid("RegistryId", "must be absent when a registry that is not saved is described by RegistryType and DomainName")
		}
		return s.Inventory.TestSaved(ctx, account, req.RegistryID)
	}
	d, err := s.Registries.Draft(account, portolan.RegistryType(req.RegistryType), req.fields(req.DomainName, &req.bodyFields))
	if err != nil {
		return nil, err
	}
	return s.Inventory.Test(ctx, d.Registry, d.Credential), nil
}
