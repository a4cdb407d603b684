package harbor

import (
	"context"
	"maps"
	"slices"
	"time"

	"portolan"
)

const (
	// auditSlack is how much earlier than asked the log is read, for entries
	// that were written late.
	auditSlack = 2 * time.Minute
	// auditFresh is how long the page that Probe read serves.
	auditFresh = 30 * time.Second
	// maxAuditPages is how much of the log is read; with more changes than
	// that everything is read again.
	maxAuditPages = 50
)

// auditPage is a page of the audit log, newest entries first.
type auditPage = page[auditEntry]

// readAudit reads one page of what was created and deleted. Pulls, which
// fill the log, are left out.
func (s *source) readAudit(ctx context.Context, v version, number int) (auditPage, error) {
	c := call{
		path:  "/api/v2.0/audit-logs",
		query: "q=operation%3D%7Bcreate%20delete%7D&sort=-op_time",
		doing: "reading the audit log",
		needs: "audit-log: list",
	}
	if v.since(auditExtsSince) {
		c.path = "/api/v2.0/auditlog-exts"
	}
	return readPage[auditEntry](ctx, s.api, c, number)
}

// Changes reads the audit log backwards until before since. That it reaches
// back so far proves it: the log may have been purged or switched on later,
// and a robot without the right to it sees it empty. New entries shift the
// rest towards later pages, so none is missed.
func (s *source) Changes(ctx context.Context, since time.Time) ([]string, bool, error) {
	known, err := s.ready(ctx)
	if err != nil || !known.probe.Feed {
		return nil, false, err
	}
	since = since.Add(min(known.skew, 0) - auditSlack)
	changed := map[string]struct{}{}
	for n := 1; n <= maxAuditPages; n++ {
		p, err := s.auditPage(ctx, known, n)
		if err != nil {
			return nil, false, err
		}
		if s.collect(p, since, changed) {
			return slices.Sorted(maps.Keys(changed)), true, nil
		}
		if p.last() {
			break
		}
	}
	return nil, false, nil
}

// ready is what Probe found, which it is asked for if that was not yet done.
func (s *source) ready(ctx context.Context) (*findings, error) {
	if s.remembered() == nil {
		if _, err := s.Probe(ctx); err != nil {
			return nil, err
		}
	}
	return s.remembered(), nil
}

func (s *source) auditPage(ctx context.Context, known *findings, n int) (auditPage, error) {
	if n == 1 && s.now().Sub(known.readAt) < auditFresh {
		return known.newest, nil
	}
	return s.readAudit(ctx, known.version, n)
}

// collect notes the repositories of a page and reports whether it reaches
// back before since.
func (s *source) collect(p auditPage, since time.Time, changed map[string]struct{}) bool {
	for _, e := range p.items {
		if e.OpTime.Before(since) {
			return true
		}
		if path := e.repository(); path != "" && portolan.InScope(path, s.scope) {
			changed[path] = struct{}{}
		}
	}
	return false
}
