package netguard

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"

	"portolan"
)

// useProxy reads the setting of proxies. httpproxy drops what it cannot read,
// which would go around a proxy: that is an error here.
func (g *Guard) useProxy(c *httpproxy.Config) error {
	if c == nil {
		g.proxy = func(*url.URL) (*url.URL, error) { return nil, nil }
		return nil
	}
	g.proxy = c.ProxyFunc()
	all := (&httpproxy.Config{HTTPProxy: c.HTTPProxy, HTTPSProxy: c.HTTPSProxy}).ProxyFunc()
	for scheme, setting := range map[string]string{"http": c.HTTPProxy, "https": c.HTTPSProxy} {
		if setting == "" {
			continue
		}
		proxy, err := all(&url.URL{Scheme: scheme, Host: "registry.example.com"})
		if err != nil || !usable(proxy) {
			return fmt.Errorf("the outgoing proxy for %s is not an address such as http://proxy.example.com:3128", scheme)
		}
		if scheme == "http" {
			g.httpProxy = proxy
		}
	}
	return nil
}

func usable(proxy *url.URL) bool {
	return proxy != nil && proxy.Hostname() != "" && strings.Trim(proxy.Path, "/") == "" && (proxy.Scheme == "http" || proxy.Scheme == "https")
}

// proxyFor answers the proxy for an address, nil to dial it.
func (g *Guard) proxyFor(scheme, address string) (*url.URL, error) {
	proxy, err := g.proxy(&url.URL{Scheme: scheme, Host: address})
	if err != nil {
		return nil, proxyFailure(err)
	}
	return proxy, nil
}

// proxyAddress is a proxy's host and port.
func proxyAddress(proxy *url.URL) string {
	port := "80"
	if proxy.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(proxy.Hostname(), cmp.Or(proxy.Port(), port))
}

// dialProxy connects to a proxy, by the rules for every other address.
func (g *Guard) dialProxy(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	host, port, err := net.SplitHostPort(proxyAddress(proxy))
	if err != nil {
		return nil, proxyFailure(err)
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, proxyFailure(err)
	}
	conn, err := g.dialFirst(ctx, host, port, addrs)
	if err != nil {
		return nil, proxyFailure(err)
	}
	if proxy.Scheme != "https" {
		return conn, nil
	}
	secure, err := handshake(ctx, conn, &tls.Config{ServerName: host, RootCAs: g.roots, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, proxyFailure(err)
	}
	return secure, nil
}

// tunnel connects to an address by way of a proxy.
func (g *Guard) tunnel(ctx context.Context, proxy *url.URL, address string) (net.Conn, error) {
	conn, err := g.dialProxy(ctx, proxy)
	if err != nil {
		return nil, err
	}
	if err := askTunnel(ctx, conn, proxy, address); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// askTunnel sends CONNECT (RFC 9110, 9.3.6) and reads the answer.
func askTunnel(ctx context.Context, conn net.Conn, proxy *url.URL, address string) error {
	ctx, cancel := context.WithTimeout(ctx, tunnelTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	req.Header.Set("User-Agent", portolan.UserAgent())
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)))
	}
	if err := req.Write(conn); err != nil {
		return proxyFailure(err)
	}
	status, err := readTunnel(conn, req)
	switch {
	case err != nil:
		return proxyFailure(err)
	case !stop():
		return proxyFailure(ctx.Err())
	case status == http.StatusProxyAuthRequired:
		return proxyFailure(errors.New("the proxy wants other credentials"))
	case status != http.StatusOK:
		return tunnelRefused(address, status)
	}
	return nil
}

func readTunnel(conn net.Conn, req *http.Request) (int, error) {
	reader := bufio.NewReader(io.LimitReader(conn, maxHeaderBytes))
	resp, err := http.ReadResponse(reader, req)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode == http.StatusOK && reader.Buffered() > 0 {
		return 0, errors.New("the proxy sent more than its answer")
	}
	return resp.StatusCode, nil
}
