package app

import (
	"fmt"
	"testing"
	"time"

	"portolan"
	"portolan/internal/connector"
)

func TestPaces(t *testing.T) {
	t.Parallel()
	var p paces
	now := time.Now()
	registry := func(change func(*portolan.Registry)) *portolan.Registry {
		r := &portolan.Registry{AccountID: 1, Type: portolan.Harbor, DomainName: "r.example.com", Port: 443, Protocol: 2, UserName: "u"}
		change(r)
		return r
	}
	same, user := func(*portolan.Registry) {}, portolan.Credential{UserName: "u", Password: "p"}
	acr := func(host string) func(*portolan.Registry) {
		return func(r *portolan.Registry) { r.Type, r.DomainName = portolan.ACR, host }
	}
	first := p.of(registry(same), user, now)
	for name, c := range map[string]struct {
		change     func(*portolan.Registry)
		credential portolan.Credential
		shared     bool
	}{
		"the same":           {same, user, true},
		"another id":         {func(r *portolan.Registry) { r.ID = 7 }, user, true},
		"another password":   {same, portolan.Credential{UserName: "u", Password: "q"}, true},
		"another user":       {same, portolan.Credential{UserName: "v", Password: "p"}, false},
		"nobody":             {same, portolan.Credential{}, false},
		"another host":       {func(r *portolan.Registry) { r.DomainName = "s.example.com" }, user, false},
		"another port":       {func(r *portolan.Registry) { r.Port = 8443 }, user, false},
		"another account":    {func(r *portolan.Registry) { r.AccountID = 2 }, user, false},
		"tokens":             {same, portolan.Credential{UserName: "u", AuthTokens: map[string]string{"a": "b"}}, false},
		"an access key":      {acr("r.example.com"), user, false},
		"a second registry":  {acr("s.example.com"), user, false},
		"the VPC's own host": {func(r *portolan.Registry) { r.VpcID = "vpc-1" }, user, false},
	} {
		if got := p.of(registry(c.change), c.credential, now) == first; got != c.shared {
			t.Errorf("%s: shared %v, want %v", name, got, c.shared)
		}
	}
	if p.of(registry(acr("a.example.com")), user, now) != p.of(registry(acr("b.example.com")), user, now) {
		t.Error("an access key has two paces")
	}
}

// What nobody uses is forgotten when there is too much, what is in use never.
func TestPacesBounded(t *testing.T) {
	t.Parallel()
	var p paces
	of := func(i int) *connector.Pace {
		r := &portolan.Registry{Type: portolan.OCI, DomainName: fmt.Sprintf("r%d.example.com", i), Port: 443, Protocol: 2}
		return p.of(r, portolan.Credential{}, time.Now())
	}
	used := of(0)
	transport := connector.NewTransport(connector.TransportConfig{Pace: used})
	defer transport.Close()
	for i := range 3 * maxPaces {
		of(i + 1)
	}
	if len(p.known) > maxPaces || of(0) != used {
		t.Errorf("%d are known, the one in use %v", len(p.known), of(0) == used)
	}
}

// Pauses do not keep what nobody uses: whoever runs a registry chooses how long
// they are.
func TestPacesBoundedInPauses(t *testing.T) {
	t.Parallel()
	var p paces
	for i := range 3 * maxPaces {
		r := &portolan.Registry{Type: portolan.OCI, DomainName: fmt.Sprintf("r%d.example.com", i), Port: 443, Protocol: 2}
		transport := connector.NewTransport(connector.TransportConfig{Pace: p.of(r, portolan.Credential{}, time.Now())})
		transport.Slow(24 * time.Hour)
		transport.Close()
	}
	if len(p.known) > maxPaces {
		t.Errorf("%d are known", len(p.known))
	}
}

func TestStartingPace(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		kind      portolan.RegistryType
		host      string
		perSecond float64
	}{
		"acr":              {portolan.ACR, "x.cr.aliyuncs.com", 10},
		"quay.io":          {portolan.Quay, "quay.io", 4},
		"self-hosted quay": {portolan.Quay, "quay.example.com", 0},
		"harbor":           {portolan.Harbor, "quay.io", 0},
	} {
		if got := startingPace(&portolan.Registry{Type: want.kind, DomainName: want.host}); got.PerSecond != want.perSecond {
			t.Errorf("%s: %v a second, want %v", name, got.PerSecond, want.perSecond)
		}
	}
}
