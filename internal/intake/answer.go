package intake

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"portolan"
)

// errorBody is the document of an error, in the API's form.
type errorBody struct {
	RequestID string `json:"RequestId"`
	HostID    string `json:"HostId"`
	Code      string
	Message   string
}

// exchange is one request and its answer.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	client  netip.Addr
	id      string
	started time.Time
	// refused is why the request was not let in, nil if it was: for the log alone.
	refused error
}

// begin starts an exchange with an id by which the log is searched, a random
// upper-case UUID as calls have.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request) *exchange {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	client, _ := g.Client(r)
	return &exchange{w, r, client, fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), g.Now(), nil}
}

// errMethod is the answer to what is not posted.
var errMethod = &portolan.Error{Code: "UnsupportedHTTPMethod", Status: http.StatusMethodNotAllowed, Message: "This http method is not supported. Use POST."}

// posted refuses a request of another method than POST.
func (x *exchange) posted() error {
	if x.r.Method == http.MethodPost {
		return nil
	}
	x.w.Header().Set("Allow", http.MethodPost)
	return errMethod
}

// send answers a document.
func (x *exchange) send(status int, document any) {
	b, err := json.Marshal(document)
	if err != nil {
		b = []byte("{}") // texts and numbers always encode
	}
	h := x.w.Header()
	h.Set("Content-Type", "application/json;charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	h.Set("X-Acs-Request-Id", x.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	x.w.WriteHeader(status)
	_, _ = x.w.Write(b) // a client that is gone cannot be told
}

// fail answers an error and the code it was given. What has no wire form is
// internal: the client learns the request id, the log the cause.
func (g *Gate) fail(x *exchange, err error) (code string, status int) {
	e, ok := errors.AsType[*portolan.Error](err)
	if !ok {
		e = portolan.ErrServer
	}
	if e.Status >= http.StatusInternalServerError {
		g.Log.ErrorContext(x.r.Context(), "request failed", "request_id", x.id, "error", err)
	}
	if e.RetryAfter > 0 {
		x.w.Header().Set("X-Acs-Retry-After", strconv.FormatInt(e.RetryAfter, 10))
		x.w.Header().Set("Retry-After", strconv.FormatInt((e.RetryAfter+999)/1000, 10))
	}
	x.send(e.Status, errorBody{x.id, x.r.Host, e.Code, e.Message})
	return e.Code, e.Status
}

// record writes the access log.
func (g *Gate) record(x *exchange, what string, registry int64, status int, attrs ...slog.Attr) {
	if x.refused != nil {
		attrs = append(attrs, slog.Any("reason", x.refused))
	}
	g.Log.LogAttrs(x.r.Context(), slog.LevelInfo, what, append([]slog.Attr{
		slog.String("request_id", x.id), slog.Duration("took", g.Now().Sub(x.started)),
		slog.Int64("registry", registry), slog.String("peer", x.client.String()), slog.Int("status", status),
	}, attrs...)...)
}
