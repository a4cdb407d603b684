package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"portolan"
	"portolan/internal/sas"
	"portolan/internal/sign"
)

const (
	defaultEndpoint = "http://127.0.0.1:9743"
	// patience is how long a server may take until it begins to answer, and
	// testPatience how long with the test of a registry, which takes up to 60 s.
	patience     = 30 * time.Second
	testPatience = 90 * time.Second
	// callTimeout also has the time for a long list to arrive.
	callTimeout = 5 * time.Minute
	maxAnswer   = 256 << 20
)

// target says which server to speak to, and as whom.
type target struct{ endpoint, caFile, profile, credentials string }

func (t *target) add(fs *pflag.FlagSet) {
	fs.StringVar(&t.endpoint, "endpoint", "", "URL of the server (default that of --profile, $PORTOLAN_ENDPOINT, that of the default profile, or "+defaultEndpoint+")")
	fs.StringVar(&t.caFile, "ca-file", "", "PEM file of the authority that signed the server's certificate")
	fs.StringVar(&t.profile, "profile", "", "profile to use instead of what the environment says, made with portolan configure")
	fs.StringVar(&t.credentials, "credentials-file", "", "JSON file with AccessKeyId and AccessKeySecret, such as root-credentials.json (default $PORTOLAN_CREDENTIALS_FILE)")
}

// client speaks to one server as one caller.
type client struct {
	endpoint *url.URL
	key      sign.Key
	http     *http.Client
	line     *progress
	// patience is shorter in tests.
	patience time.Duration
	// named is the flag that names the endpoint, --endpoint if empty.
	named string
}

// address is the endpoint as people write it.
func (c *client) address() string { return strings.TrimSuffix(c.endpoint.String(), "/") }

// flag is the flag that mends a wrong endpoint.
func (c *client) flag() string { return cmp.Or(c.named, "--endpoint") }

// client makes the client that a command's flags, the environment and the
// profile describe.
func (s *shell) client(t target) (*client, error) {
	p, err := s.profile(t.profile)
	if err != nil {
		return nil, err
	}
	endpoint, err := s.endpoint(t, p)
	if err != nil {
		return nil, err
	}
	key, err := s.key(t, p)
	if err != nil {
		return nil, err
	}
	c := &client{endpoint: endpoint, key: key, line: s.line, patience: patience}
	ca := t.caFile
	if ca == "" {
		ca = p.CAFile
	}
	if c.http, err = operatorClient(ca); err != nil {
		return nil, err
	}
	return c, nil
}

// endpoint is that of the command line, else of a profile that it names, else
// of the environment, else of the default profile.
func (s *shell) endpoint(t target, p profile) (*url.URL, error) {
	text := cmp.Or(t.endpoint, s.env(envEndpoint), p.Endpoint, defaultEndpoint)
	if t.profile != "" {
		text = cmp.Or(t.endpoint, p.Endpoint, s.env(envEndpoint), defaultEndpoint)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, usagef("the endpoint must be a URL such as https://portolan.example.com or %s", defaultEndpoint)
	}
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// operatorClient dials the operator's own server, which may well be on a
// loopback or private address. It is the one client outside netguard: that
// guards what the server dials for others, this runs as the person who named
// the endpoint.
func operatorClient(caFile string) (*http.Client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("read the authority's certificate: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("--ca-file: %s has no PEM certificate", caFile)
		}
	}
	return &http.Client{
		Timeout:   callTimeout,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, IdleConnTimeout: time.Minute},
		// A signed request is meant for the host that was named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// operation names what to call.
type operation struct{ name, version string }

// sasCall is an operation of Security Center.
func sasCall(name string) operation { return operation{name, sas.Version} }

// params are the parameters of a call. Empty ones are not sent.
type params map[string]string

func (p params) encode() []byte {
	form := url.Values{}
	for name, value := range p {
		if value != "" {
			form.Set(name, value)
		}
	}
	return []byte(form.Encode())
}

// number writes a parameter that is absent when 0.
func number[T ~int | ~int64](n T) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(int64(n), 10)
}

// sign makes the request of a call.
func (c *client) sign(op operation, p params) (*sign.Request, error) {
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	r := &sign.Request{
		Method: http.MethodPost, Path: c.endpoint.EscapedPath(), Host: c.endpoint.Host, Body: p.encode(),
		Header: http.Header{"Accept": {"application/json"}, "User-Agent": {"portolan/" + portolan.Version}},
	}
	return sign.Sign(r, c.key, sign.Call{Action: op.name, Version: op.version, Time: time.Now(), Nonce: hex.EncodeToString(nonce)})
}

