package app

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"portolan"
)

// opsServer has health and metrics, on a listener of its own.
func (a *App) opsServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			say(w, http.StatusServiceUnavailable, "draining\n")
			return
		}
		if err := a.db.Ping(r.Context()); err != nil {
			a.cfg.Log.ErrorContext(r.Context(), "the database does not answer", "error", err)
			say(w, http.StatusServiceUnavailable, "the database does not answer\n")
			return
		}
		say(w, http.StatusOK, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	const timeout = 10 * time.Second
	return &http.Server{
		Handler: mux, ErrorLog: slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelDebug),
		ReadHeaderTimeout: timeout, ReadTimeout: timeout, WriteTimeout: 3 * timeout, IdleTimeout: time.Minute,
	}
}

// countReadings counts finished readings by how they ended.
func countReadings(metrics prometheus.Registerer) func(*portolan.Sync) {
	readings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portolan_readings_total", Help: "Finished readings of registries, by status and error code.",
	}, []string{"status", "code"})
	metrics.MustRegister(readings)
	return func(s *portolan.Sync) {
		readings.WithLabelValues(string(s.Status), string(s.Ledger.ErrorCode)).Inc()
	}
}

// countReports counts reports by how they ended.
func countReports(metrics prometheus.Registerer) func(code string) {
	reports := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portolan_reports_total", Help: "Reports of builds at /reports/, by error code (OK for those that are kept).",
	}, []string{"code"})
	metrics.MustRegister(reports)
	return func(code string) { reports.WithLabelValues(code).Inc() }
}

// countEvents counts the events of registries by product and what became of them.
func countEvents(metrics prometheus.Registerer) func(product, outcome string) {
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portolan_events_total", Help: "Events of registries at /hooks/, by product (empty if it was not recognised) and outcome: marked, ignored or an error code.",
	}, []string{"product", "outcome"})
	metrics.MustRegister(events)
	return func(product, outcome string) { events.WithLabelValues(product, outcome).Inc() }
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a client that is gone is no failure
}
