package app

import (
	"net/http"

	"portolan/internal/intake"
	"portolan/internal/report"
	"portolan/internal/secret"
)

// openReports makes what takes the reports of builds, and answers the hashes by
// which their tokens are recognised.
func (a *App) openReports(box *secret.Box) (*secret.Hasher, error) {
	tokens, err := box.Hasher("ci-token")
	if err != nil {
		return nil, err
	}
	a.reports = report.New(report.Config{DB: a.db, Tokens: tokens, Log: a.cfg.Log, Now: a.cfg.Now})
	return tokens, nil
}

// reportsHandler receives reports that are no calls.
func (a *App) reportsHandler(gate *intake.Gate) http.Handler {
	return intake.NewReports(intake.ReportConfig{Gate: gate, Service: a.reports, Count: countReports(a.metrics)})
}
