package netguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const address = "https://user:hunter2@registry.test:8443/v2/?token=hunter2"
	do := func(err error) error { return &url.Error{Op: "Get", URL: address, Err: err} }
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	tests := map[string]struct {
		err   error
		class portolan.ErrorClass // "" for not classified
		want  string
	}{
		"no such host":      {do(&net.DNSError{Name: "registry.test", IsNotFound: true}), portolan.DNSFailure, "Cannot find host registry.test. Check the domain name."},
		"refused":           {do(op(syscall.ECONNREFUSED)), portolan.ConnectFailure, "registry.test:8443 from Portolan (connection refused)"},
		"reset":             {do(op(syscall.ECONNRESET)), portolan.ConnectFailure, "(connection reset)"},
		"no route":          {do(op(syscall.EHOSTUNREACH)), portolan.ConnectFailure, "(no route to the host)"},
		"timeout":           {do(os.ErrDeadlineExceeded), portolan.ConnectFailure, "(no answer in time)"},
		"closed":            {do(io.EOF), portolan.ConnectFailure, "(connection closed without an answer)"},
		"cut within a body": {fmt.Errorf("read tags: %w", io.ErrUnexpectedEOF), portolan.ConnectFailure, "the registry from Portolan (connection closed within an answer)"},
		"plain HTTP":        {do(http.ErrSchemeMismatch), portolan.TLSFailure, "TLS: registry.test answered plain HTTP to HTTPS."},
		"known":             {do(fmt.Errorf("again: %w", &netguard.Error{Class: portolan.AddressForbidden, Message: "m."})), portolan.AddressForbidden, "m."},
		"cancelled":         {do(context.Canceled), "", ""},
		"deadline":          {do(context.DeadlineExceeded), "", ""},
		"foreign":           {do(errors.New("the registry asks to wait")), "", ""},
		"nothing":           {nil, "", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			failure, ok := netguard.Classify(tt.err)
			if ok != (tt.class != "") {
				t.Fatalf("Classify = %v, %t", failure, ok)
			}
			if !ok {
				return
			}
			if failure.ErrorClass() != tt.class || !strings.Contains(failure.Error(), tt.want) {
				t.Errorf("Classify = %s %q, want %s %q", failure.Class, failure, tt.class, tt.want)
			}
			if strings.Contains(failure.Error(), "hunter2") {
				t.Errorf("message %q holds a secret", failure)
			}
		})
	}
}

// TestExchangeFailures: what goes wrong after the connection is made.
func TestExchangeFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ answer, want string }{
		"nothing":     {"", "(connection closed without an answer)"},
		"half a line": {"HTTP/1.1 200", "(connection closed within an answer)"},
		"no HTTP":     {"SSH-2.0-hunter2\r\n\r\n", "(no usable HTTP answer)"},
		"long header": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "(no usable HTTP answer)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, netguard.Config{Allow: loopback()}, netguard.Target{Host: "127.0.0.1"})
			_, err := get(t, client, "http://"+answering(t, tt.answer)+"/?token=hunter2")
			failure := failureOf(t, err, portolan.ConnectFailure)
			if !strings.Contains(failure.Message, tt.want) || strings.Contains(failure.Error(), "hunter2") {
				t.Errorf("message %q, want %q", failure.Error(), tt.want)
			}
		})
	}
}

// TestCallersEnd: the end of the request's context is no failure of the
// registry.
func TestCallersEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	client := newClient(t, netguard.Config{Allow: loopback()}, netguard.Target{})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if resp != nil {
		_ = resp.Body.Close()
	}
	if _, classified := netguard.Classify(err); classified || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's own", err)
	}
}
