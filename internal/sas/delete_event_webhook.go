package sas

import (
	"context"

	"portolan/internal/event"
	"portolan/internal/rpc"
)

type eventWebhookRequest struct {
	WebhookID string `rpc:"WebhookId" required:"true" range:"1,64" doc:"The webhook." example:"whk-k3b5x7q2m4n6p8r9"`
}

var errNoWebhook = rpc.Err{Code: event.ErrNotExist.Code, Status: 400, Doc: "The account has no event webhook of that id."}

func (s *Service) deleteEventWebhook() rpc.Endpoint {
	return rpc.Operation[eventWebhookRequest, doneResponse]{
		Spec: own("DeleteEventWebhook", rpc.Write, "Deletes a webhook, and the messages that wait for it.", "", errNoWebhook),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *eventWebhookRequest) (*doneResponse, error) {
			if err := s.Events.Delete(ctx, caller.Principal.AccountID, req.WebhookID); err != nil {
				return nil, err
			}
			return &doneResponse{Data: true}, nil
		},
	}.Endpoint()
}
