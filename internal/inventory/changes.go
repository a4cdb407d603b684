package inventory

import (
	"context"
	"fmt"

	"portolan/internal/connector"
	"portolan/internal/store"
)

// changes writes down what the reading changed, to be published with it.
func (r *reading) changes(ctx context.Context) (store.ChangeCounts, error) {
	n, done, err := r.DB.CollectChanges(ctx, r.lease, r.over)
	switch {
	case err != nil:
		return n, fmt.Errorf("write down what changed: %w", err)
	case !done:
		r.ran = true
		return n, errPause
	}
	return n, nil
}

// askExpiry asks when the credential ends, where the source can tell. Readings
// of marked repositories do not take the time.
func (r *reading) askExpiry(ctx context.Context) {
	source, able := r.opened.Source.(connector.Expirer)
	if !able || r.hinted() {
		return
	}
	if at, known := source.CredentialExpires(ctx); known {
		r.plan.Expiry = &at
	}
}
