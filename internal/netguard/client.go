package netguard

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"portolan"
)

// Client makes the HTTP client for a target. It follows redirects by
// CheckRedirect, keeps no cookies, and has no timeout over a whole exchange:
// that is the request's context. Its Transport may be wrapped. Whoever makes a
// client calls CloseIdleConnections when done.
//
// An error of its Transport is an *Error, or the end of the request's context.
// Client fails only for a CACertificate or CertificateSHA256 that cannot be
// used, naming which ("caCertificate" or "certificateSha256") and why, for the
// system's authorities if one is to be added to them and they cannot be read,
// and for a HostIP that is no address; whether an address may be dialled shows
// when it is.
func (g *Guard) Client(t Target) (*http.Client, error) {
	d, err := g.dialer(t)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &transport{base: d.transport()}, CheckRedirect: CheckRedirect}, nil
}

// transport says in plain words why an exchange failed.
type transport struct{ base *http.Transport }

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		return resp, nil
	}
	if req.Context().Err() != nil {
		return nil, context.Cause(req.Context())
	}
	return nil, explain(req.URL.Host, err)
}

// CloseIdleConnections is called by the http.Client of the same method.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

func (d *dialer) transport() *http.Transport {
	return &http.Transport{
		Proxy:                  d.requestProxy,
		DialContext:            d.dialPlain,
		DialTLSContext:         d.dialTLS,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           16,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeaderBytes,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// requestProxy answers the proxy that is asked for whole URLs, which is so
// for plain HTTP only; tunnels are made where TLS is dialled. The host is
// resolved and judged before the proxy hears of it.
func (d *dialer) requestProxy(req *http.Request) (*url.URL, error) {
	host := req.URL.Hostname()
	if req.URL.Scheme != "http" || d.target.NetType == portolan.NetVPC || d.isPinned(host) {
		return nil, nil
	}
	proxy, err := d.guard.proxyFor("http", req.URL.Host)
	if err != nil || proxy == nil {
		return nil, err
	}
	if _, err := d.guard.resolve(req.Context(), host); err != nil {
		return nil, err
	}
	return proxy, nil
}

// dialPlain connects to a host, or to the proxy that requestProxy answered.
func (d *dialer) dialPlain(ctx context.Context, _, address string) (net.Conn, error) {
	if d.isRequestProxy("http", address) {
		return d.guard.dialProxy(ctx, d.guard.httpProxy)
	}
	return d.dial(ctx, "http", address)
}

// dialTLS connects to a host and shakes hands, or to the proxy that
// requestProxy answered.
func (d *dialer) dialTLS(ctx context.Context, _, address string) (net.Conn, error) {
	if d.isRequestProxy("https", address) {
		return d.guard.dialProxy(ctx, d.guard.httpProxy)
	}
	conn, err := d.dial(ctx, "https", address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, unreachable(address, err)
	}
	return handshake(ctx, conn, d.tlsConfig(host))
}

func (d *dialer) isRequestProxy(scheme, address string) bool {
	p := d.guard.httpProxy
	return p != nil && d.target.NetType != portolan.NetVPC && p.Scheme == scheme && proxyAddress(p) == address
}
