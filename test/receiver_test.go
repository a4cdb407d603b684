package test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// receiver takes the messages of webhooks.
type receiver struct {
	mu       sync.Mutex
	messages []received
	refuses  atomic.Int64
}

type received struct {
	header http.Header
	body   []byte
}

type receiverKey struct{}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil || r.refuses.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, received{req.Header, body})
	w.WriteHeader(http.StatusNoContent)
}

// receiver starts a receiver of webhooks, and tells where in $RECEIVER.
func startReceiver(ts *testscript.TestScript, _ bool, _ []string) {
	r := ts.Value(receiverKey{}).(*receiver)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: r}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	ts.Defer(func() { _ = server.Close(); wg.Wait() })
	ts.Setenv("RECEIVER", "http://"+listener.Addr().String()+"/hooks/portolan")
}

// refuse has the receiver refuse the next message.
func refuse(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(receiverKey{}).(*receiver).refuses.Store(1)
}

// received TYPE REGEXP waits for a message of a type whose body matches, and
// checks that it is signed with $SECRET. With ! there must be none so far.
func checkReceived(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: received TYPE REGEXP")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	r := ts.Value(receiverKey{}).(*receiver)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range maxTicks {
		m := r.find(args[0], re)
		switch {
		case neg && m != nil:
			ts.Fatalf("received %s", m.body)
		case neg:
			return
		case m != nil:
			if !genuine(m, ts.Getenv("SECRET")) {
				ts.Fatalf("the signature is wrong: %v\n%s", m.header, m.body)
			}
			return
		}
		<-tick.C
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ts.Fatalf("no such message among %d", len(r.messages))
}

func (r *receiver) find(kind string, re *regexp.Regexp) *received {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.messages {
		var m struct{ Type string }
		if json.Unmarshal(r.messages[i].body, &m) == nil && m.Type == kind && re.Match(r.messages[i].body) {
			return &r.messages[i]
		}
	}
	return nil
}

// genuine checks a message as docs/changes.md tells receivers to.
func genuine(m *received, secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	_, _ = io.WriteString(mac, m.header.Get("webhook-id")+"."+m.header.Get("webhook-timestamp")+".")
	_, _ = mac.Write(m.body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(m.header.Get("webhook-signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}
