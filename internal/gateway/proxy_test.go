package gateway

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"testing"
)

func TestProxiesClient(t *testing.T) {
	t.Parallel()
	proxies := Proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := map[string]struct {
		peer   string
		xff    []string
		proto  string
		tls    bool
		client string
		secure bool
	}{
		"direct":                  {peer: "192.0.2.1:5", client: "192.0.2.1"},
		"direct with TLS":         {peer: "192.0.2.1:5", tls: true, client: "192.0.2.1", secure: true},
		"stranger's headers":      {peer: "192.0.2.1:5", xff: []string{"1.2.3.4"}, proto: "https", client: "192.0.2.1"},
		"proxy":                   {peer: "10.0.0.1:5", xff: []string{"1.2.3.4"}, proto: "https", client: "1.2.3.4", secure: true},
		"proxy without headers":   {peer: "10.0.0.1:5", client: "10.0.0.1"},
		"invented first":          {peer: "10.0.0.1:5", xff: []string{"6.6.6.6, 1.2.3.4"}, client: "1.2.3.4"},
		"invented header":         {peer: "10.0.0.1:5", xff: []string{"6.6.6.6", "1.2.3.4"}, client: "1.2.3.4"},
		"two proxies":             {peer: "10.0.0.1:5", xff: []string{"6.6.6.6, 1.2.3.4, 10.0.0.2"}, client: "1.2.3.4"},
		"client is a proxy":       {peer: "10.0.0.1:5", xff: []string{"10.0.0.3, 10.0.0.2"}, client: "10.0.0.3"},
		"garbage last":            {peer: "10.0.0.1:5", xff: []string{"1.2.3.4, unknown"}, client: "10.0.0.1"},
		"garbage before":          {peer: "10.0.0.1:5", xff: []string{"unknown, 10.0.0.2"}, client: "10.0.0.2"},
		"with port":               {peer: "10.0.0.1:5", xff: []string{"1.2.3.4:99"}, client: "1.2.3.4"},
		"IPv6":                    {peer: "[fd00::1]:5", xff: []string{"2001:db8::7"}, client: "2001:db8::7"},
		"IPv6 in brackets":        {peer: "[fd00::1]:5", xff: []string{"[2001:db8::7]:80"}, client: "2001:db8::7"},
		"mapped peer":             {peer: "[::ffff:10.0.0.1]:5", xff: []string{"::ffff:1.2.3.4"}, client: "1.2.3.4"},
		"proxy tells http":        {peer: "10.0.0.1:5", xff: []string{"1.2.3.4"}, proto: "https, http", tls: true, client: "1.2.3.4"},
		"proxy tells no protocol": {peer: "10.0.0.1:5", xff: []string{"1.2.3.4"}, tls: true, client: "1.2.3.4", secure: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
			if tt.xff != nil {
				r.Header["X-Forwarded-For"] = tt.xff
			}
			if tt.proto != "" {
				r.Header.Set("X-Forwarded-Proto", tt.proto)
			}
			if tt.tls {
				r.TLS = new(tls.ConnectionState)
			}
			client, secure := proxies.Client(r)
			if client.String() != tt.client || secure != tt.secure {
				t.Errorf("got %v, %v; want %v, %v", client, secure, tt.client, tt.secure)
			}
		})
	}
}
