package intake

import (
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
	// eventTimeout is how long the body of an event may take, markTimeout how
	// long the store: senders wait for seconds only, and send again.
	eventTimeout = 5 * time.Second
	markTimeout  = 900 * time.Millisecond
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

// ServeHTTP takes an event.
func (h *Hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.Gate.begin(w, r)
	client, err := h.Gate.Enter(r)
	if err != nil {
		h.Gate.fail(x, err)
		return
	}
	registry, err := h.admit(r, client)
	if err != nil {
		h.Gate.Refused(r.Context(), client, idOf(r.URL.Path), err)
		h.Gate.fail(x, err)
		return
	}
	attrs := []slog.Attr{slog.Int64("registry", registry.ID), slog.String("peer", client.String())}
	marked, why, err := h.take(x, registry, &attrs)
	if err != nil {
		code, status := h.Gate.fail(x, err)
		h.Gate.record(x, "event", append(attrs, slog.Int("status", status), slog.String("code", code))...)
		return
	}
	status := http.StatusOK
	if marked > 0 {
		status = http.StatusAccepted
	}
	x.send(status, hookAnswer{x.id, marked, why})
	h.Gate.record(x, "event", append(attrs, slog.Int("status", status), slog.Int("marked", marked), slog.String("outcome", why))...)
}

// admit finds the registry of the path. A path that is none is refused like a
// wrong secret.
func (h *Hooks) admit(r *http.Request, client netip.Addr) (*portolan.Registry, error) {
	if r.Method != http.MethodPost {
		return nil, &portolan.Error{Code: "UnsupportedHTTPMethod", Status: http.StatusMethodNotAllowed, Message: "Events are sent with POST."}
	}
	_, secret, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, HookPath), "/")
	return h.Admit(r.Context(), idOf(r.URL.Path), secret, client)
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

// take reads an event and marks what it tells of. It answers how many
// repositories that were, and what became of the event.
func (h *Hooks) take(x *exchange, r *portolan.Registry, attrs *[]slog.Attr) (marked int, why string, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.r.Context()), eventTimeout+markTimeout)
	defer cancel()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return 0, "", errBusy()
	}
	body, err := readEvent(x)
	if err != nil {
		return 0, "", err
	}
	form, hints, err := decode(x.r.Header, body)
	*attrs = append(*attrs, slog.String("form", string(form)))
	if e, ok := errors.AsType[*eventError](err); ok {
		return 0, "", portolan.Refused("InvalidEvent", "%s", e.text)
	}
	if err != nil {
		return 0, "", err
	}
	switch {
	case !form.fits(r.Type):
		return 0, "The event is of a product that this registry is not.", nil
	case len(hints) == 0:
		return 0, "The event tells of no change of images.", nil
	}
	*attrs = append(*attrs, slog.Any("event", describe(&hints[0])), slog.Int("events", len(hints)))
	return h.mark(ctx, r, hints)
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
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	var paths, keys []string
	why = "The event came before."
	for i := range hints {
		key := keyOf(r, &hints[i])
		if key != "" && (h.seen.has(key) || slices.Contains(keys, key)) {
			continue
		}
		foreign, err := h.foreign(ctx, r, &hints[i])
		if err != nil {
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

// busy is the error of a store that took too long.
func busy(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
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
