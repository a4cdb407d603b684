package app_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/app"
	"portolan/internal/iam"
	"portolan/internal/sign"
)

// journal keeps a server's log, at every level.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// config is a server on free ports of loopback, which may dial loopback.
func config(data, database string) (app.Config, *journal) {
	j := &journal{}
	return app.Config{
		Data: data, Database: database, Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0",
		AllowDial: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, JobPoll: 20 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, j
}

// server is a running server and its root.
type server struct {
	*app.App
	t    testing.TB
	root iam.Credentials
	log  *journal
	stop func() error
	// client keeps no connection: none is idle while the server drains.
	client *http.Transport
}

func start(t testing.TB, cfg app.Config, log *journal) *server {
	t.Helper()
	a, err := app.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	root, err := app.LoadCredentials(cfg.Data)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-ended
		if e := a.Close(); e != nil {
			t.Errorf("close: %v", e)
		}
		return err
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return &server{App: a, t: t, root: root, log: log, stop: stop, client: &http.Transport{DisableKeepAlives: true}}
}

// launch starts a server on an empty folder.
func launch(t testing.TB, database string) *server {
	t.Helper()
	cfg, log := config(t.TempDir(), database)
	return start(t, cfg, log)
}

// dialect is a way to call: how it is signed, and what the answer is.
type dialect struct {
	name      string
	algorithm sign.Algorithm
	format    string
}

var (
	v1JSON = dialect{"V1 JSON", sign.HMACSHA1, "JSON"}
	v1XML  = dialect{"V1 XML", sign.HMACSHA1, "XML"}
	v3JSON = dialect{"V3 JSON", sign.ACS3SHA256, ""}
)

// call sends a signed call and answers the status and the document.
func (s *server) call(d dialect, operation string, params ...string) (int, document) {
	s.t.Helper()
	status, raw := s.send(d, sign.Key{ID: s.root.AccessKeyID, Secret: s.root.AccessKeySecret}, operation, params...)
	doc := document{raw: raw}
	if d.format == "XML" {
		doc.parseXML(s.t)
	} else {
		doc.parseJSON(s.t)
	}
	return status, doc
}

func (s *server) send(d dialect, key sign.Key, operation string, params ...string) (int, []byte) {
	s.t.Helper()
	scheme := "http"
	if s.Secure() {
		scheme = "https"
	}
	form := url.Values{}
	for i := 0; i < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce)
	signed, err := sign.Sign(&sign.Request{Method: http.MethodPost, Path: "/", Host: s.Addr(), Body: []byte(form.Encode())}, key,
		sign.Call{Algorithm: d.algorithm, Action: operation, Version: "2018-12-03", Format: d.format, Time: time.Now(), Nonce: hex.EncodeToString(nonce)})
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), signed.Method, scheme+"://"+s.Addr()+"/?"+signed.RawQuery, bytes.NewReader(signed.Body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = signed.Header
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, b
}

// must is call for what has to work.
func (s *server) must(d dialect, operation string, params ...string) document {
	s.t.Helper()
	status, doc := s.call(d, operation, params...)
	if status != http.StatusOK {
		s.t.Fatalf("%s, %s %q: %d %s", d.name, operation, params, status, doc.raw)
	}
	return doc
}

// synced waits for the end of the latest reading and answers it.
func (s *server) synced(d dialect, id string) document {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		doc := s.must(d, "DescribeImageRegistrySync", "RegistryId", id)
		if doc.text("Data", "EndTime") != "" {
			return doc
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatalf("the reading does not end: %s", doc.raw)
		case <-tick.C:
		}
	}
}

// shows waits until a page of the other port has a text: a call is counted
// after it was answered.
func (s *server) shows(path, want string) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		status, body := s.get(path)
		if status == http.StatusOK && strings.Contains(body, want) {
			return
		}
		select {
		case <-s.t.Context().Done():
			s.t.Fatalf("%s: %d %.200s", path, status, body)
		case <-tick.C:
		}
	}
}

// post sends what is no call, with headers given as name, value, name, value …,
// and answers the status and the answer.
func (s *server) post(path, body string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.Addr()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (s *server) get(path string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.MetricsAddr()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// document is an answer, JSON or XML, as a tree: the members of an object by
// name, a list as its elements.
type document struct {
	raw  []byte
	root node
}

type node struct {
	text    string
	members map[string][]node
}

// text is the text at a path; of a list, that of its first element.
func (d document) text(path ...string) string {
	n := d.root
	for _, name := range path {
		list := n.members[name]
		if len(list) == 0 {
			return ""
		}
		n = list[0]
	}
	return n.text
}

func (d document) count(name string) int { return len(d.root.members[name]) }

func (d *document) parseJSON(t testing.TB) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(d.raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("answer %s: %v", d.raw, err)
	}
	d.root = nodesOf(v)[0]
}

func nodesOf(v any) []node {
	switch v := v.(type) {
	case []any:
		list := []node{}
		for _, e := range v {
			list = append(list, nodesOf(e)...)
		}
		return list
	case map[string]any:
		n := node{members: map[string][]node{}}
		for name, member := range v {
			n.members[name] = nodesOf(member)
		}
		return []node{n}
	}
	return []node{{text: fmt.Sprint(v)}}
}

type element struct {
	XMLName  xml.Name
	Text     string    `xml:",chardata"`
	Children []element `xml:",any"`
}

func (d *document) parseXML(t testing.TB) {
	t.Helper()
	var e element
	if err := xml.Unmarshal(d.raw, &e); err != nil || !strings.HasPrefix(string(d.raw), "<?xml") {
		t.Fatalf("answer %s: %v", d.raw, err)
	}
	d.root = e.node()
}

func (e *element) node() node {
	n := node{text: e.Text, members: map[string][]node{}}
	for i := range e.Children {
		c := &e.Children[i]
		n.members[c.XMLName.Local] = append(n.members[c.XMLName.Local], c.node())
	}
	return n
}
