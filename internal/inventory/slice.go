package inventory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store"
)

// phase is where a reading is.
type phase string

const (
	phaseCatalogue phase = "catalogue" // list the repositories
	phaseVanished  phase = "vanished"  // find those that are no longer listed
	phaseRead      phase = "read"      // read each
	phaseResolve   phase = "resolve"   // believe or hold what is lacking
	phaseFinish    phase = "finish"    // publish
)

// plan is what a reading remembers between slices.
type plan struct {
	Phase phase
	// Config tells whether the registry was changed meanwhile.
	Config string
	// Cursor resumes the catalogue, or the search for vanished repositories.
	Cursor string
	// Refused counts entries of the catalogue that cannot be stored.
	Refused int
	// Incomplete is why the catalogue is not complete.
	Incomplete *portolan.Issue
	// Counts tells that this reading counts for the vanish guard.
	Counts bool
	// Newly tells that images lack that did not lack before.
	Newly bool
	// Proven tells that identity was proven at the start. Expiry is until when
	// the credential works, nil if the source does not tell.
	Proven bool
	Expiry *time.Time
	// CountDelta is by how much the number of images changes.
	CountDelta int
	// Stalled counts slices in a row that achieved nothing.
	Stalled int
	// First is the first issue of a repository, for the summary.
	First *portolan.Issue
	// PutOff are repositories that failed for a reason which may lie in the
	// registry as a whole, and pass: they are read once more.
	PutOff []string
	// Parted are repositories of which only a part has been applied.
	Parted []string
	// Unlisted is a repository that a complete catalogue lacked and that is
	// there when asked: what else it lacked, nobody knows.
	Unlisted string
	// Absent tells that a marked repository does not exist when asked although
	// it has images: only a catalogue tells whether it is gone.
	Absent bool
	// Untrusted tells that the reading ended early: what it lacks says nothing.
	Untrusted bool
	// Early tells that the registry's settings ended the reading, not the
	// registry: that is no failure.
	Early bool
}

const (
	maxStalled    = 5
	maxFailures   = 20
	maxThrottled  = 24 * time.Hour
	heldElsewhere = 5 * time.Second
	// hardMargin is kept between a slice's soft end and its deadline for the
	// request under way.
	hardMargin  = 4 * time.Second
	saveTimeout = 10 * time.Second
)

// reading is a slice of work on a reading.
type reading struct {
	*Service
	lease  *store.Lease
	plan   plan
	source *store.Source
	opened Opened
	// probed is what the source said of itself in this slice.
	probed connector.Probe
	// until is when the slice should come to an end.
	until time.Time
	// ran is set when anything was achieved.
	ran bool
	// bulkFailed are groups whose bulk listing did not work out: their
	// repositories are listed one by one.
	bulkFailed map[string]bool
	// grouped tells that the groups to be listed at once have been chosen.
	grouped bool
	// doubted tells that the registry was unreachable for a while.
	doubted bool
	// waited is how many of those put off have been waited for.
	waited int
	// metered are the meter's values already in the ledger.
	metered meterReading
	// learnt are the facts of the rows that are not written yet.
	learnt  learnt
	inquiry inquiry
}

type meterReading struct {
	requests, bytes int64
	throttled       time.Duration
}

// errPause ends a slice in good order: there is more to do, in another slice.
var errPause = errors.New("the slice is over")

// Slice works on a reading until it is finished or the slice's time is over.
// It answers how long to wait before the next slice, and whether there is one.
func (s *Service) Slice(ctx context.Context, syncID string) (wait time.Duration, more bool, err error) {
	lease, err := s.DB.Claim(ctx, syncID, uuid.NewString(), s.LeaseTime)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, false, nil // it has ended
	case errors.Is(err, store.ErrLeaseLost):
		return heldElsewhere, true, nil
	case err != nil:
		return 0, false, fmt.Errorf("claim sync %s: %w", syncID, err)
	}
	r := &reading{Service: s, lease: lease, until: s.Now().Add(s.SliceTime), bulkFailed: map[string]bool{}}
	if err := json.Unmarshal(lease.Plan, &r.plan); err != nil {
		return 0, false, fmt.Errorf("read the plan of sync %s: %w", syncID, err)
	}
	err = r.work(ctx)
	if r.opened.Close != nil {
		r.opened.Close()
	}
	if err == nil {
		return 0, false, nil
	}
	return r.pause(ctx, err)
}

