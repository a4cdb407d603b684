// Package harbor reads Harbor 2.x through its API v2.0: projects,
// repositories, artifacts and the audit log. It never fetches a manifest,
// for that counts as a pull; an artifact's row says all that is needed.
//
// It knows how Harbor answers and nothing of what is done with it. Facts of
// the wire were observed on 2.15.2; what holds for 2.0 to 2.14 alone was read
// in Harbor's source and is marked unverified.
package harbor

import (
	"net/http"
	"sync"
	"time"

	"portolan/internal/connector"
)

const (
	product = "Harbor"
	// pageSize is the largest page: page_size=101 is refused with 422.
	pageSize = 100
	// maxPages bounds one list, at a million entries.
	maxPages = 10_000
	// maxWalks is how often a list that changes while it is read is begun.
	maxWalks = 3
	// maxHeld is the longest list of artifacts whose rows are held back until
	// it is read to its end, so that it can be begun again unnoticed. Longer
	// ones are handed on page by page.
	maxHeld = 5_000
)

// source reads one Harbor.
type source struct {
	api   *api
	scope []string
	now   func() time.Time

	mu    sync.Mutex
	known *findings // of the first successful Probe
}

var (
	_ connector.BulkLister = (*source)(nil)
	_ connector.ChangeFeed = (*source)(nil)
)

// Open makes a source of a Harbor registry. It sends nothing.
func Open(c connector.Config) (connector.Source, error) {
	// Harbor answers Basic with a foreign sid cookie by 403, and keeps a
	// session for each cookie it hands out: cookies are never sent back.
	client := *c.Client
	client.Jar = nil
	now := c.Now
	if now == nil {
		now = time.Now
	}
	header := http.Header{
		"Accept": {"application/json"},
		// Without it a project called "3" is taken for the project with id 3.
		"X-Is-Resource-Name": {"true"},
	}
	return &source{
		api:   &api{base: c.BaseURL, client: &client, header: header, credential: c.Credential},
		scope: c.Scope,
		now:   now,
	}, nil
}
