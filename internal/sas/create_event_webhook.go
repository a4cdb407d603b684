package sas

import (
	"context"

	"portolan/internal/rpc"
	"portolan/internal/store"
)

type createEventWebhookRequest struct {
	URL        string   `rpc:"Url" required:"true" range:"1,2048" in:"body" doc:"Where messages are sent: https, or http in networks that may be dialled." example:"https://chat.example.com/hooks/portolan"`
	Events     []string `required:"true" range:"1,10" in:"body" doc:"What to tell of: image.added, image.gone, image.retagged, reading.failing, reading.stale, credential.expiring." example:"image.added"`
	RegistryID int64    `rpc:"RegistryId" range:"1," in:"body" doc:"Only of this registry; all if absent." example:"22233"`
}

type createEventWebhookResponse struct {
	Data createdWebhook `doc:"The webhook."`
}

type createdWebhook struct {
	WebhookID string `json:"WebhookId" doc:"The id of the webhook." example:"whk-k3b5x7q2m4n6p8r9"`
	Secret    string `doc:"The key that messages are signed with. It is shown this once." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
}

func (s *Service) createEventWebhook() rpc.Endpoint {
	return rpc.Operation[createEventWebhookRequest, createEventWebhookResponse]{
		Spec: own("CreateEventWebhook", rpc.Write, "Has events sent to a URL, as signed messages.", `
Messages have the form of Standard Webhooks: the headers webhook-id, webhook-timestamp and webhook-signature, and JSON with
type, timestamp and data. A message that is not taken with a status from 200 to 299 is sent again for some seven hours.`,
			errNoRegistry, rpc.Err{Code: "AddressForbidden", Status: 400, Doc: "Url leads to an address that is not dialled."},
			rpc.Err{Code: store.ErrTooMany.Code, Status: 400, Doc: store.ErrTooMany.Message}),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *createEventWebhookRequest) (*createEventWebhookResponse, error) {
			if req.RegistryID != 0 {
				if _, err := s.registryOf(ctx, caller, req.RegistryID); err != nil {
					return nil, err
				}
			}
			h := &store.EventWebhook{AccountID: caller.Principal.AccountID, RegistryID: req.RegistryID, URL: req.URL, Events: req.Events}
			secret, err := s.Events.Add(ctx, h)
			if err != nil {
				return nil, err
			}
			return &createEventWebhookResponse{Data: createdWebhook{h.ID, secret}}, nil
		},
	}.Endpoint()
}
