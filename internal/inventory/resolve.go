package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"portolan"
	"portolan/internal/store"
)

// The vanish guard holds images when strictly more than guardImages and
// strictly more than guardPercent of a registry's would go in one reading.
const (
	guardImages  = 20
	guardPercent = 20
	guardFirst   = 10 * time.Minute // until the first reading that may confirm
	guardSecond  = time.Hour        // until the second
	resolveBatch = 100
)

// guard is what a registry remembers of images that are held.
type guard struct {
	// Counted is when the last reading ended that counted.
	Counted time.Time
	// Readings is how many in a row held images.
	Readings int
}

func readGuard(text string) guard {
	var g guard
	if text != "" {
		_ = json.Unmarshal([]byte(text), &g) // our own text; a lost one starts anew
	}
	return g
}

// resolve decides what is lacking: gone, or held. Identity is proven once more
// before anything is believed, and where nothing lacks too: who lost the
// credential meanwhile was shown a part and does not know it.
func (r *reading) resolve(ctx context.Context) error {
	lacking, err := r.DB.CountLacking(ctx, r.lease)
	if err != nil {
		return err
	}
	if lacking.New+lacking.Denied+lacking.Believed > 0 || !r.anonymous() {
		if _, err := r.probe(ctx); err != nil {
			return r.giveUp(ctx, StepAuthentication, err)
		}
	}
	confirm, err := r.DB.Decide(ctx, r.lease)
	if err != nil {
		return err
	}
	many, err := r.tooMany(ctx, lacking.New)
	if err != nil {
		return err
	}
	if r.hinted() && !many {
		r.plan.Newly = false // what it lacks is not waited for
	}
	if err := r.retire(ctx, store.Believe{New: confirm || !many, Denied: confirm}); err != nil {
		return err
	}
	if lacking, err = r.DB.CountLacking(ctx, r.lease); err != nil {
		return err
	}
	r.lease.Sync.Ledger.ImagesHeld = lacking.Held
	return r.pack()
}

// anonymous reports whether the registry is read without a credential.
func (r *reading) anonymous() bool {
	return r.source.Credential == nil && r.source.Registry.UserName == ""
}

// retire makes the images that are believed gone so, and the repositories that
// vanished with their last image.
func (r *reading) retire(ctx context.Context, b store.Believe) error {
	l := &r.lease.Sync.Ledger
	for {
		gone, delta := l.ImagesGone, r.plan.CountDelta
		n, err := r.DB.RetireLacking(ctx, r.lease, b, resolveBatch, func(retired int) error {
			l.ImagesGone, r.plan.CountDelta = gone+retired, delta-retired
			return r.pack()
		})
		if err != nil {
			return fmt.Errorf("retire images: %w", err)
		}
		if n == 0 {
			break
		}
		if r.over() {
			return errPause
		}
	}
	for {
		n, err := r.DB.RetireRepositories(ctx, r.lease, resolveBatch)
		if err != nil {
			return fmt.Errorf("retire repositories: %w", err)
		}
		if n == 0 {
			return nil
		}
	}
}

// distrust takes back what this reading lacked: it could not prove that it was
// shown everything.
func (r *reading) distrust(ctx context.Context) error {
	for {
		n, err := r.DB.ForgetLacking(ctx, r.lease, r.plan.Counts, resolveBatch)
		if err != nil || n == 0 {
			return err
		}
	}
}

// revert takes back what has been applied of a repository that turned out not
// to be complete: it keeps its last state.
func (r *reading) revert(ctx context.Context, path string) error {
	plan, ledger := r.plan, r.lease.Sync.Ledger
	for {
		got, err := r.DB.Revert(ctx, r.lease, path, plan.Counts, resolveBatch, func(got store.Reverted) error {
			l := &r.lease.Sync.Ledger
			l.ImagesUpdated = ledger.ImagesUpdated - got.Versions
			l.ImagesAdded = ledger.ImagesAdded + got.Count
			r.plan.CountDelta = plan.CountDelta + got.Count
			if got.Rows == 0 {
				r.plan.Parted = without(plan.Parted, path)
			}
			return r.pack()
		})
		if err != nil {
			return fmt.Errorf("take back %s: %w", path, err)
		}
		if got.Rows == 0 {
			r.plan.Parted = without(plan.Parted, path)
			return nil
		}
		ledger = r.lease.Sync.Ledger
	}
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(e string) bool { return e == s })
}

