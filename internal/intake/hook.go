package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"portolan"
)

// HookPath is where events come in; the registry's id and the secret follow.
const HookPath = "/hooks/"

const (
	maxEvent = 256 << 10
	// eventTimeout is how long the body of an event may take, storeTimeout how
	// long each look at the store: senders wait for seconds only, and send again.
	eventTimeout = 5 * time.Second
	storeTimeout = 900 * time.Millisecond
	// maxEvents is how many events are taken in at once.
	maxEvents = 64
)

// HookConfig is what a Hooks is made of.
type HookConfig struct {
	Gate *Gate
	// Admit answers the registry that may be told of events with the secret;
	// portolan.ErrNoPermission, wrapped with the reason, for everybody else.
	Admit func(ctx context.Context, id int64, secret string, peer netip.Addr) (*portolan.Registry, error)
	// Elsewhere reports whether a host is that of another registry of the
	// same account, and not of this one.
	Elsewhere func(ctx context.Context, r *portolan.Registry, host string) (bool, error)
	// Mark has repositories of the registry read again. When it returns, the
	// marks are safe.
	Mark func(ctx context.Context, r *portolan.Registry, paths []string) error
	// Count is told the product of each event, "" for one that was not
	// recognised, and its outcome: marked, ignored or an error code.
	Count func(product, outcome string)
}

// Hooks receives the events of registries at /hooks/<registry id>/<secret>. An
// event is a claim: all that it can do is to have a repository read again.
type Hooks struct {
	HookConfig
	seen  *seen
	slots chan struct{}
}

// NewHooks makes the receiver of events.
func NewHooks(c HookConfig) *Hooks {
	return &Hooks{HookConfig: c, seen: newSeen(c.Gate.Now), slots: make(chan struct{}, maxEvents)}
}

// hookAnswer is what a sender learns of an event that was taken.
type hookAnswer struct {
	RequestID string `json:"RequestId"`
	// Marked is the number of repositories that will be read again.
	Marked  int
	Message string
}

// outcome is what became of an event.
type outcome struct {
	form   format // "" if it was not recognised
	marked int    // the repositories that will be read again
	why    string // says it for its sender
	attrs  []slog.Attr
}

// code is the outcome as it is counted.
func (o *outcome) code() string {
	if o.marked > 0 {
		return "marked"
	}
	return "ignored"
}

// ServeHTTP takes an event.
func (h *Hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.Gate.begin(w, r)
	id := idOf(r.URL.Path)
	var o outcome
	err := h.take(x, id, &o)
	code, status := o.code(), http.StatusOK
	if o.marked > 0 {
		status = http.StatusAccepted
	}
	if err == nil {
		x.send(status, hookAnswer{x.id, o.marked, o.why})
	} else {
		code, status = h.Gate.fail(x, err)
	}
	h.Count(string(o.form), code)
	h.Gate.record(x, "event", id, status, append(o.attrs,
		slog.String("form", string(o.form)), slog.String("code", code), slog.Int("marked", o.marked), slog.String("outcome", o.why))...)
}

// take is an event from the request to what became of it.
func (h *Hooks) take(x *exchange, id int64, o *outcome) error {
	if err := x.posted(); err != nil {
		return err
	}
	var registry *portolan.Registry
	err := h.Gate.admit(x, id, func() (err error) {
		registry, err = h.admit(x, id)
		return err
	})
	if err != nil {
		return err
	}
	return h.read(x, registry, o)
}

// admit finds the registry of the path. A path that is none is refused like a
// wrong secret.
func (h *Hooks) admit(x *exchange, id int64) (*portolan.Registry, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), storeTimeout)
	defer cancel()
	_, secret, _ := strings.Cut(strings.TrimPrefix(x.r.URL.Path, HookPath), "/")
	r, err := h.Admit(ctx, id, secret, x.client)
	return r, busy(ctx, err)
}

// idOf is the registry's id in the path of a hook, 0 if there is none.
func idOf(path string) int64 {
	text, _, _ := strings.Cut(strings.TrimPrefix(path, HookPath), "/")
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// read reads an event and marks what it tells of.
func (h *Hooks) read(x *exchange, r *portolan.Registry, o *outcome) error {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return errBusy()
	}
	body, err := readEvent(x)
	if err != nil {
		return err
	}
	var hints []hint
	o.form, hints, err = decode(x.r.Header, body)
	if e, ok := errors.AsType[*eventError](err); ok {
		return portolan.Refused("InvalidEvent", "%s", e.text)
	}
	switch {
	case err != nil:
		return err
	case !o.form.fits(r.Type):
		o.why = "The event is of a product that this registry is not."
		return nil
	case len(hints) == 0:
		o.why = "The event tells of no change of images."
		return nil
	}
	o.attrs = []slog.Attr{slog.String("event", describe(&hints[0])), slog.Int("events", len(hints))}
	o.marked, o.why, err = h.mark(context.WithoutCancel(x.r.Context()), r, hints)
	return err
}

func describe(h *hint) string {
	text := string(h.action) + " " + h.path
	if h.tag != "" {
		text += ":" + h.tag
	}
	return fmt.Sprintf("%.300s", text)
}

func errBusy() error {
	return &portolan.Error{
		Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable,
		Message: "The server is busy; nothing was saved. Send the event again.", RetryAfter: 1000,
	}
}

// readEvent reads the body of an event.
func readEvent(x *exchange) ([]byte, error) {
	// Not every ResponseWriter supports deadlines. This one ends with the body.
	_ = http.NewResponseController(x.w).SetReadDeadline(time.Now().Add(eventTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxEvent))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &portolan.Error{
			Code: "RequestTooLarge", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The event is larger than %d KiB.", maxEvent>>10),
		}
	}
	if err != nil {
		return nil, portolan.Refused("InvalidEvent", "The body of the event did not arrive.")
	}
	return body, nil
}

// mark marks the repositories of the hints that are new and this registry's.
func (h *Hooks) mark(ctx context.Context, r *portolan.Registry, hints []hint) (marked int, why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	var paths, keys []string
	why = "The event came before."
	for i := range hints {
		key := keyOf(r, &hints[i])
		if key != "" && (h.seen.has(key) || slices.Contains(keys, key)) {
			continue
		}
		foreign, err := h.foreign(ctx, r, &hints[i])
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return 0, "", busy(ctx, err)
		}
		if foreign != "" {
			why = foreign
			continue
		}
		if !slices.Contains(paths, hints[i].path) {
			paths = append(paths, hints[i].path)
		}
		keys = append(keys, key)
	}
	if len(paths) == 0 {
		return 0, why, nil
	}
	if err := h.Mark(ctx, r, paths); err != nil {
		return 0, "", busy(ctx, err)
	}
	for _, key := range keys { // not before: an event that was lost comes again
		h.seen.add(key)
	}
	return len(paths), "What the event tells of will be read.", nil
}

// busy is the error of a store, or of the work, that took too long.
func busy(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errBusy()
	}
	return err
}

// foreign says why an event is not about what the registry reads, "" if it is.
func (h *Hooks) foreign(ctx context.Context, r *portolan.Registry, x *hint) (string, error) {
	if !r.Extra.Reads(x.path) {
		return "The repository is outside of what this registry reads.", nil
	}
	elsewhere, err := h.Elsewhere(ctx, r, x.host)
	if elsewhere {
		return "The event is of another registry.", err
	}
	return "", err
}

// keyOf is what repetitions of an event have in common, "" if that is nothing.
func keyOf(r *portolan.Registry, x *hint) string {
	if x.id == "" {
		return ""
	}
	return strconv.FormatInt(r.ID, 10) + " " + x.id
}
