package app

import (
	"crypto/sha256"
	"encoding/json"
	"sync"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// maxPaces bounds how many paces are remembered, beside those in use.
const maxPaces = 1_000

// paces are those of the credentials with which registries are asked. Whoever
// asks with the same one, keeps the same.
type paces struct {
	mu    sync.Mutex
	known map[[sha256.Size]byte]*connector.Pace
}

// of answers the pace of a registry's credential: of an access key wherever it
// is used, of a user or of tokens at one host. A user keeps it with another
// password.
func (p *paces) of(r *portolan.Registry, c portolan.Credential, now time.Time) *connector.Pace {
	place := r.Address()
	if r.Type == portolan.ACR && c.UserName != "" {
		place = string(portolan.ACR)
	}
	b, _ := json.Marshal([]any{r.AccountID, place, r.VpcID, c.UserName, c.AuthTokens}) // plain values
	key := sha256.Sum256(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	if pace := p.known[key]; pace != nil {
		return pace
	}
	if p.known == nil {
		p.known = map[[sha256.Size]byte]*connector.Pace{}
	}
	// A pause is kept as long as there is room: whoever runs a registry chooses
	// how long it is, so that pauses alone must not fill the memory.
	p.forget(func(pace *connector.Pace) bool { return pace.Idle(now) })
	p.forget(func(pace *connector.Pace) bool { return !pace.Used() })
	pace := connector.NewPace(startingPace(r))
	p.known[key] = pace
	return pace
}

// forget makes room for one more by leaving out some of those that may be.
func (p *paces) forget(may func(*connector.Pace) bool) {
	for k, pace := range p.known {
		if len(p.known) < maxPaces {
			return
		}
		if may(pace) {
			delete(p.known, k)
		}
	}
}

// What registries are known to refuse more of, in requests a second: quay.io's
// limit is 5 for HTTP/1.1, and Alibaba Cloud does not tell, 15 being the
// most that other tools dare.
const (
	quayPerSecond = 4
	acrPerSecond  = 10
)

func startingPace(r *portolan.Registry) connector.PaceConfig {
	switch {
	case r.Type == portolan.ACR:
		return connector.PaceConfig{PerSecond: acrPerSecond}
	case r.Type == portolan.Quay && r.DomainName == "quay.io":
		return connector.PaceConfig{PerSecond: quayPerSecond}
	}
	return connector.PaceConfig{}
}