// finish publishes the generation and plans the next reading.
func (r *reading) finish(ctx context.Context) error {
	s := r.lease.Sync
	l := &s.Ledger
	var err error
	if l.RepositoriesRead, l.RepositoriesSkipped, l.RepositoriesFailed, err = r.DB.CountStaged(ctx, r.lease); err != nil {
		return err
	}
	l.RepositoriesFailed += r.plan.Refused
	changes, err := r.changes(ctx)
	if err != nil {
		return err
	}
	r.summarize()
	if s.Status = l.Outcome(); r.plan.Early && s.Status == portolan.SyncFailed {
		s.Status = portolan.SyncPartial
	}
	if err := r.pack(); err != nil {
		return err
	}
	// Without a source the registry was deleted; it may be restored meanwhile.
	f := store.Finish{CountDelta: r.plan.CountDelta, NextSync: r.Now().Add(firstRetry), Changes: changes, Early: r.plan.Early}
	var g guard
	if r.source != nil {
		g = r.nextGuard()
		if r.hinted() {
			f.NextSync = r.hasten()
		} else {
			f.NextSync = r.nextSync(ctx, g)
		}
		f.NextSync = r.place(&r.source.Registry.Extra, f.NextSync)
		if r.plan.Proven && s.Status != portolan.SyncFailed {
			f.CredentialVersion, f.CredentialExpires = r.source.CredentialVersion, r.plan.Expiry
		}
	}
	if text, err := json.Marshal(g); err == nil && g != (guard{}) {
		f.Guard = string(text)
	}
	status := s.Status
	err = r.DB.Update(ctx, func(tx *store.Tx) error {
		s.Status = status
		waiting, err := tx.Finish(ctx, r.lease, f)
		if err != nil || waiting == "" {
			return err
		}
		return r.AddJob(ctx, tx, waiting, time.Time{})
	})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	r.wakeHints() // marks may have waited for this
	if r.Finished != nil {
		r.Finished(s)
	}
	r.Log.InfoContext(ctx, "sync finished", "registry", s.RegistryID, "sync", s.ID, "status", s.Status, "code", l.ErrorCode,
		"images", l.ImagesSeen, "added", l.ImagesAdded, "gone", l.ImagesGone, "held", l.ImagesHeld, "requests", l.Requests)
	return nil
}

// summarize sets the code and message of a reading that has none yet.
func (r *reading) summarize() {
	l := &r.lease.Sync.Ledger
	switch {
	case l.ErrorCode != "":
	case r.plan.Incomplete != nil:
		l.ErrorCode = portolan.Partial
		l.ErrorMessage = fmt.Sprintf("The list of repositories broke off after %d: %s", l.RepositoriesListed, r.plan.Incomplete.Message)
	case l.RepositoriesFailed > 0 && l.RepositoriesRead+l.RepositoriesSkipped == 0 && r.plan.First != nil:
		l.ErrorCode, l.ErrorMessage = r.plan.First.Code, r.plan.First.Message
	case l.RepositoriesFailed > 0:
		l.ErrorCode = portolan.Partial
		l.ErrorMessage = fmt.Sprintf("%d of %d repositories could not be read", l.RepositoriesFailed, l.RepositoriesListed)
		if first := r.plan.First; first != nil {
			l.ErrorMessage += fmt.Sprintf(" (first: %s: %s)", first.Repository, first.Message)
		}
		l.ErrorMessage += ". Their images are those of their last complete reading."
	case r.plan.Unlisted != "":
		l.ErrorCode = portolan.Partial
		l.ErrorMessage = fmt.Sprintf("The list of repositories lacks %s, which is there when asked; new ones may be missing.", r.plan.Unlisted)
	case l.ImagesHeld > 0:
		l.ErrorCode = portolan.VanishGuard
		l.ErrorMessage = fmt.Sprintf("%d images disappeared at once; they are kept until two later readings or a person confirm it.", l.ImagesHeld)
	}
}

// nextGuard counts this reading for the images that are held. What lacks for
// the first time is waited for as long as what lacked before it.
func (r *reading) nextGuard() guard {
	g := readGuard(r.source.Guard)
	if r.plan.Untrusted {
		return g
	}
	if r.lease.Sync.Ledger.ImagesHeld == 0 {
		return guard{}
	}
	switch {
	case r.hinted() && g.Readings > 0: // events come often: what is held would wait for ever
	case r.plan.Newly:
		g = guard{Counted: r.Now(), Readings: 1}
	case r.plan.Counts:
		g = guard{Counted: r.Now(), Readings: g.Readings + 1}
	}
	return g
}

// nextSync is when the registry is to be read next: sooner while images are
// held, and after a failure or a reading that was broken off.
func (r *reading) nextSync(ctx context.Context, g guard) time.Time {
	now := r.Now()
	switch {
	case g.Readings == 1:
		return now.Add(min(guardFirst, r.Interval))
	case g.Readings == 2:
		return now.Add(min(guardSecond, r.Interval))
	case !brokenOff(r.lease.Sync):
		return now.Add(r.interval())
	}
	failures := 1
	list, err := r.DB.WholeSyncs(ctx, r.lease.Sync.AccountID, r.lease.Sync.RegistryID, mostRetries)
	for _, s := range list {
		if err != nil || !s.Ended.IsZero() && !brokenOff(s) {
			break
		}
		if !s.Ended.IsZero() {
			failures++
		}
	}
	wait := retryIn(failures, r.Interval)
	if wait >= r.Interval {
		wait = spread(wait)
	}
	return now.Add(wait)
}

// brokenOff reports whether a reading failed, or ended early with only a part
// of what it could have read.
func brokenOff(s *portolan.Sync) bool {
	switch s.Ledger.ErrorCode {
	case "", portolan.Partial, portolan.VanishGuard:
		return s.Status == portolan.SyncFailed
	default:
		return true
	}
}
