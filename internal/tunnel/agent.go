package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/yamux"

	"portolan"
	"portolan/internal/netguard"
)

// AgentConfig is what an agent's connection to one server is made of.
type AgentConfig struct {
	// Server is the URL of the server.
	Server *url.URL
	// Transport makes the requests; it must speak HTTP/1.1.
	Transport http.RoundTripper
	VpcID     string
	// Secret is the agent's own. Token, if there is one, is exchanged for it
	// when the server does not know the secret yet.
	Secret, Token string
	// Dial connects into the network, by the agent's own rules. What it answers
	// about a failure is told to the server.
	Dial netguard.DialFunc
	Log  *slog.Logger
	// Retry is the first wait before connecting again, 1 s if 0; it doubles up
	// to a minute.
	Retry time.Duration
	// Drain is how long what is carried may go on when the agent is stopped,
	// 10 s if 0.
	Drain time.Duration
}

const (
	defaultRetry = time.Second
	maxRetry     = time.Minute
	defaultDrain = 10 * time.Second
)

// Agent is the far end: it keeps a session with one server.
type Agent struct{ AgentConfig }

// NewAgent makes an agent that is not connected yet.
func NewAgent(c AgentConfig) *Agent {
	if c.Retry == 0 {
		c.Retry = defaultRetry
	}
	if c.Drain == 0 {
		c.Drain = defaultDrain
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Agent{c}
}

// Run keeps the agent connected until the context ends, and answers nil then.
// It answers a *RefusalError when the server does not want this agent; whatever else
// goes wrong is tried again.
func (a *Agent) Run(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := a.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if refusal, ok := errors.AsType[*RefusalError](err); ok && refusal.Code != CodeSuspended {
			return refusal
		}
		if time.Since(began) > maxRetry {
			attempt = 0
		}
		wait := a.wait(attempt)
		a.Log.WarnContext(ctx, "not connected", "server", a.Server.Host, "error", err, "again in", wait.Round(time.Millisecond))
		if !pause(ctx, wait) {
			return nil
		}
	}
}

// wait doubles with every attempt; half of it is random, so that the agents of
// a server that was restarted do not come back all at once.
func (a *Agent) wait(attempt int) time.Duration {
	const doublings = 10
	most := min(a.Retry<<min(attempt, doublings), maxRetry)
	return most/2 + rand.N(most/2+1) //nolint:gosec // spreads load, keeps no secret
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// once connects and carries until the session ends, and says why it did.
func (a *Agent) once(ctx context.Context) error {
	line, err := a.connect(ctx)
	if refusal, ok := errors.AsType[*RefusalError](err); ok && refusal.Code == CodeUnknown && a.Token != "" {
		if err = a.enroll(ctx); err == nil {
			a.Log.InfoContext(ctx, "enrolled; the token is used up", "server", a.Server.Host)
			line, err = a.connect(ctx)
		}
	}
	if err != nil {
		return err
	}
	mux, err := yamux.Server(&frames{ReadWriteCloser: line}, muxConfig(a.Log))
	if err != nil {
		return errors.Join(err, line.Close())
	}
	a.Log.InfoContext(ctx, "connected", "server", a.Server.Host, "vpc", a.VpcID)
	a.serve(ctx, mux)
	return errors.New("the server ended the session, or the line broke")
}

// request makes a request of the server.
func (a *Agent) request(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.Server.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", portolan.UserAgent())
	if method == http.MethodGet {
		req.Header.Set("Connection", "Upgrade")
		req.Header.Set("Upgrade", protocol)
		req.Header.Set("Authorization", "Bearer "+a.Secret)
		req.Header.Set(headerVPC, a.VpcID)
	}
	return a.Transport.RoundTrip(req)
}

// connect answers the line to the server, after the upgrade.
func (a *Agent) connect(ctx context.Context) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel() // what was upgraded is out of the context's reach
	resp, err := a.request(ctx, http.MethodGet, ConnectPath, nil)
	if err != nil {
		return nil, err
	}
	if line, ok := resp.Body.(io.ReadWriteCloser); ok && resp.StatusCode == http.StatusSwitchingProtocols {
		return line, nil
	}
	return nil, refused(resp)
}

// enroll exchanges the token.
func (a *Agent) enroll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	body, err := json.Marshal(enrolment{a.Token, a.Secret, a.VpcID}) //nolint:gosec // what the server is to learn
	if err != nil {
		return err
	}
	resp, err := a.request(ctx, http.MethodPost, EnrollPath, body)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusNoContent {
		return resp.Body.Close()
	}
	return refused(resp)
}

// refused reads what a server says that does not let the agent in.
func refused(resp *http.Response) error {
	defer resp.Body.Close() //nolint:errcheck // it was only read
	var r RefusalError
	err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&r)
	if err == nil && r.Code != "" && resp.StatusCode < http.StatusInternalServerError {
		return &RefusalError{shorten(r.Code), shorten(r.Message)}
	}
	return fmt.Errorf("the server answered %d: is it a Portolan that takes agents, and the URL right?", resp.StatusCode)
}
