package app

import (
	"context"
	"net"
	"net/http"
	"strings"

	"portolan"
	"portolan/internal/gateway"
	"portolan/internal/intake"
)

// gate keeps guessers and floods out of what is received without a signed call.
func (a *App) gate() *intake.Gate {
	return intake.NewGate(intake.GateConfig{Client: gateway.Proxies(a.cfg.TrustedProxies).Client, Log: a.cfg.Log, Now: a.cfg.Now})
}

// hooks receives the events of registries.
func (a *App) hooks(gate *intake.Gate) http.Handler {
	return intake.NewHooks(intake.HookConfig{
		Gate: gate, Admit: a.registries.AdmitHook, Elsewhere: a.elsewhere, Mark: a.inventory.Mark, Count: countEvents(a.metrics),
	})
}

// elsewhere reports whether a host is that of another registry of the account.
// A registry has many names, so a host that is nobody's is no reason to doubt.
func (a *App) elsewhere(ctx context.Context, r *portolan.Registry, host string) (bool, error) {
	if host == "" || sameHost(r, host) {
		return false, nil
	}
	registries, err := a.db.Registries(ctx, r.AccountID)
	if err != nil {
		return false, err
	}
	for other := range registries.All {
		if other.Type.Pull() && other.ID != r.ID && sameHost(other, host) {
			return true, nil
		}
	}
	return false, nil
}

// sameHost reports whether a host, with its port or without one that goes
// without saying, is where a registry is.
func sameHost(r *portolan.Registry, host string) bool {
	if name, port, err := net.SplitHostPort(host); err == nil && (port == "80" || port == "443") {
		host = name
	}
	return strings.EqualFold(r.Address(), host) || r.Port == portolan.DefaultPort(r.Protocol) && strings.EqualFold(r.DomainName, host)
}
