package sas

import (
	"context"

	"portolan/internal/rpc"
)

type testEventWebhookResponse struct {
	Data webhookTest `doc:"What became of it."`
}

type webhookTest struct {
	Success    bool   `doc:"Whether the receiver took the message." example:"true"`
	StatusCode int    `doc:"The status that it answered; 0 if there was no answer." example:"204"`
	Millis     int64  `doc:"How long it took." example:"35"`
	Message    string `doc:"The same in words, or why there was no answer." example:"taken with status 204"`
}

func (s *Service) testEventWebhook() rpc.Endpoint {
	return rpc.Operation[eventWebhookRequest, testEventWebhookResponse]{
		Spec: own("TestEventWebhook", rpc.Write, "Sends a test message to a webhook now, and tells what the receiver said.", `
The message has the type webhook.test, and is not sent again. A receiver that does not take it is a successful call with Success false.`, errNoWebhook),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *eventWebhookRequest) (*testEventWebhookResponse, error) {
			t, err := s.Events.Test(ctx, caller.Principal.AccountID, req.WebhookID)
			if err != nil {
				return nil, err
			}
			return &testEventWebhookResponse{Data: webhookTest{t.Success, t.Status, t.Took.Milliseconds(), t.Message}}, nil
		},
	}.Endpoint()
}
