package job

import (
	"context"
	"log/slog"
	"time"
)

// Every runs a task at once and then every d, until the context ends. A task
// that fails is logged by its name and runs again at its time.
func Every(ctx context.Context, d time.Duration, log *slog.Logger, name string, task func(context.Context) error) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		if err := task(ctx); err != nil && ctx.Err() == nil {
			log.ErrorContext(ctx, name+" failed and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
