package tunnel_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/netguard"
)

// registryOf serves n bytes at /n, over TLS as registries do, or without.
func registryOf(t testing.TB, secure bool) *httptest.Server {
	t.Helper()
	piece := make([]byte, 64<<10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Content-Length", strconv.Itoa(n))
		for n > 0 {
			m, err := w.Write(piece[:min(n, len(piece))])
			if err != nil {
				return
			}
			n -= m
		}
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// fetch reads size bytes from a registry and answers how long it took.
func fetch(b *testing.B, client *http.Client, base string, size int) time.Duration {
	began := time.Now()
	resp, err := client.Get(base + "/" + strconv.Itoa(size))
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil || n != int64(size) {
		b.Fatal(n, err)
	}
	_ = resp.Body.Close()
	return time.Since(began)
}

// clients are one that dials and one that goes through an agent.
func clients(b *testing.B, s *httptest.Server) (direct, tunnelled *http.Client) {
	r := newRig(b)
	r.start("a", "vpc-1")
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	client := func(dial netguard.DialFunc) *http.Client {
		t := &http.Transport{DialContext: dial, TLSClientConfig: trust}
		b.Cleanup(t.CloseIdleConnections)
		return &http.Client{Transport: t}
	}
	route, ok := r.hub.Route(owner, "vpc-1")
	if !ok {
		b.Fatal("no route")
	}
	return client((&net.Dialer{}).DialContext), client(route) //nolint:forbidigo // what it is compared with
}

// Throughput of a registry that is read, direct and through an agent on the
// same machine, one after the other in each round.
func BenchmarkThroughput(b *testing.B) {
	for _, secure := range []bool{true, false} {
		b.Run(map[bool]string{true: "HTTPS", false: "HTTP"}[secure], func(b *testing.B) {
			const size = 32 << 20
			s := registryOf(b, secure)
			direct, tunnelled := clients(b, s)
			var d, t time.Duration
			for b.Loop() {
				d += fetch(b, direct, s.URL, size)
				t += fetch(b, tunnelled, s.URL, size)
			}
			rate := func(took time.Duration) float64 { return float64(b.N) * size / 1e6 / took.Seconds() }
			b.ReportMetric(rate(d), "direct-MB/s")
			b.ReportMetric(rate(t), "tunnel-MB/s")
			b.ReportMetric(rate(t)/rate(d), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// Listings as readings fetch and decode them, four at once.
func BenchmarkListing(b *testing.B) {
	page := []byte(`[` + strings.TrimSuffix(strings.Repeat(`{"name":"v1.2.3","digest":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef","size":123456},`, 1000), ",") + `]`)
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) }))
	b.Cleanup(s.Close)
	direct, tunnelled := clients(b, s)
	read := func(client *http.Client) time.Duration {
		began := time.Now()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 25 {
					resp, err := client.Get(s.URL)
					if err != nil {
						b.Error(err)
						return
					}
					var rows []struct{ Name, Digest string }
					if err := json.NewDecoder(resp.Body).Decode(&rows); err != nil || len(rows) != 1000 {
						b.Error(len(rows), err)
					}
					_ = resp.Body.Close()
				}
			})
		}
		wg.Wait()
		return time.Since(began)
	}
	var d, t time.Duration
	for b.Loop() {
		d += read(direct)
		t += read(tunnelled)
	}
	b.ReportMetric(float64(b.N)*100/d.Seconds(), "direct-pages/s")
	b.ReportMetric(float64(b.N)*100/t.Seconds(), "tunnel-pages/s")
	b.ReportMetric(d.Seconds()/t.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}

// Latency of small requests on a connection that is open already, and of
// making one.
func BenchmarkLatency(b *testing.B) {
	s := registryOf(b, true)
	direct, tunnelled := clients(b, s)
	for _, kind := range []string{"request", "connection"} {
		b.Run(kind, func(b *testing.B) {
			var d, t time.Duration
			for b.Loop() {
				d += fetch(b, direct, s.URL, 1000)
				t += fetch(b, tunnelled, s.URL, 1000)
				if kind == "connection" {
					direct.CloseIdleConnections()
					tunnelled.CloseIdleConnections()
				}
			}
			micros := func(took time.Duration) float64 { return float64(took.Microseconds()) / float64(b.N) }
			b.ReportMetric(micros(d), "direct-µs")
			b.ReportMetric(micros(t), "tunnel-µs")
			b.ReportMetric(micros(t-d), "more-µs")
			b.ReportMetric(0, "ns/op")
		})
	}
}
