package job

import (
	"context"
	"log/slog"
	"time"

	"github.com/riverqueue/river"

	"portolan/internal/store"
)

// Deliveries have workers of their own: a receiver that does not answer holds
// up no reading.
const (
	queueDelivery   = "delivery"
	deliveryWorkers = 4
)

type deliveryArgs struct {
	DeliveryID string `json:"delivery_id"`
}

func (deliveryArgs) Kind() string { return "delivery" }

type deliveryWorker struct {
	river.WorkerDefaults[deliveryArgs]
	deliver func(ctx context.Context, id string) (time.Duration, bool, error)
	log     *slog.Logger
}

func (w *deliveryWorker) Work(ctx context.Context, j *river.Job[deliveryArgs]) error {
	wait, more, err := w.deliver(ctx, j.Args.DeliveryID)
	switch {
	case err != nil:
		w.log.ErrorContext(ctx, "a message to a webhook could not be handled and will be tried again", "delivery", j.Args.DeliveryID, "error", err)
		return river.JobSnooze(retryAfter)
	case more:
		return river.JobSnooze(wait)
	}
	return nil
}

// AddDelivery makes the job of a message to a webhook, when the transaction
// commits.
func (q *Queue) AddDelivery(ctx context.Context, tx *store.Tx, id string) error {
	const forever = 10_000 // a delivery ends by its own rules, not by attempts
	_, err := q.client.InsertTx(ctx, tx.SQL(), deliveryArgs{DeliveryID: id}, &river.InsertOpts{Queue: queueDelivery, MaxAttempts: forever})
	return err
}