// maxAttempts is how often a call is sent that the server asks to send later.
const maxAttempts = 10

// send calls an operation and answers the JSON document. It sends again, signed
// anew, when the server throttles the caller and says for how long.
func (c *client) send(ctx context.Context, op operation, p params) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		body, err := c.once(ctx, op, p)
		r, refused := errors.AsType[*refusal](err)
		if !refused || r.wait <= 0 || attempt == maxAttempts {
			return body, err
		}
		if err := pause(ctx, r.wait); err != nil {
			return nil, err
		}
	}
}

// do sends a request, and gives up if the server has not begun to answer
// within the limit.
func (c *client) do(req *http.Request, limit time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	timer := time.AfterFunc(limit, func() {
		cancel(&hinted{
			fmt.Errorf("cannot reach %s: no answer within %s", c.address(), limit),
			"Is the endpoint right (" + c.flag() + "), does a firewall or proxy swallow the call, or is the server overloaded?",
		})
	})
	resp, err := c.http.Do(req.WithContext(ctx))
	if timer.Stop(); err == nil {
		resp.Body = &held{resp.Body, cancel}
		return resp, nil
	}
	late, tooLate := errors.AsType[*hinted](context.Cause(ctx))
	cancel(nil)
	if tooLate {
		return nil, late
	}
	return nil, c.unreachable(err)
}

// held is the body of an answer with the context that it is read under.
type held struct {
	io.ReadCloser
	free context.CancelCauseFunc
}

func (h *held) Close() error {
	defer h.free(nil)
	return h.ReadCloser.Close()
}

func (c *client) once(ctx context.Context, op operation, p params) ([]byte, error) {
	signed, err := c.sign(op, p)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, signed.Method, c.endpoint.String(), bytes.NewReader(signed.Body))
	if err != nil {
		return nil, err
	}
	req.Header = signed.Header
	defer c.line.wait("Waiting for " + c.endpoint.Host)()
	limit := c.patience
	switch op.name {
	case "TestImageRegistry":
		limit = max(limit, testPatience)
	case "RunImageRegistryRetention":
		limit = max(limit, callTimeout)
	}
	resp, err := c.do(req, limit)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.address(), err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.refused(resp, body)
	}
	return body, nil
}

// call calls an operation and decodes its answer.
func (c *client) call(ctx context.Context, name string, p params, into any) error {
	body, err := c.send(ctx, sasCall(name), p)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer to %s is not in its documented form: %w", name, err)
	}
	return nil
}

const pageSize = 1000

// rows walks the rows of a paged operation, page by page to the end. list is
// the field that has them.
func (c *client) rows(ctx context.Context, name, list string, p params) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		p := maps.Clone(p)
		if p == nil {
			p = params{}
		}
		p["PageSize"] = strconv.Itoa(pageSize)
		for page, seen := 1, 0; ; page++ {
			p["CurrentPage"] = strconv.Itoa(page)
			rows, total, err := c.page(ctx, name, list, p)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, row := range rows {
				if !yield(row, nil) {
					return
				}
			}
			if seen += len(rows); len(rows) == 0 || seen >= total {
				return
			}
		}
	}
}

func (c *client) page(ctx context.Context, name, list string, p params) (rows []json.RawMessage, total int, err error) {
	var answer map[string]json.RawMessage
	if err := c.call(ctx, name, p, &answer); err != nil {
		return nil, 0, err
	}
	var info struct{ TotalCount int }
	if raw := answer["PageInfo"]; raw != nil {
		err = json.Unmarshal(raw, &info)
	}
	if raw := answer[list]; raw != nil {
		err = errors.Join(err, json.Unmarshal(raw, &rows))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("the answer to %s is not in its documented form: %w", name, err)
	}
	return rows, info.TotalCount, nil
}

// warnPlain warns before secrets are sent in the clear to another machine.
func (s *shell) warnPlain(c *client) {
	host := c.endpoint.Hostname()
	addr, err := netip.ParseAddr(host)
	if c.endpoint.Scheme == "http" && host != "localhost" && (err != nil || !addr.IsLoopback()) {
		s.tell("warning: the password goes to %s over plain HTTP, where others on the way can read it; use https", net.JoinHostPort(host, c.endpoint.Port()))
	}
}
