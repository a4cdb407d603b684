// Package gateway turns HTTP requests into calls of operations and their
// results into answers, as the official clients send and expect them.
//
// It knows HTTP, signatures and encodings. It knows no product, no store and
// no key: who a caller is and what the caller may do is answered by functions
// that are handed in, and the operations come as a catalogue of endpoints.
package gateway

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/sign"
)

// The limits of a request.
const (
	maxBody        = 1 << 20
	maxHeader      = 64 << 10
	maxConnections = 10_000

	headerTimeout  = 10 * time.Second
	bodyTimeout    = 30 * time.Second
	handlerTimeout = 30 * time.Second
	// longestCall is for operations that say how long they may take.
	longestCall = 70 * time.Second
	// writeTimeout is for each piece of an answer.
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
)

var paramLimits = sign.Limits{Params: 1_000, Name: 128, Value: 512 << 10}

// Authenticate answers who signed a call, after it has checked key, token,
// time, signature and nonce. Access tells how long a nonce is to be kept.
type Authenticate func(ctx context.Context, s *sign.Signature, access rpc.Access, peer netip.Addr) (portolan.Principal, error)

// Authorize answers nil if the caller may do what the operation does.
type Authorize func(ctx context.Context, caller *rpc.Caller, operation *rpc.Spec) error

// Config is what a gateway is made of. Catalog, Authenticate, Authorize and
// Log are needed; the rest has defaults.
type Config struct {
	Catalog      *rpc.Catalog
	Authenticate Authenticate
	Authorize    Authorize
	Log          *slog.Logger
	// Metrics takes the gateway's collectors; nil keeps them unseen.
	Metrics prometheus.Registerer
	Proxies Proxies
	// ThrottleUser is how many calls a second each access key may make, 0 for
	// any number.
	ThrottleUser int
	// Extra are handlers of other paths than "/". A path that ends in a slash
	// stands for all below it. They check whatever they need themselves.
	Extra map[string]http.Handler
	// Now is the clock, time.Now if nil.
	Now func() time.Time
	// RequestID makes the id of a call, a random upper-case UUID if nil.
	RequestID func() string
}

// Gateway is the http.Handler of the API.
type Gateway struct {
	Config
	routes   map[*rpc.Endpoint]*route
	unknown  *route // of calls that name no operation
	errors   *plan
	throttle *throttle
	metrics  *metrics
	pools    *pools
}

// New makes a gateway. It panics when two gateways share a registerer.
func New(cfg Config) *Gateway {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RequestID == nil {
		cfg.RequestID = newRequestID
	}
	g := &Gateway{
		Config:   cfg,
		routes:   make(map[*rpc.Endpoint]*route),
		errors:   errorPlan(),
		throttle: newThrottle(cfg.ThrottleUser, cfg.Now),
		metrics:  newMetrics(cfg.Metrics),
		pools:    newPools(),
	}
	g.unknown = &route{seen: g.metrics.of("", "")}
	for _, e := range cfg.Catalog.Endpoints() {
		g.routes[e] = &route{
			name: cmp.Or(e.Product, "?") + ":" + e.Name,
			plan: planOf(e.Name+"Response", e.Response, e.Result), seen: g.metrics.of(e.Product, e.Name),
		}
	}
	return g
}

// route is what the gateway has ready for an operation.
type route struct {
	name string // in the log
	plan *plan
	seen seen
}

// Server is an HTTP server with the limits of the gateway. It is to be served
// on a listener from Limit.
func (g *Gateway) Server() *http.Server {
	return &http.Server{
		Handler:           g,
		ReadHeaderTimeout: headerTimeout,
		// The gateway has its own deadlines for calls; these two bound the
		// Extra handlers and the writing of small answers.
		ReadTimeout:    headerTimeout + bodyTimeout,
		WriteTimeout:   headerTimeout + bodyTimeout + longestCall + writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeader,
		ConnContext:    withCorked,
		ErrorLog:       slog.NewLogLogger(g.Log.Handler(), slog.LevelDebug),
	}
}

// Limit bounds the connections that are open at once; more have to wait.
func Limit(l net.Listener) net.Listener {
	return corkedListener{netutil.LimitListener(l, maxConnections)}
}

// newRequestID makes a random UUID in upper case, as the vendor's look.
func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	const digits = "0123456789ABCDEF"
	text := make([]byte, 0, len("XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX"))
	for i, c := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = append(text, digits[c>>4], digits[c&0xf])
	}
	return string(text)
}

// extra finds the handler of a path that is not the API's: an exact match,
// else the longest prefix.
func (g *Gateway) extra(path string) http.Handler {
	if h := g.Extra[path]; h != nil {
		return h
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if h := g.Extra[path[:i+1]]; h != nil {
			return h
		}
	}
	return nil
}
