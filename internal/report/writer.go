package report

import (
	"context"
	"errors"
	"sync"
	"time"

	"portolan"
	"portolan/internal/store"
)

const (
	// maxWaiting bounds the reports that wait; more wait outside.
	maxWaiting = 1_024
	// maxBatch bounds the reports of one transaction, which locks out other
	// writers.
	maxBatch = 128
	// batchTimeout is what a transaction may take.
	batchTimeout = 20 * time.Second
)

// errStopped is the answer to reports that come while the server ends.
var errStopped = &portolan.Error{Code: "ServiceUnavailable", Status: 503, Message: "The server is being stopped; nothing was saved. Send the report again."}

// keep writes reports in one transaction.
type keep func(context.Context, []store.Report) ([]store.Receipt, error)

// writer groups reports: those that come while a transaction is under way share
// the next one, so that a disk that takes its time for a commit is waited for
// once and not by each.
type writer struct {
	queue chan *waiting
	stop  chan struct{}
	ended chan struct{}
	once  *sync.Once
}

// waiting is a report whose sender waits.
type waiting struct {
	ctx    context.Context //nolint:containedctx // the sender's: who has gone is left out
	report store.Report
	done   chan outcome
}

type outcome struct {
	receipt store.Receipt
	err     error
}

func newWriter() writer {
	return writer{make(chan *waiting, maxWaiting), make(chan struct{}), make(chan struct{}), new(sync.Once)}
}

// Start starts the writer. Stop must be called.
func (s *Service) Start(ctx context.Context) { go s.run(context.WithoutCancel(ctx), s.DB.Report) }

// Stop keeps what waits and ends the writer, which must have been started.
func (s *Service) Stop() {
	s.once.Do(func() { close(s.stop) })
	<-s.ended
}

// write has a report written and waits for that.
func (w *writer) write(ctx context.Context, q store.Report) (store.Receipt, error) {
	x := &waiting{ctx, q, make(chan outcome, 1)}
	select {
	case w.queue <- x:
	case <-w.stop:
		return store.Receipt{}, errStopped
	case <-ctx.Done():
		return store.Receipt{}, ctx.Err()
	}
	select {
	case o := <-x.done:
		return o.receipt, o.err
	case <-ctx.Done():
		return store.Receipt{}, ctx.Err()
	case <-w.ended:
	}
	select {
	case o := <-x.done: // the last thing that it did
		return o.receipt, o.err
	default:
		return store.Receipt{}, errStopped
	}
}

// run writes until it is stopped and nothing waits.
func (w *writer) run(ctx context.Context, write keep) {
	defer close(w.ended)
	for {
		select {
		case first := <-w.queue:
			settle(ctx, write, w.gather(first))
		case <-w.stop:
			select {
			case first := <-w.queue:
				settle(ctx, write, w.gather(first))
			default:
				return
			}
		}
	}
}

// gather answers what waits now, in its order.
func (w *writer) gather(first *waiting) []*waiting {
	batch := []*waiting{first}
	for len(batch) < maxBatch {
		select {
		case next := <-w.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// settle writes a batch. If that fails, each report is tried alone, so that one
// that cannot be written harms no other; unless the store itself cannot be
// written to.
func settle(ctx context.Context, write keep, batch []*waiting) {
	reports := make([]store.Report, 0, len(batch))
	present := make([]*waiting, 0, len(batch))
	for _, x := range batch {
		if x.ctx.Err() != nil {
			x.done <- outcome{err: x.ctx.Err()}
			continue
		}
		reports, present = append(reports, x.report), append(present, x)
	}
	if len(present) == 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, batchTimeout)
	receipts, err := write(limited, reports)
	cancel()
	hopeless := errors.Is(err, store.ErrDiskFull) || errors.Is(err, context.DeadlineExceeded)
	switch {
	case err == nil:
		for i, x := range present {
			x.done <- outcome{receipt: receipts[i]}
		}
	case hopeless || len(present) == 1:
		for _, x := range present {
			x.done <- outcome{err: err}
		}
	default:
		for _, x := range present {
			settle(ctx, write, []*waiting{x})
		}
	}
}
