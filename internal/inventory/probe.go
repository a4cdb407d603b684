package inventory

import (
	"context"
	"slices"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// believeAfter is how long a refused credential waits before it is tried
// again and, if refused again, believed bad.
const believeAfter = 5 * time.Second

func (r *reading) probe(ctx context.Context) (connector.Probe, error) {
	p, err := r.opened.Source.Probe(ctx)
	if err == nil || connector.ClassOf(err) != portolan.BadCredentials {
		return p, err
	}
	if err := sleep(ctx, believeAfter); err != nil {
		return p, err
	}
	if p, err = r.opened.Source.Probe(ctx); err == nil || connector.ClassOf(err) != portolan.BadCredentials {
		return p, err
	}
	return p, r.believed(err)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// maxPutOff bounds how many repositories are put off.
const maxPutOff = 200

// putOff leaves a repository to be read once more; false if it has been before.
func (r *reading) putOff(path string) bool {
	if len(r.plan.PutOff) >= maxPutOff || slices.Contains(r.plan.PutOff, path) {
		return false
	}
	r.plan.PutOff = append(r.plan.PutOff, path)
	r.ran = true
	return true
}

// waitForPutOff waits before repositories that were put off are read again, and
// ends the reading if the registry then refuses us as a whole.
func (r *reading) waitForPutOff(ctx context.Context) error {
	if r.waited == len(r.plan.PutOff) {
		return nil
	}
	r.waited = len(r.plan.PutOff)
	if err := sleep(ctx, believeAfter); err != nil {
		return err
	}
	return r.proveAgain(ctx)
}

// doubt asks the registry once more before listings that failed in a row are
// believed to tell that it cannot be read. One that is reached again and lost
// again within a slice is not asked a second time.
func (r *reading) doubt(ctx context.Context, cause error) error {
	if r.doubted && connector.ClassOf(cause) != portolan.BadCredentials {
		return &stopError{cause}
	}
	r.doubted = true
	return r.proveAgain(ctx)
}

// proveAgain proves the identity in the midst of a reading. A registry that is
// just being started is waited for.
func (r *reading) proveAgain(ctx context.Context) error {
	_, err := r.probe(ctx)
	if err != nil && fatal(err) && connector.ClassOf(err) != portolan.BadCredentials {
		if err := sleep(ctx, believeAfter); err != nil {
			return err
		}
		_, err = r.probe(ctx)
	}
	if err == nil || passing(ctx, err) {
		return err
	}
	return &stopError{err}
}
