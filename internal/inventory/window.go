package inventory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"portolan"
)

// Steps of a reading that no test has.
const (
	StepReading = "reading"
	// StepWindow marks a reading that the end of its window ended.
	StepWindow = "window"
)

const (
	// windowSpread is the time after the start of a window over which the
	// readings that it starts are spread.
	windowSpread = 30 * time.Minute
	// mostNights bounds for how many windows one reading of everything may go
	// on.
	mostNights = 50
)

// place moves the time of a scheduled reading into the registry's window.
func (s *Service) place(e *portolan.Extra, at time.Time) time.Time {
	w, ok := e.Window()
	if !ok || at.IsZero() || w.Open(at.In(s.Zone)) {
		return at
	}
	spread := min(windowSpread, w.Length()/2)
	return w.Next(at.In(s.Zone)).Add(rand.N(spread)) //nolint:gosec // spreads load, keeps no secret
}

// heedWindow keeps a scheduled reading within its registry's window: a slice
// ends with it, and what is not read by then is left to the next one. The
// other readings are made by people and by events, and go on.
func (r *reading) heedWindow(ctx context.Context) (ended bool, err error) {
	w, ok := r.source.Registry.Extra.Window()
	if !ok || r.lease.Sync.Cause != portolan.CauseSchedule || r.plan.Early {
		return false, nil
	}
	now := r.Now().In(r.Zone)
	if w.Open(now) {
		if end := (portolan.Window{From: w.To, To: w.From}).Next(now); end.Before(r.until) {
			r.until = end
		}
		return false, nil
	}
	if r.plan.Phase != phaseCatalogue && r.plan.Phase != phaseVanished && r.plan.Phase != phaseRead {
		return false, nil // little is left to ask for
	}
	issue := portolan.Issue{Step: StepWindow, Code: portolan.Partial, Message: fmt.Sprintf(
		"The window %s (syncWindow) ended before all was read; the rest is read in the next one.", w)}
	r.plan.Early = true
	l := &r.lease.Sync.Ledger
	l.Issues = slices.Insert(l.Issues, 0, issue)
	l.Issues = l.Issues[:min(len(l.Issues), portolan.MaxIssues)]
	if r.plan.Phase != phaseRead {
		return true, r.endNow(ctx, issue)
	}
	return false, r.leaveRest(ctx, issue)
}

// leaveRest leaves what is still to be read and goes on to conclude from what
// has been: its listings are complete.
func (r *reading) leaveRest(ctx context.Context, issue portolan.Issue) error {
	l := &r.lease.Sync.Ledger
	l.ErrorCode, l.ErrorMessage = issue.Code, issue.Message
	if err := r.pack(); err != nil {
		return err
	}
	if err := r.DB.FailTodo(ctx, r.lease); err != nil {
		return err
	}
	for len(r.plan.Parted) > 0 {
		if err := r.revert(ctx, r.plan.Parted[0]); err != nil {
			return err
		}
	}
	r.plan.Phase = phaseResolve
	return nil
}

// skipRead leaves out what earlier windows came to read of a reading of
// everything that none of them was long enough for.
func (r *reading) skipRead(ctx context.Context) error {
	if r.lease.Sync.Cause != portolan.CauseSchedule || r.lease.Sync.Full || r.source.Registry.Extra.SyncWindow == "" {
		return nil
	}
	list, err := r.DB.WholeSyncs(ctx, r.lease.Sync.AccountID, r.lease.Sync.RegistryID, mostNights)
	if err != nil {
		return err
	}
	var since time.Time
	for _, s := range list {
		if s.Ended.IsZero() {
			continue
		}
		if !slices.ContainsFunc(s.Ledger.Issues, func(i portolan.Issue) bool { return i.Step == StepWindow }) {
			break
		}
		since = s.Started
	}
	if since.IsZero() {
		return nil
	}
	if err := r.pack(); err != nil {
		return err
	}
	_, err = r.DB.SkipReadSince(ctx, r.lease, since)
	return err
}
