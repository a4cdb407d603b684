package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// codeOK stands in the metrics and the log for a call without an error.
const codeOK = "OK"

// metrics are the gateway's counters. Their labels come from the catalogue and
// from error codes, never from what a client writes.
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portolan_calls_total",
			Help: "Calls by product, operation and error code (OK for success).",
		}, []string{"product", "operation", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "portolan_call_duration_seconds",
			Help:    "Duration of calls from the first byte of the request's header being decoded to the last of the answer.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 30},
		}, []string{"product", "operation"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "portolan_authentication_failures_total",
			Help: "Calls that could not be authenticated, by error code.",
		}, []string{"code"}),
	}
	if r != nil {
		r.MustRegister(m.calls, m.duration, m.refused)
	}
	return m
}

// seen counts the calls of one operation. A series is there once there is
// something to count.
type seen struct {
	ok       func() prometheus.Counter
	calls    func(code string) prometheus.Counter
	duration func() prometheus.Observer
}

// of finds the counters of an operation. Both names are empty for calls of
// nothing we know.
func (m *metrics) of(product, operation string) seen {
	calls := func(code string) prometheus.Counter { return m.calls.WithLabelValues(product, operation, code) }
	return seen{
		ok:       sync.OnceValue(func() prometheus.Counter { return calls(codeOK) }),
		calls:    calls,
		duration: sync.OnceValue(func() prometheus.Observer { return m.duration.WithLabelValues(product, operation) }),
	}
}

func (s *seen) observe(code string, d time.Duration) {
	if code == codeOK {
		s.ok().Inc()
	} else {
		s.calls(code).Inc()
	}
	s.duration().Observe(d.Seconds())
}
