package inventory

import (
	"context"
	"errors"
	"fmt"

	"portolan"
	"portolan/internal/store"
)

// Pause has a registry not read any more, until somebody resumes it. What is
// known of it stays. A reading under way ends with its slice. Pausing one that
// is paused changes nothing.
func (s *Service) Pause(ctx context.Context, account, id int64) error {
	return s.setPaused(ctx, account, id, true)
}

// Resume has a paused registry read again, at once. Resuming one that is not
// paused changes nothing.
func (s *Service) Resume(ctx context.Context, account, id int64) error {
	return s.setPaused(ctx, account, id, false)
}

func (s *Service) setPaused(ctx context.Context, account, id int64, paused bool) error {
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, account, id)
		if err != nil {
			return err
		}
		if !r.Type.Pull() {
			return portolan.Refused("UnsupportedOperation", "A registry of type CI/CD is not read, so it cannot be paused. Delete it to refuse its reports.")
		}
		changed, err := tx.SetPaused(ctx, account, id, paused)
		if err != nil || !changed || paused {
			return err
		}
		// Fresh: a reading under way may have seen that it should end.
		_, err = s.Request(ctx, tx, store.SyncRequest{AccountID: account, RegistryID: id, Cause: portolan.CauseManual, Fresh: true})
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return portolan.ErrRegistryNotExist
	}
	if err != nil {
		return fmt.Errorf("pause or resume registry %d: %w", id, err)
	}
	return nil
}

// endPaused ends the reading of a registry that was paused.
func (r *reading) endPaused(ctx context.Context) error {
	issue := portolan.Issue{
		Step: StepReading, Code: portolan.Partial,
		Message: "The registry was paused while it was read. What was read by then is kept, nothing is removed; resume it to go on.",
	}
	r.plan.Early = true
	r.lease.Sync.Ledger.AddIssue(issue)
	return r.endNow(ctx, issue)
}
