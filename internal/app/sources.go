package app

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/all"
	"portolan/internal/inventory"
	"portolan/internal/netguard"
)

// sources opens registries over the guard.
type sources struct {
	guard *netguard.Guard
	now   func() time.Time
	paces paces
}

func target(r *portolan.Registry) netguard.Target {
	return netguard.Target{
		Host: r.DomainName, Port: r.Port, Protocol: r.Protocol, HostIP: r.HostIP, NetType: r.NetType, Owner: r.AccountID, VpcID: r.VpcID,
		CACertificate: r.Extra.CACertificate, CertificateSHA256: r.Extra.CertificateSHA256,
		// ACR's API is a public host, whatever is in front of the registry.
		CAForHostOnly: r.Type == portolan.ACR,
	}
}

// open opens a registry with a credential. Every request of the source goes
// through the guard, at the registry's pace, and is counted.
func (s *sources) open(r *portolan.Registry, c portolan.Credential) (inventory.Opened, error) {
	open, ok := all.Open(r.Type)
	if !ok {
		return inventory.Opened{}, connector.Errorf(portolan.UnsupportedVersion, "Registries of type %s cannot be read by Portolan %s.", r.Type, portolan.Version)
	}
	client, err := s.guard.Client(target(r))
	if err != nil {
		return inventory.Opened{}, classed(err)
	}
	base := client.Transport
	transport := connector.NewTransport(connector.TransportConfig{
		Base: base, Pace: s.paces.of(r, c, s.now()), PerMinute: r.Extra.RequestsPerMinute,
	})
	client.Transport = transport
	source, err := open(connector.Config{BaseURL: baseURL(r), Credential: c, Scope: r.Extra.Scope(), Client: client, Slow: transport.Slow, Now: s.now})
	if err != nil {
		transport.Close()
		return inventory.Opened{}, err
	}
	closer, _ := base.(interface{ CloseIdleConnections() })
	return inventory.Opened{Source: source, Meter: transport.Meter(), Close: func() {
		transport.Close()
		if closer != nil {
			closer.CloseIdleConnections()
		}
	}}, nil
}

func baseURL(r *portolan.Registry) *url.URL {
	scheme := "https"
	if r.Protocol == portolan.ProtocolHTTP {
		scheme = "http"
	}
	return &url.URL{Scheme: scheme, Host: r.Address()}
}

// classed turns an error of the guard into one of a connector, so that tests
// and readings speak of it alike.
func classed(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := netguard.Classify(err); ok {
		return &connector.Error{Class: e.Class, Message: e.Message, Remedy: e.Remedy, Err: err}
	}
	return err
}

// Address implements inventory.Dialer.
func (s *sources) Address(ctx context.Context, r *portolan.Registry) (string, error) {
	addrs, err := s.guard.Resolve(ctx, target(r))
	if err != nil {
		return "", classed(err)
	}
	if len(addrs) == 0 {
		return "resolved at the other end of the VPC route", nil
	}
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ", "), nil
}

// TCP implements inventory.Dialer.
func (s *sources) TCP(ctx context.Context, r *portolan.Registry) (string, error) {
	return fmt.Sprintf("port %d answers", r.Port), classed(s.guard.DialTCP(ctx, target(r)))
}

// TLS implements inventory.Dialer.
func (s *sources) TLS(ctx context.Context, r *portolan.Registry) (string, error) {
	session, err := s.guard.Handshake(ctx, target(r))
	if err != nil {
		return "", classed(err)
	}
	return fmt.Sprintf("%s, certificate of %s until %s", session.Version, session.Subject, session.NotAfter.UTC().Format(time.DateOnly)), nil
}
