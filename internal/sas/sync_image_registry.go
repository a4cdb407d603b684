package sas

import (
	"context"
	"errors"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type syncImageRegistryRequest struct {
	RegistryID      int64 `rpc:"RegistryId" required:"true" range:"1," doc:"The registry." example:"22233"`
	Full            bool  `doc:"Read every repository, whatever the hints of the source say. While a plain reading runs, one more is queued." example:"true"`
	ConfirmVanished bool  `doc:"Believe that images which disappeared are gone, without waiting for two more readings." example:"false"`
}

type syncImageRegistryResponse struct {
	Data syncStarted `doc:"The reading."`
}

type syncStarted struct {
	SyncID string `json:"SyncId" doc:"The id of the reading; that of one that waits or runs, if it was joined." example:"8b4d5f0a-0c7e-4d9c-9a53-5b6f8a3c2d10"`
}

func (s *Service) syncImageRegistry() rpc.Endpoint {
	return rpc.Operation[syncImageRegistryRequest, syncImageRegistryResponse]{
		Spec: own("SyncImageRegistry", rpc.Write, "Reads a registry now.", `
It is read whatever its schedule and its syncWindow say, and as often as it is asked for.`, errNoRegistry,
			rpc.Err{Code: "RegistryPaused", Status: 400, Doc: "It is paused; ResumeImageRegistry reads it at once."},
			rpc.Err{Code: "UnsupportedOperation", Status: 400, Doc: "A CI/CD registry reports its images itself."}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *syncImageRegistryRequest) (*syncImageRegistryResponse, error) {
			r, err := s.registryOf(ctx, caller, req.RegistryID)
			if err != nil {
				return nil, err
			}
			if !r.Type.Pull() {
				return nil, portolan.Refused("UnsupportedOperation", "A registry of type CI/CD is not read: it reports its images itself.")
			}
			id, err := s.Inventory.Sync(ctx, store.SyncRequest{
				AccountID: r.AccountID, RegistryID: r.ID, Cause: portolan.CauseManual, Full: req.Full, ConfirmVanished: req.ConfirmVanished,
			})
			if errors.Is(err, store.ErrNotFound) {
				return nil, portolan.ErrRegistryNotExist
			}
			return &syncImageRegistryResponse{Data: syncStarted{id}}, err
		},
	}.Endpoint()
}