// pause ends a slice that is not finished.
func (r *reading) pause(ctx context.Context, cause error) (wait time.Duration, more bool, err error) {
	throttled, isThrottled := errors.AsType[*connector.ThrottledError](cause)
	interrupted := errors.Is(cause, errPause) || ctx.Err() != nil || errors.Is(cause, context.DeadlineExceeded)
	switch {
	case errors.Is(cause, store.ErrLeaseLost):
		return heldElsewhere, true, nil
	case r.lease.Stale():
		return 0, false, errors.Join(cause, r.noteFailure(ctx))
	case isThrottled:
		wait = min(throttled.Wait, r.Interval)
		if !throttled.Paced {
			r.lease.Sync.Ledger.Throttled += wait
		}
	case !interrupted:
		return 0, false, errors.Join(cause, r.noteFailure(ctx))
	}
	if r.ran || isThrottled {
		r.plan.Stalled = 0
	} else {
		r.plan.Stalled++
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if err := r.pack(); err != nil {
		return 0, false, err
	}
	if err := r.DB.Release(ctx, r.lease); err != nil && !errors.Is(err, store.ErrLeaseLost) {
		return 0, false, fmt.Errorf("give back sync %s: %w", r.lease.Sync.ID, err)
	}
	return wait, true, nil
}

// noteFailure counts a slice that failed for a reason of Portolan's own. What
// it had in memory is dropped: the store has the last good state.
func (r *reading) noteFailure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	return r.DB.NoteFailure(ctx, r.lease)
}

// pack puts the plan and the meter into the lease, to be saved with the next
// transaction.
func (r *reading) pack() error {
	r.meter()
	b, err := json.Marshal(&r.plan)
	r.lease.Plan = b
	return err
}

// meter adds what was sent since the last time to the ledger.
func (r *reading) meter() {
	if r.opened.Meter == nil {
		return
	}
	now := meterReading{r.opened.Meter.Requests(), r.opened.Meter.BytesRead(), r.opened.Meter.Throttled()}
	l := &r.lease.Sync.Ledger
	l.Requests += now.requests - r.metered.requests
	l.BytesRead += now.bytes - r.metered.bytes
	l.Throttled += now.throttled - r.metered.throttled
	r.metered = now
}

// over reports whether the slice should come to an end.
func (r *reading) over() bool { return r.stopping.Load() || !r.Now().Before(r.until) }

// left is the time until the slice should come to an end. It is never negative:
// one that begins late still has its margin to save what it has.
func (r *reading) left() time.Duration { return max(0, r.until.Sub(r.Now())) }

// work does the phases in order. nil means that the reading has ended.
func (r *reading) work(ctx context.Context) error {
	src, err := r.DB.Source(ctx, r.lease.Sync.AccountID, r.lease.Sync.RegistryID)
	if errors.Is(err, store.ErrNotFound) {
		return r.abandon(ctx, "The registry was deleted while it was read.")
	}
	if err != nil {
		return fmt.Errorf("load registry %d: %w", r.lease.Sync.RegistryID, err)
	}
	r.source = &src
	if r.plan.Phase == "" {
		r.begin()
	}
	if r.plan.Config != configOf(&src) {
		return r.abandon(ctx, "The registry was changed while it was read; the next reading follows at once.")
	}
	if src.Registry.Paused {
		return r.endPaused(ctx)
	}
	if r.lease.Failures >= maxFailures {
		return r.abandon(ctx, fmt.Sprintf("The reading failed %d times for a reason of Portolan's own; its log tells more.", r.lease.Failures))
	}
	if r.lease.Sync.Ledger.Throttled >= maxThrottled {
		return r.abandon(ctx, fmt.Sprintf("%s asked to wait for %s in all; what was not read by then is tried again later.", src.Registry.Address(), maxThrottled))
	}
	if r.plan.Stalled >= maxStalled {
		return r.abandon(ctx, fmt.Sprintf("%s did not answer in time, %d times in a row.", src.Registry.Address(), maxStalled))
	}
	if ended, err := r.heedWindow(ctx); ended || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, r.left()+hardMargin)
	defer cancel()
	if r.plan.Phase != phaseFinish {
		if err := r.open(ctx); err != nil {
			return r.giveUp(ctx, "authentication", err)
		}
	}
	err = r.phases(ctx)
	if stop, ok := errors.AsType[*stopError](err); ok {
		return r.giveUp(context.WithoutCancel(ctx), "images", stop.cause)
	}
	return err
}

