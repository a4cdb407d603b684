package job

import (
	"context"
	"log/slog"
	"time"
)

// Housekeeping is how long after a start the work begins that can wait: the
// first answers come before it.
const Housekeeping = 2 * time.Second

// Every runs a task after a first delay and then every d, until the context
// ends. A task that fails is logged by its name and runs again at its time.
func Every(ctx context.Context, first, d time.Duration, log *slog.Logger, name string, task func(context.Context) error) {
	t := time.NewTimer(first)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if ctx.Err() != nil { // both came, and select took the other
			return
		}
		t.Reset(d)
		if err := task(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, name+" failed and will be tried again", "error", err)
		}
	}
}
