package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"portolan/internal/rpc"
)

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

func (m *metrics) observe(e *rpc.Endpoint, code string, d time.Duration) {
	var product, operation string // both "" for calls of nothing we know
	if e != nil {
		product, operation = e.Product, e.Name
	}
	m.calls.WithLabelValues(product, operation, code).Inc()
	m.duration.WithLabelValues(product, operation).Observe(d.Seconds())
}
