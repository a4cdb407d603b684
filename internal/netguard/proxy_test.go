package netguard_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http/httpproxy"

	"portolan"
	"portolan/internal/netguard"
)

// proxy is a forward proxy that reaches every name at 127.0.0.1. It notes what
// it was asked for, and answers refuse to everything if that is set.
type proxy struct {
	refuse int
	mu     sync.Mutex
	asked  []string
}

func (p *proxy) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization")))
	p.mu.Unlock()
	_, port, _ := net.SplitHostPort(r.Host)
	switch {
	case p.refuse != 0:
		w.WriteHeader(p.refuse)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r, port)
	default:
		p.forward(w, r, port)
	}
}

func (p *proxy) tunnel(w http.ResponseWriter, r *http.Request, port string) {
	upstream, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", "127.0.0.1:"+port) //nolint:forbidigo // stands for somebody else's proxy
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = upstream.Close() }()
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(upstream, conn); _ = upstream.(*net.TCPConn).CloseWrite() })
	_, _ = io.Copy(conn, upstream)
	_ = conn.Close()
	wg.Wait()
}

func (p *proxy) forward(w http.ResponseWriter, r *http.Request, port string) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Host = "", "127.0.0.1:"+port
	resp, err := (&http.Transport{}).RoundTrip(out)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func TestProxy(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	secure := serveTLS(t, ca.issue(t, later(), "registry.test", "proxy.test"), whoami)
	plain := serve(t, whoami)
	securePort, plainPort := port(t, secure.URL), port(t, plain.URL)
	tests := map[string]struct {
		overTLS bool // to the proxy
		user    string
		noProxy string
		target  netguard.Target
		url     string
		answer  string
		asked   string // "" for nothing
	}{
		"https": {
			url: "https://registry.test:" + securePort, answer: "registry.test HTTP/2.0 registry.test",
			asked: "CONNECT registry.test:" + securePort,
		},
		"http": {
			url: "http://registry.test:" + plainPort, answer: "registry.test HTTP/1.1 -",
			asked: "GET http://registry.test:" + plainPort + "/",
		},
		"https, with a user": {
			user: "u:p@", url: "https://registry.test:" + securePort, answer: "registry.test HTTP/2.0 registry.test",
			asked: "CONNECT registry.test:" + securePort + " Basic dTpw",
		},
		"http, with a user": {
			user: "u:p@", url: "http://registry.test:" + plainPort, answer: "registry.test HTTP/1.1 -",
			asked: "GET http://registry.test:" + plainPort + "/ Basic dTpw",
		},
		"https by a TLS proxy": {
			overTLS: true, url: "https://registry.test:" + securePort, answer: "registry.test HTTP/2.0 registry.test",
			asked: "CONNECT registry.test:" + securePort,
		},
		"http by a TLS proxy": {
			overTLS: true, url: "http://registry.test:" + plainPort, answer: "registry.test HTTP/1.1 -",
			asked: "GET http://registry.test:" + plainPort + "/",
		},
		"https, pinned": {
			target: netguard.Target{Host: "registry.test", HostIP: "127.0.0.1"},
			url:    "https://registry.test:" + securePort, answer: "registry.test HTTP/2.0 registry.test",
			asked: "CONNECT 127.0.0.1:" + securePort,
		},
		"http, pinned": {
			target: netguard.Target{Host: "registry.test", HostIP: "127.0.0.1"},
			url:    "http://registry.test:" + plainPort, answer: "registry.test HTTP/1.1 -",
			asked: "CONNECT 127.0.0.1:" + plainPort,
		},
		"https, exempt": {noProxy: ".test", url: "https://registry.test:" + securePort, answer: "registry.test HTTP/2.0 registry.test"},
		"http, exempt":  {noProxy: ".test", url: "http://registry.test:" + plainPort, answer: "registry.test HTTP/1.1 -"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &proxy{}
			address := "http://" + tt.user + "proxy.test:" + port(t, serve(t, p.ServeHTTP).URL)
			if tt.overTLS {
				server := httptest.NewUnstartedServer(p)
				server.TLS = secure.TLS.Clone()
				server.TLS.NextProtos = nil
				server.StartTLS()
				t.Cleanup(server.Close)
				address = "https://" + tt.user + "proxy.test:" + port(t, server.URL)
			}
			config := proxied(address, tt.noProxy)
			config.Roots = ca.pool()
			client := newClient(t, config, tt.target)
			wantBody(t, client, tt.url, tt.answer)
			if got := strings.Join(p.requests(), ", "); got != tt.asked {
				t.Errorf("the proxy was asked for %q, want %q", got, tt.asked)
			}
		})
	}
}

// proxied reaches names at 127.0.0.1, but for those below closed.test.
func proxied(address, noProxy string) netguard.Config {
	return netguard.Config{
		Allow: loopback(),
		Proxy: &httpproxy.Config{HTTPProxy: address, HTTPSProxy: address, NoProxy: noProxy},
		Lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			if strings.HasSuffix(host, "closed.test") {
				return always("10.0.0.1")(ctx, host)
			}
			return always("127.0.0.1")(ctx, host)
		},
	}
}

