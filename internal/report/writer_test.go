package report

import (
	"context"
	"errors"
	"testing"
	"time"

	"portolan/internal/store"
)

var errBad = errors.New("bad")

// batchOf makes reports that wait.
func batchOf(ctx context.Context, paths ...string) []*waiting {
	batch := make([]*waiting, len(paths))
	for i, p := range paths {
		batch[i] = &waiting{ctx, store.Report{Path: p}, make(chan outcome, 1)}
	}
	return batch
}

// A report that cannot be written harms no other.
func TestSettleOneByOne(t *testing.T) {
	t.Parallel()
	var sizes []int
	write := func(_ context.Context, list []store.Report) ([]store.Receipt, error) {
		sizes = append(sizes, len(list))
		receipts := make([]store.Receipt, len(list))
		for i, q := range list {
			if q.Path == "bad" {
				return nil, errBad
			}
			receipts[i].UUID = q.Path
		}
		return receipts, nil
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	batch := append(batchOf(t.Context(), "a", "bad", "b"), batchOf(gone, "c")...)
	settle(t.Context(), write, batch)
	for i, want := range []error{nil, errBad, nil, context.Canceled} {
		o := <-batch[i].done
		if !errors.Is(o.err, want) || want == nil && o.receipt.UUID != batch[i].report.Path {
			t.Errorf("report %d: %+v, want %v", i, o, want)
		}
	}
	if len(sizes) != 4 || sizes[0] != 3 {
		t.Errorf("written in %v", sizes)
	}
}

// When the store itself cannot be written to, nothing is tried again.
func TestSettleHopeless(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{store.ErrDiskFull, context.DeadlineExceeded} {
		times := 0
		batch := batchOf(t.Context(), "a", "b")
		settle(t.Context(), func(context.Context, []store.Report) ([]store.Receipt, error) { times++; return nil, cause }, batch)
		for _, x := range batch {
			if o := <-x.done; !errors.Is(o.err, cause) {
				t.Errorf("%v, want %v", o.err, cause)
			}
		}
		if times != 1 {
			t.Errorf("tried %d times", times)
		}
	}
}

// What comes while a transaction is under way shares the next one.
func TestGather(t *testing.T) {
	t.Parallel()
	w := newWriter()
	for range maxBatch + 5 {
		w.queue <- batchOf(t.Context(), "a")[0]
	}
	if n := len(w.gather(<-w.queue)); n != maxBatch {
		t.Errorf("%d together, want %d", n, maxBatch)
	}
	if n := len(w.gather(<-w.queue)); n != 5 {
		t.Errorf("then %d together, want 5", n)
	}
}

// What waits when the writer is stopped is written before it ends, and what
// comes later is refused.
func TestStopKeepsWhatWaits(t *testing.T) {
	t.Parallel()
	w := newWriter()
	waits := batchOf(t.Context(), make([]string, 3*maxBatch)...)
	for _, x := range waits {
		w.queue <- x
	}
	close(w.stop)
	w.run(t.Context(), func(_ context.Context, list []store.Report) ([]store.Receipt, error) {
		return make([]store.Receipt, len(list)), nil
	})
	for i, x := range waits {
		select {
		case o := <-x.done:
			if o.err != nil {
				t.Fatalf("report %d: %v", i, o.err)
			}
		default:
			t.Fatalf("report %d of %d is not written", i, len(waits))
		}
	}
	w.queue = nil // as if nobody took anything
	if _, err := w.write(t.Context(), store.Report{}); !errors.Is(err, errStopped) {
		t.Errorf("after the end: %v", err)
	}
}

func FuzzFields(f *testing.F) {
	f.Add("team", "app", "v1", "", int64(0))
	f.Add("", "a/b", "", "sha256:0000000000000000000000000000000000000000000000000000000000000000", int64(1_700_000_000_000))
	f.Add("a//b", "\n", ".x", "zz", int64(-5))
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, namespace, name, tag, digest string, created int64) {
		fields := Fields{Namespace: namespace, RepoName: name, Tag: tag, Digest: digest, ImageCreate: created}
		q, err := fields.report(now)
		if err != nil {
			return
		}
		if q.Tag == "" && q.Digest == "" || len(q.Path) > maxPath || q.Created.After(now.Add(ahead)) {
			t.Errorf("%+v is taken as %+v", fields, q)
		}
		again := Fields{RepoName: q.Path, Tag: q.Tag, Digest: q.Digest.Wire(), ImageCreate: created}
		if same, err := again.report(now); err != nil || same != q {
			t.Errorf("%+v is taken as %+v, and that as %+v, %v", fields, q, same, err)
		}
	})
}
