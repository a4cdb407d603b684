package intake

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
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
	id      string
	started time.Time
}

// begin starts an exchange with an id by which the log is searched, a random
// upper-case UUID as calls have.
func (g *Gate) begin(w http.ResponseWriter, r *http.Request) *exchange {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return &exchange{w, r, fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), g.Now()}
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
func (g *Gate) record(x *exchange, what string, attrs ...slog.Attr) {
	g.Log.LogAttrs(x.r.Context(), slog.LevelInfo, what, append([]slog.Attr{
		slog.String("request_id", x.id), slog.Duration("took", g.Now().Sub(x.started)),
	}, attrs...)...)
}
