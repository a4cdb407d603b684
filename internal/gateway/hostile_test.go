package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"portolan/internal/rpc"
	"portolan/internal/sign"
)

func TestHostileInput(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		contentType, body, code string
	}{
		"100,000 parameters":     {"", strings.Repeat("a=1&", 100_000), "RequestTooLarge"},
		"100,000 list elements":  {"", many(10_000, "L.%d=1&"), "RequestTooLarge"},
		"long name":              {"", strings.Repeat("a", 129) + "=1", "RequestTooLarge"},
		"long value":             {"", "a=" + strings.Repeat("1", 512<<10+1), "RequestTooLarge"},
		"long body":              {"", "a=" + strings.Repeat("1", 1<<20), "RequestTooLarge"},
		"bad escape":             {"", "a=%zz", "InvalidParameter"},
		"same name twice":        {"", "a=1&a=2", "InvalidParameter"},
		"deep JSON":              {"application/json", `{"a":` + strings.Repeat("[", 500_000), "RequestTooLarge"},
		"deep JSON objects":      {"application/json", strings.Repeat(`{"a":`, 100_000), "RequestTooLarge"},
		"JSON of many":           {"application/json", "{" + many(20_000, `"k%d":1,`) + `"z":1}`, "RequestTooLarge"},
		"JSON list":              {"application/json", `[1]`, "InvalidParameter"},
		"JSON, same name twice":  {"application/json", `{"a":1,"a":2}`, "InvalidParameter"},
		"XML body":               {"text/xml", `<a/>`, "InvalidParameter"},
		"unfinished JSON":        {"application/json", `{"a":"`, "InvalidParameter"},
		"unknown content coding": {"application/octet-stream", "\x1f\x8b", "InvalidParameter"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/", strings.NewReader(tt.body))
			if tt.contentType != "" {
				r.Header.Set("Content-Type", tt.contentType)
			}
			w := newSetup(nil).do(r)
			if got := decodeJSON(t, w.Body); w.Code != http.StatusBadRequest || got["Code"] != tt.code {
				t.Errorf("got %d %v, want %s", w.Code, got, tt.code)
			}
		})
	}
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestHugeHeader(t *testing.T) {
	t.Parallel()
	request := "POST / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("a", maxHeader+8<<10) + "\r\n\r\n"
	answer := exchange(t, newSetup(nil).Server(), strings.NewReader(request))
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %s", answer.Status)
	}
}

func TestSlowHeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conn, stop := serveConn(newSetup(nil).Server())
		defer stop()
		go func() { _, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ") }()
		if _, err := io.ReadAll(conn); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != headerTimeout {
			t.Errorf("the connection was closed after %s", took)
		}
	})
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		conn, stop := serveConn(newSetup(nil).Server())
		defer stop()
		go func() {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction=Page")
		}()
		answer := readAnswer(t, conn)
		got := decodeJSON(t, answer.Body)
		if took := time.Since(start); took != bodyTimeout || got["Code"] != "InvalidParameter" {
			t.Errorf("got %v after %s", got, took)
		}
	})
}

// TestSlowBodyLeavesTimeToTheHandler makes sure that the deadline of the body
// is not that of the operation.
func TestSlowBodyLeavesTimeToTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSetup(func(c *Config) {
			c.Catalog = rpc.NewCatalog([]rpc.Endpoint{operationOf(spec("Wait", rpc.Read), wait(29*time.Second))})
		})
		conn, stop := serveConn(s.Server())
		defer stop()
		r := signed(t, sign.HMACSHA1, "Wait", "JSON", "", "Lang=en")
		go func() {
			_, _ = fmt.Fprintf(conn, "POST /?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nLang", r.URL.RawQuery)
			<-time.After(29 * time.Second)
			_, _ = io.WriteString(conn, "=en")
		}()
		if answer := readAnswer(t, conn); answer.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(answer.Body)
			t.Errorf("got %s %s; log: %s", answer.Status, body, s.log)
		}
	})
}

func wait(d time.Duration) handler[emptyRequest, emptyRequest] {
	return func(ctx context.Context, _ *rpc.Caller, _ *emptyRequest) (*emptyRequest, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(d):
			return nil, nil
		}
	}
}

func TestHandlerDeadline(t *testing.T) {
	t.Parallel()
	for _, access := range []rpc.Access{rpc.Read, rpc.Write} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s := newSetup(func(c *Config) {
				c.Catalog = rpc.NewCatalog([]rpc.Endpoint{operationOf(spec("Wait", access), wait(time.Hour))})
			})
			w := s.do(signed(t, sign.ACS3SHA256, "Wait", "", "", ""))
			if took := time.Since(start); took != handlerTimeout || w.Code != http.StatusInternalServerError {
				t.Errorf("got %d after %s", w.Code, took)
			}
		})
	}
}

// TestClientThatDoesNotRead makes sure that a stream does not wait for ever.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newSetup(nil)
		conn, stop := serveConn(s.Server())
		defer stop()
		r := signed(t, sign.HMACSHA1, "Stream", "JSON", "", "")
		_, _ = fmt.Fprintf(conn, "POST /?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", r.URL.RawQuery)
		if _, err := bufio.NewReader(conn).ReadByte(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + time.Second) //nolint:forbidigo // in the bubble's time
		synctest.Wait()
		if took := time.Since(start); !strings.Contains(s.log.String(), "code=ClientGone") {
			t.Errorf("after %s the log is %q", took, s.log)
		}
	})
}
