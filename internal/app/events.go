package app

import (
	"net/http"
	"net/url"
	"time"

	"portolan"
	"portolan/internal/event"
	"portolan/internal/netguard"
	"portolan/internal/secret"
)

// A registry is stale when no reading of the whole was ok for a day, or for
// four intervals if that is longer.
const (
	staleAfter     = 24 * time.Hour
	staleIntervals = 4
)

// newEvents makes the service that tells others what happened.
func (a *App) newEvents(box *secret.Box, guard *netguard.Guard) *event.Service {
	place := func(id string) string { return "event-webhook/" + id + "/secret" }
	return event.New(event.Config{
		DB: a.db, AddJob: a.queue.AddDelivery,
		Seal:         func(id string, key []byte) []byte { return box.Seal(key, place(id)) },
		Unseal:       func(id string, sealed []byte) ([]byte, error) { return box.Open(sealed, place(id)) },
		CheckAddress: func(host string) error { return guard.CheckLiteral(netguard.Target{Host: host}) },
		Client:       func(u *url.URL) (*http.Client, error) { return guard.Client(receiver(u)) },
		StaleAfter:   max(staleAfter, staleIntervals*a.cfg.SyncInterval), Now: a.cfg.Now, Log: a.cfg.Log,
	})
}

// receiver is what a webhook's URL has the server dial.
func receiver(u *url.URL) netguard.Target {
	t := netguard.Target{Host: u.Hostname(), Protocol: portolan.ProtocolHTTPS, NetType: portolan.NetPublic}
	if u.Scheme == "http" {
		t.Protocol = portolan.ProtocolHTTP
	}
	return t
}
