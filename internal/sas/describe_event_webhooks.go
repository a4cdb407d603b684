package sas

import (
	"context"

	"portolan/internal/event"
	"portolan/internal/rpc"
	"portolan/internal/store"
)

type describeEventWebhooksRequest struct {
	rpc.Paging
}

type describeEventWebhooksResponse struct {
	List     []webhookRow `doc:"The webhooks of the page, the newest first."`
	PageInfo pageInfo     `doc:"Where the page is."`
}

type webhookRow struct {
	WebhookID    string   `json:"WebhookId" doc:"The id of the webhook." example:"whk-k3b5x7q2m4n6p8r9"`
	URL          string   `json:"Url" doc:"Where messages are sent; the last part of the path, and a query, are masked, since they may be secret." example:"https://chat.example.com/hooks/******"`
	Events       []string `doc:"What it is told of." example:"image.added"`
	RegistryID   int64    `json:"RegistryId,omitempty" doc:"The only registry that it is told of; absent for all." example:"22233"`
	GmtCreate    string   `doc:"When it was made." example:"2026-01-02 10:23:30"`
	Status       string   `doc:"ok, or failing when a message was given up and none has arrived since." example:"ok"`
	FailingSince string   `json:",omitempty" doc:"Since when it is failing." example:"2026-01-02 10:23:30"`
	LastTime     string   `json:",omitempty" doc:"When a message was last sent." example:"2026-01-02 10:23:30"`
	LastEvent    string   `json:",omitempty" doc:"What that message told of." example:"image.added"`
	LastOutcome  string   `json:",omitempty" doc:"What became of it." example:"taken with status 204"`
	Queued       int      `doc:"Messages that wait to be sent, again or for the first time." example:"0"`
	Dropped      int      `doc:"Messages that were never queued because 100 waited." example:"0"`
}

func (s *Service) describeEventWebhooks() rpc.Endpoint {
	return rpc.Operation[describeEventWebhooksRequest, describeEventWebhooksResponse]{
		Spec: own("DescribeEventWebhooks", rpc.List, "Lists the webhooks that events are sent to.", ""),
		Handle: func(ctx context.Context, caller *rpc.Caller, req *describeEventWebhooksRequest) (*describeEventWebhooksResponse, error) {
			list, total, err := s.DB.EventWebhooks(ctx, caller.Principal.AccountID, req.CurrentPage, req.PageSize)
			if err != nil {
				return nil, err
			}
			resp := &describeEventWebhooksResponse{PageInfo: pageOf(req.Paging, len(list), total)}
			for i := range list {
				resp.List = append(resp.List, s.webhookRow(&list[i]))
			}
			return resp, nil
		},
	}.Endpoint()
}

func (s *Service) webhookRow(h *store.EventWebhook) webhookRow {
	status := "ok"
	if !h.Failing.IsZero() {
		status = "failing"
	}
	return webhookRow{
		WebhookID: h.ID, URL: event.ShownURL(h.URL), Events: h.Events, RegistryID: h.RegistryID, GmtCreate: s.when(h.Created), Status: status,
		FailingSince: s.when(h.Failing), LastTime: s.when(h.LastAt), LastEvent: h.LastEvent, LastOutcome: h.LastOutcome, Queued: h.Queued, Dropped: h.Dropped,
	}
}