func TestProxyHearsOnlyCheckedNames(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		target netguard.Target
		url    string
		class  portolan.ErrorClass
	}{
		"https":           {netguard.Target{}, "https://closed.test", portolan.AddressForbidden},
		"http":            {netguard.Target{}, "http://closed.test", portolan.AddressForbidden},
		"https, literal":  {netguard.Target{}, "https://169.254.169.254", portolan.AddressForbidden},
		"http, literal":   {netguard.Target{}, "http://169.254.169.254", portolan.AddressForbidden},
		"https, pinned":   {netguard.Target{Host: "a.test", HostIP: "10.0.0.1"}, "https://a.test", portolan.AddressForbidden},
		"http, pinned":    {netguard.Target{Host: "a.test", HostIP: "10.0.0.1"}, "http://a.test", portolan.AddressForbidden},
		"https, unknown":  {netguard.Target{}, "https://missing.test", portolan.DNSFailure},
		"http, unknown":   {netguard.Target{}, "http://missing.test", portolan.DNSFailure},
		"VPC, unserved":   {netguard.Target{NetType: portolan.NetVPC, VpcID: "vpc-1"}, "http://a.test", portolan.NetworkUnavailable},
		"https loopback":  {netguard.Target{}, "https://127.0.0.2", portolan.AddressForbidden},
		"http, localhost": {netguard.Target{}, "http://localhost:1", portolan.ConnectFailure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &proxy{}
			client := newClient(t, proxied("http://proxy.test:"+port(t, serve(t, p.ServeHTTP).URL), ""), tt.target)
			_, err := get(t, client, tt.url)
			wantClass(t, err, tt.class)
			if asked := p.requests(); len(asked) > 0 {
				t.Errorf("the proxy was asked for %q", asked)
			}
		})
	}
}

// TestRouteNeedsNoProxy: what goes into a VPC goes by its route.
func TestRouteNeedsNoProxy(t *testing.T) {
	t.Parallel()
	server := serve(t, whoami)
	p := &proxy{}
	config := proxied("http://proxy.test:"+port(t, serve(t, p.ServeHTTP).URL), "")
	var dialled string
	config.Routes = func(int64, string) (netguard.DialFunc, bool) {
		return func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = address
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String()) //nolint:forbidigo // the agent's own dial
		}, true
	}
	client := newClient(t, config, netguard.Target{NetType: portolan.NetVPC, VpcID: "vpc-1"})
	wantBody(t, client, "http://harbor.corp:80", "harbor.corp HTTP/1.1 -")
	if asked := p.requests(); len(asked) > 0 || dialled != "harbor.corp:80" {
		t.Errorf("the proxy was asked for %q, the route for %s", asked, dialled)
	}
}

func TestProxyFailures(t *testing.T) {
	t.Parallel()
	refusing := func(status int) string {
		return "http://user:hunter2@proxy.test:" + port(t, serve(t, (&proxy{refuse: status}).ServeHTTP).URL)
	}
	tests := map[string]struct {
		proxy string
		class portolan.ErrorClass
	}{
		"closed address": {"http://user:hunter2@proxy.closed.test:3128", portolan.NetworkUnavailable},
		"unknown name":   {"http://user:hunter2@missing.test:3128", portolan.NetworkUnavailable},
		"nobody listens": {"http://user:hunter2@proxy.test:1", portolan.NetworkUnavailable},
		"credentials":    {refusing(http.StatusProxyAuthRequired), portolan.NetworkUnavailable},
		"refused":        {refusing(http.StatusForbidden), portolan.ConnectFailure},
		"unreachable":    {refusing(http.StatusBadGateway), portolan.ConnectFailure},
		"no HTTP":        {"http://" + answering(t, "SSH-2.0\r\n"), portolan.NetworkUnavailable},
		"talks on":       {"http://" + answering(t, "HTTP/1.1 200 OK\r\n\r\nmore"), portolan.NetworkUnavailable},
		"no TLS":         {"https://user:hunter2@" + answering(t, "SSH-2.0\r\n"), portolan.NetworkUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := get(t, newClient(t, proxied(tt.proxy, ""), netguard.Target{}), "https://registry.test")
			failure := failureOf(t, err, tt.class)
			if text := failure.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, "proxy.test") || strings.Contains(text, "closed.test") {
				t.Errorf("message %q tells of the proxy", text)
			}
		})
	}
}

func TestProxySettings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		setting string
		ok      bool
	}{
		"address":           {"http://proxy.test:3128", true},
		"TLS":               {"https://proxy.test", true},
		"without scheme":    {"proxy.test:3128", true},
		"SOCKS":             {"socks5://proxy.test:1080", false},
		"no host":           {"http://:3128", false},
		"unreadable":        {"http://user:hunter2@pro xy", false},
		"unreadable escape": {"http://%zz:hunter2@proxy", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []*httpproxy.Config{{HTTPProxy: tt.setting}, {HTTPSProxy: tt.setting}} {
				_, err := netguard.New(netguard.Config{Proxy: c})
				if (err == nil) != tt.ok {
					t.Errorf("New with %+v: %v", c, err)
				}
				if err != nil && strings.Contains(err.Error(), "hunter2") {
					t.Errorf("error %q tells the password", err)
				}
			}
		})
	}
}
