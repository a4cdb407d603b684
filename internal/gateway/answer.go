package gateway

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"portolan"
)

// gzipAbove is the size in bytes from which compressing pays.
const gzipAbove = 1 << 10

// smallAnswer is the size in bytes up to which an answer has no deadline of its
// own: the system mostly takes it at once, and the server's holds.
const smallAnswer = 16 << 10

// answer writes one document to a client, whole with its length or, when it
// grows, in pieces.
type answer struct {
	w       http.ResponseWriter
	conn    *corked // nil if it is not known
	pools   *pools
	id      string
	xml     bool
	gzipped bool // the client takes gzip

	// begun is set when the header is made, written when a piece has been sent,
	// broken when the rest will not follow.
	begun   bool
	written bool
	broken  bool
	out     io.Writer
	zip     *gzip.Writer
}

// pools keep what is dear to make between answers.
type pools struct{ encoders, zippers, packets sync.Pool }

func newPools() *pools {
	return &pools{
		encoders: sync.Pool{New: func() any { return new(encoder) }},
		packets:  sync.Pool{New: func() any { return new([]byte) }},
		zippers: sync.Pool{New: func() any {
			z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
			return z
		}},
	}
}

// maxKept is the capacity in bytes up to which a buffer is used again.
const maxKept = 4 * pieceSize

func (p *pools) keep(e *encoder) {
	if cap(e.buf) <= maxKept {
		*e = encoder{buf: e.buf[:0]}
		p.encoders.Put(e)
	}
}

func newAnswer(w http.ResponseWriter, r *http.Request, p *pools, id string) *answer {
	return &answer{w: w, conn: corkedOf(r.Context()), pools: p, id: id, gzipped: acceptsGzip(r.Header.Values("Accept-Encoding"))}
}

// send encodes a result and sends it. After an error nothing has been sent
// unless a.begun.
func (a *answer) send(p *plan, response any) error {
	e := a.pools.encoders.Get().(*encoder)
	defer a.pools.keep(e)
	e.flush = a.piece
	if err := e.encode(p, response, a.id, a.xml); err != nil {
		return err
	}
	if !a.begun {
		return a.whole(http.StatusOK, e.buf)
	}
	return a.write(e.buf, true)
}

// sendError sends an error document. What goes wrong here cannot be told to
// anyone: the client is gone, and so must the connection be.
func (a *answer) sendError(p *plan, err *portolan.Error, host string) {
	e := a.pools.encoders.Get().(*encoder)
	defer a.pools.keep(e)
	body := &errorBody{HostID: host, Code: err.Code, Message: err.Message, AccessDeniedDetail: err.Denied}
	_ = e.encode(p, body, a.id, a.xml)
	if err.RetryAfter > 0 {
		a.w.Header().Set("X-Acs-Retry-After", strconv.FormatInt(err.RetryAfter, 10))
	}
	if a.whole(err.Status, e.buf) != nil {
		a.broken = true
	}
}

// whole sends a complete document.
func (a *answer) whole(status int, document []byte) error {
	a.gzipped = a.gzipped && len(document) > gzipAbove
	if !a.gzipped {
		a.w.Header().Set("Content-Length", strconv.Itoa(len(document)))
	}
	a.begin(status)
	if a.gzipped || a.conn == nil {
		return a.write(document, true)
	}
	return a.atOnce(document)
}

// atOnce sends a complete document together with its header. The client may
// have it before the call is in the log and the metrics.
func (a *answer) atOnce(document []byte) error {
	buf := a.pools.packets.Get().(*[]byte)
	a.conn.hold(*buf)
	err := a.write(document, true)
	flushed := http.NewResponseController(a.w).Flush()
	var released error
	*buf, released = a.conn.release()
	if cap(*buf) <= maxKept {
		a.pools.packets.Put(buf)
	}
	if err = errors.Join(err, flushed, released); err != nil && !errors.Is(err, errClient) {
		err = fmt.Errorf("%w: %w", errClient, err)
	}
	return err
}

// piece sends a part of a document.
func (a *answer) piece(part []byte) error {
	if !a.begun {
		a.begin(http.StatusOK)
	}
	return a.write(part, false)
}

// errClient is wrapped by the error of an answer that could not be written.
var errClient = errors.New("the client is gone")

func (a *answer) write(part []byte, last bool) error {
	if a.written || len(part) > smallAnswer {
		// Deadlines are not supported by every ResponseWriter.
		_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	a.written = true
	_, err := a.out.Write(part)
	if last && a.zip != nil {
		err = errors.Join(err, a.zip.Close())
		a.pools.zippers.Put(a.zip)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errClient, err)
	}
	return nil
}

// The headers that many answers share, by their canonical names. net/http
// copies them before it writes.
var (
	typeJSON     = []string{"application/json;charset=utf-8"}
	typeXML      = []string{"text/xml;charset=utf-8"}
	noSniff      = []string{"nosniff"}
	noStore      = []string{"no-store"}
	varyEncoding = []string{"Accept-Encoding"}
)

func (a *answer) begin(status int) {
	a.begun = true
	h := a.w.Header()
	h["Content-Type"] = typeJSON
	if a.xml {
		h["Content-Type"] = typeXML
	}
	h["X-Acs-Request-Id"] = []string{a.id}
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
	h["Vary"] = varyEncoding
	a.out = a.w
	if a.gzipped {
		h.Set("Content-Encoding", "gzip")
		a.zip = a.pools.zippers.Get().(*gzip.Writer)
		a.zip.Reset(a.w)
		a.out = a.zip
	}
	a.w.WriteHeader(status)
}

// acceptsGzip reports whether a client asks for gzip by name. Some clients ask
// for nothing and cannot take it, so a wildcard is not enough.
func acceptsGzip(headers []string) bool {
	for _, header := range headers {
		for coding := range strings.SplitSeq(header, ",") {
			name, weight, _ := strings.Cut(strings.TrimSpace(coding), ";")
			if strings.EqualFold(strings.TrimSpace(name), "gzip") {
				return !refusedWeight(weight)
			}
		}
	}
	return false
}

// refusedWeight reports whether a weight is q=0.
func refusedWeight(weight string) bool {
	q, found := strings.CutPrefix(strings.TrimSpace(weight), "q=")
	if !found {
		return false
	}
	n, err := strconv.ParseFloat(q, 64)
	return err != nil || n == 0
}