func (r *reading) phases(ctx context.Context) error {
	type step struct {
		name phase
		do   func(context.Context) error
	}
	steps := []step{
		{phaseCatalogue, r.catalogue},
		{phaseVanished, r.vanished},
		{phaseRead, r.read},
		{phaseResolve, r.resolve},
		{phaseFinish, r.finish},
	}
	i := slices.IndexFunc(steps, func(s step) bool { return s.name == r.plan.Phase })
	for ; i < len(steps); i++ {
		r.plan.Phase = steps[i].name
		if err := steps[i].do(ctx); err != nil {
			return err
		}
		r.plan.Cursor, r.ran = "", true
	}
	return nil
}

func (r *reading) begin() {
	g := readGuard(r.source.Guard)
	r.plan.Phase = phaseCatalogue
	r.plan.Config = configOf(r.source)
	r.plan.Counts = r.Now().Sub(g.Counted) >= guardFirst
	if r.hinted() { // what is to be read is staged already
		r.plan.Phase, r.plan.Counts = phaseRead, false
	}
}

// configOf is the part of a registry whose change makes a running reading
// worthless.
func configOf(src *store.Source) string {
	g := src.Registry
	extra := g.Extra
	// These say when it is read, not what.
	extra.RequestsPerMinute, extra.SyncWindow = 0, ""
	b, _ := json.Marshal([]any{g.DomainName, g.HostIP, g.Port, g.Protocol, g.NetType, g.VpcID, g.UserName, extra, src.CredentialVersion}) // plain values
	return string(b)
}

// open opens the source and proves who it is.
func (r *reading) open(ctx context.Context) error {
	c, err := r.credential(r.source)
	if err != nil {
		return err
	}
	if err := r.untried(c); err != nil {
		return err
	}
	if r.opened, err = r.Open(r.source.Registry, c); err != nil {
		return err
	}
	r.probed, err = r.probe(ctx)
	r.noteRefused(c, err)
	if err == nil && !r.plan.Proven {
		r.plan.Proven = true
		r.askExpiry(ctx)
		for _, warning := range r.probed.Warnings {
			r.Log.InfoContext(ctx, "the registry can be read, but", "registry", r.lease.Sync.RegistryID, "warning", plain(warning))
		}
	}
	r.waited = len(r.plan.PutOff)
	return err
}

// passing reports whether an error only ends the slice, not the reading.
func passing(ctx context.Context, err error) bool {
	_, throttled := errors.AsType[*connector.ThrottledError](err)
	return throttled || ctx.Err() != nil || errors.Is(err, errPause) || errors.Is(err, store.ErrLeaseLost)
}

// giveUp ends a reading that cannot go on because of the registry. An error
// without a class is Portolan's own and is handed up, to be tried again.
func (r *reading) giveUp(ctx context.Context, step string, err error) error {
	if passing(ctx, err) {
		return err
	}
	e, ok := errors.AsType[*connector.Error](err)
	if !ok {
		return err
	}
	issue := portolan.Issue{Step: step, Code: e.Class, Message: describe(e)}
	r.lease.Sync.Ledger.AddIssue(issue)
	return r.endNow(ctx, issue)
}

// describe is an error's message with its remedy.
func describe(e *connector.Error) string {
	if e.Remedy == "" {
		return plain(e.Message)
	}
	return plain(e.Message + " " + e.Remedy)
}

func (r *reading) abandon(ctx context.Context, why string) error {
	issue := portolan.Issue{Step: StepReading, Code: portolan.ServerFailure, Message: why}
	r.lease.Sync.Ledger.AddIssue(issue)
	return r.endNow(ctx, issue)
}

// endNow ends the reading with what it has, failing what it has not.
func (r *reading) endNow(ctx context.Context, issue portolan.Issue) error {
	if err := r.pack(); err != nil {
		return err
	}
	if err := r.DB.FailTodo(ctx, r.lease); err != nil {
		return err
	}
	r.lease.Sync.Ledger.ErrorCode, r.lease.Sync.Ledger.ErrorMessage = issue.Code, issue.Message
	r.plan.Untrusted = true
	for len(r.plan.Parted) > 0 {
		if err := r.revert(ctx, r.plan.Parted[0]); err != nil {
			return err
		}
	}
	if err := r.distrust(ctx); err != nil {
		return err
	}
	r.plan.Phase = phaseFinish
	return r.finish(ctx)
}
