package netguard_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

// headers answers the header fields that could be a credential or a trace.
func headers(w http.ResponseWriter, r *http.Request) {
	for _, name := range []string{"Authorization", "Cookie", "Referer", "X-Registry-Key", "Accept"} {
		_, _ = io.WriteString(w, name+"="+r.Header.Get(name)+" ")
	}
}

const (
	allHeaders  = "Authorization=Bearer hunter2 Cookie=sid=1 Referer= X-Registry-Key=k Accept=application/json "
	bareHeaders = "Authorization= Cookie= Referer= X-Registry-Key= Accept=application/json "
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	other := serve(t, headers)
	ca := newAuthority(t)
	otherTLS := serveTLS(t, ca.issue(t, later(), "other.test"), headers)
	var home *httptest.Server
	homeMux := http.NewServeMux()
	homeMux.HandleFunc("/end", headers)
	homeMux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("u"), http.StatusTemporaryRedirect)
	})
	home = serve(t, homeMux.ServeHTTP)
	back := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://registry.test:"+port(t, home.URL)+"/end", http.StatusFound)
	})
	tests := map[string]struct {
		location, answer string
		class            portolan.ErrorClass
	}{
		"same host":            {"/end", strings.Replace(allHeaders, "Referer=", "Referer=http://registry.test:"+port(t, home.URL)+"/to?u=%2Fend", 1), ""},
		"other host":           {"http://other.test:" + port(t, other.URL), bareHeaders, ""},
		"subdomain":            {"http://sub.registry.test:" + port(t, other.URL), bareHeaders, ""},
		"other port":           {"http://registry.test:" + port(t, other.URL), bareHeaders, ""},
		"other host, TLS":      {"https://other.test:" + port(t, otherTLS.URL), bareHeaders, ""},
		"and back":             {"http://other.test:" + port(t, back.URL), bareHeaders, ""},
		"forbidden address":    {"http://127.0.0.2:1/", "", portolan.AddressForbidden},
		"metadata":             {"http://169.254.169.254/latest", "", portolan.AddressForbidden},
		"file":                 {"file:///etc/passwd", "", portolan.ServerFailure},
		"to itself, for ever":  {"/to?u=/loop", "", portolan.ServerFailure},
		"forbidden embedding":  {"http://[64:ff9b::7f00:2]/", "", portolan.AddressForbidden},
		"name of a closed one": {"http://missing.test/", "", portolan.DNSFailure},
	}
	homeMux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := netguard.Target{Host: "registry.test", CACertificate: ca.pem()}
			client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, target)
			resp, err := client.Do(request(t, http.MethodGet, "http://registry.test:"+port(t, home.URL)+"/to", tt.location, nil))
			if tt.class != "" {
				wantClass(t, err, tt.class)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if body, _ := io.ReadAll(resp.Body); string(body) != tt.answer {
				t.Errorf("arrived with %q, want %q", body, tt.answer)
			}
		})
	}
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, netguard.Target{})
		req := request(t, http.MethodPost, "http://registry.test:"+port(t, home.URL)+"/to", "http://other.test:"+port(t, other.URL), strings.NewReader("password=hunter2"))
		resp, err := client.Do(req)
		if resp != nil {
			_ = resp.Body.Close()
		}
		wantClass(t, err, portolan.ServerFailure)
	})
}

func request(t *testing.T, method, address, location string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	query := req.URL.Query()
	query.Set("u", location)
	req.URL.RawQuery = query.Encode()
	req.Header = http.Header{
		"Authorization": {"Bearer hunter2"}, "Cookie": {"sid=1"}, "X-Registry-Key": {"k"}, "Accept": {"application/json"},
	}
	return req
}

func TestCheckRedirect(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		hops  []string
		keeps bool
		class portolan.ErrorClass
	}{
		"same":                    {[]string{"https://a.test/x", "https://A.test:443/y"}, true, ""},
		"upgrade":                 {[]string{"http://a.test/x", "https://a.test/x"}, true, ""},
		"upgrade, other ports":    {[]string{"http://a.test:8080/x", "https://a.test:8443/x"}, false, ""},
		"downgrade":               {[]string{"https://a.test/x", "http://a.test/x"}, false, portolan.TLSFailure},
		"downgrade, later":        {[]string{"http://a.test/x", "https://a.test/x", "http://a.test/x"}, false, portolan.TLSFailure},
		"file":                    {[]string{"https://a.test/x", "file:///x"}, false, portolan.ServerFailure},
		"user in the address":     {[]string{"https://a.test/x", "https://a.test@b.test/x"}, false, ""},
		"five":                    {[]string{"https://a.test/0", "https://a.test/1", "https://a.test/2", "https://a.test/3", "https://a.test/4", "https://a.test/5"}, true, ""},
		"six":                     {[]string{"https://a.test/0", "https://a.test/1", "https://a.test/2", "https://a.test/3", "https://a.test/4", "https://a.test/5", "https://a.test/6"}, false, portolan.ServerFailure},
		"away and back":           {[]string{"https://a.test/0", "https://b.test/1", "https://a.test/2"}, false, ""},
		"upgrade on another host": {[]string{"http://a.test/0", "https://b.test/1"}, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var via []*http.Request
			for _, hop := range tt.hops {
				via = append(via, request(t, http.MethodGet, hop, "x", nil))
			}
			last := via[len(via)-1]
			err := netguard.CheckRedirect(last, via[:len(via)-1])
			if tt.class != "" {
				wantClass(t, err, tt.class)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if keeps := last.Header.Get("Authorization") != ""; keeps != tt.keeps {
				t.Errorf("keeps the credential: %t, want %t", keeps, tt.keeps)
			}
		})
	}
}
