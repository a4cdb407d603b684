package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/internal/rpc"
)

// vector is a request as a real client sent it, kept beside package sign.
type vector struct {
	ID, Method, Path, RawQuery, Body, Action string
	Headers, ExpectedParams                  map[string]string
}

func readVectors(t *testing.T, file string) []vector {
	t.Helper()
	text, err := os.ReadFile("../sign/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	return vectors
}

// wire is the request as bytes: GET with a body, and chunked bodies included.
func (v vector) wire() io.Reader {
	var b strings.Builder
	target := v.Path
	if v.RawQuery != "" {
		target += "?" + v.RawQuery
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", v.Method, target)
	chunked := false
	for name, value := range v.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		chunked = chunked || strings.EqualFold(name, "Transfer-Encoding")
	}
	b.WriteString("\r\n")
	if chunked {
		fmt.Fprintf(&b, "%x\r\n%s\r\n0\r\n\r\n", len(v.Body), v.Body)
	} else {
		b.WriteString(v.Body)
	}
	return strings.NewReader(b.String())
}

// flat spells a list as the clients send it.
func flat(params map[string]string, name string, list []string) {
	for i, value := range list {
		params[fmt.Sprintf("%s.%d", name, i+1)] = value
	}
}

func (r *pageRequest) flat() map[string]string {
	params := map[string]string{"RegistryNameLike": r.RegistryNameLike, "SourceIp": r.SourceIP}
	params["CurrentPage"], params["PageSize"] = fmt.Sprint(r.CurrentPage), fmt.Sprint(r.PageSize)
	flat(params, "RegistryTypeInList", r.RegistryTypeInList)
	flat(params, "RegistryTypeNotInList", r.NotInList)
	return params
}

// expected is what the operation must see: defaults filled in, both other
// forms of a list as numbered, and nothing that it does not know.
func (v vector) expected() map[string]string {
	params := map[string]string{"RegistryNameLike": "", "SourceIp": "", "CurrentPage": "1", "PageSize": "20"}
	for name, value := range v.ExpectedParams {
		switch {
		case name == "SecureTransport" || value == "":
		case name == "RegistryTypeInList" && value == "harbor":
			flat(params, name, []string{"harbor"})
		case name == "RegistryTypeInList":
			flat(params, name, []string{"harbor", "CI/CD"})
		default:
			params[name] = value
		}
	}
	return params
}

func TestRecordedRequests(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "vectors.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			var got map[string]string
			s := newSetup(func(c *Config) {
				c.Catalog = rpc.NewCatalog([]rpc.Endpoint{
					pageOperation(func(ctx context.Context, caller *rpc.Caller, req *pageRequest) (*pageResponse, error) {
						got = req.flat()
						return rows(ctx, caller, req)
					}),
					operationOf(spec("ListHoneypotAlarmEvents", rpc.List), honeypot(&got)),
				})
			})
			answer := exchange(t, s.Server(), v.wire())
			if answer.StatusCode != http.StatusOK {
				body, _ := io.ReadAll(answer.Body)
				t.Fatalf("status %d: %s", answer.StatusCode, body)
			}
			want := v.expected()
			if v.Action != "PageImageRegistry" {
				want = v.ExpectedParams
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			gzipped := v.Headers["Accept-Encoding"] == "gzip" && v.Action == "PageImageRegistry"
			if got := answer.Header.Get("Content-Encoding") == "gzip"; got != gzipped {
				t.Errorf("gzip is %v for Accept-Encoding %q", got, v.Headers["Accept-Encoding"])
			}
		})
	}
}

type honeypotRequest struct {
	RiskLevelList []string
	SrcIP         string `rpc:"SrcIp"`
}

func honeypot(got *map[string]string) handler[honeypotRequest, emptyRequest] {
	return func(_ context.Context, _ *rpc.Caller, req *honeypotRequest) (*emptyRequest, error) {
		*got = map[string]string{"SrcIp": req.SrcIP}
		flat(*got, "RiskLevelList", req.RiskLevelList)
		return nil, nil
	}
}

func TestRecordedRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, v := range readVectors(t, "vectors_invalid.json") {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			s := newSetup(nil)
			answer := exchange(t, s.Server(), v.wire())
			body, _ := io.ReadAll(answer.Body)
			want := `"Code":"SignatureDoesNotMatch"`
			if v.ID == "cli-bad-01" {
				want = `"Code":"InvalidParameter"`
			}
			if answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), want) {
				t.Errorf("got %d %s, want %s", answer.StatusCode, body, want)
			}
		})
	}
}

// oneConn is a listener that has a single connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

// serveConn serves a connection until stop is called.
func serveConn(server *http.Server) (client net.Conn, stop func()) {
	client, peer := net.Pipe()
	l := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conn <- peer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	return client, func() {
		_ = client.Close()
		_ = server.Close()
		<-done
	}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error {
	close(l.closed)
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// exchange sends a request over a connection of its own and reads the answer
// completely.
func exchange(t *testing.T, server *http.Server, request io.Reader) *http.Response {
	t.Helper()
	conn, stop := serveConn(server)
	defer stop()
	go func() { _, _ = io.Copy(conn, request) }()
	return readAnswer(t, conn)
}

func readAnswer(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer
}
