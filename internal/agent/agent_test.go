package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan"
	"portolan/internal/agent"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
	"portolan/internal/tunnel"
)

const (
	account = 1000000000000001
	other   = 1000000000000002
)

// rig is some servers on one store, whose clock is moved by hand.
type rig struct {
	*testing.T
	services []*agent.Service
	urls     []*url.URL
	db       *store.DB

	mu sync.Mutex
	at time.Time
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at = r.at.Add(d)
}

func newRig(t *testing.T, database string, servers int) *rig {
	t.Helper()
	r := &rig{T: t, at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	master, err := secret.ParseMasterKey(strings.Repeat("01", 32))
	if err != nil {
		t.Fatal(err)
	}
	box, _, err := master.NewDataKey()
	if err != nil {
		t.Fatal(err)
	}
	for range servers {
		db := storetest.Open(t, database, store.Options{Now: r.now})
		s, err := agent.New(agent.Config{DB: db, Box: box, Now: r.now})
		if err != nil {
			t.Fatal(err)
		}
		r.serve(s)
		r.db = db
	}
	err = r.db.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.AddAccount(t.Context(), account, "a"), tx.AddAccount(t.Context(), other, "b"))
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) serve(s *agent.Service) {
	mux := http.NewServeMux()
	for path, h := range s.Hub().Handlers() {
		mux.Handle(path, h)
	}
	server := httptest.NewServer(mux)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Watch(ctx) })
	r.Cleanup(func() {
		s.Hub().Close()
		cancel()
		wg.Wait()
		server.Close()
	})
	u, err := url.Parse(server.URL)
	if err != nil {
		r.Fatal(err)
	}
	r.services, r.urls = append(r.services, s), append(r.urls, u)
}

// enroll makes an agent for vpc-1.
func (r *rig) enroll(owner int64) (*store.Agent, string) {
	r.Helper()
	a, token, err := r.services[0].Enroll(r.Context(), owner, "vpc-1", "", agent.DefaultTokenLife)
	if err != nil {
		r.Fatal(err)
	}
	return a, token
}

// own is the secret of an agent.
func own(c string) string { return strings.Repeat(c, agent.SecretLength) }

// run runs an agent against a server, until the test ends.
func (r *rig) run(server int, token, own, vpc string) <-chan error {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		ended <- tunnel.NewAgent(tunnel.AgentConfig{
			Server: r.urls[server], Transport: &http.Transport{}, VpcID: vpc, Token: token, Secret: own, Retry: time.Millisecond,
			Dial: (&net.Dialer{}).DialContext, //nolint:forbidigo // what is dialled is not of this test
		}).Run(ctx)
	})
	r.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return ended
}

func wantRefusal(t *testing.T, err error, code string) {
	t.Helper()
	if refusal, ok := errors.AsType[*tunnel.RefusalError](err); !ok || refusal.Code != code || refusal.Message == "" {
		t.Errorf("ended with %v, want %s", err, code)
	}
}

// until waits for what another goroutine does.
func (r *rig) until(what string, done func() bool) {
	r.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			r.Fatalf("not %s", what)
		}
	}
}

func (r *rig) connected(server int, id string) bool {
	return slices.ContainsFunc(r.services[server].Hub().Sessions(), func(s tunnel.Session) bool { return s.Agent.ID == id })
}

func TestEnroll(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database, 1)
		a, token := r.enroll(account)
		if len(token) != agent.TokenLength || a.Name != "vpc-1" || !a.TokenExpires.Equal(r.now().Add(24*time.Hour)) || strings.Contains(string(a.TokenHash), token) {
			t.Errorf("enrolled %+v, %s", a, token)
		}
		ended := r.run(0, token, own("a"), "vpc-1")
		r.until("connected", func() bool { return r.connected(0, a.ID) })
		for _, route := range []struct {
			owner int64
			vpc   string
			want  bool
		}{{account, "vpc-1", true}, {other, "vpc-1", false}, {account, "vpc-2", false}} {
			if _, ok := r.services[0].Hub().Route(route.owner, route.vpc); ok != route.want {
				t.Errorf("%+v: %t", route, ok)
			}
		}
		r.until("seen", func() bool {
			list, total, err := r.db.Agents(t.Context(), account, "", 1, 10)
			return err == nil && total == 1 && list[0].Sessions == 1 && list[0].Version == portolan.Version && list[0].Address == "127.0.0.1"
		})
		r.services[0].Hub().Cut(a.ID)
		r.until("connected again", func() bool { return r.connected(0, a.ID) })
		if len(ended) > 0 {
			t.Errorf("ended with %v", <-ended)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database, 1)
		_, token := r.enroll(account)
		wantRefusal(t, <-r.run(0, strings.Repeat("x", agent.TokenLength), own("a"), "vpc-1"), agent.CodeTokenUnknown)
		wantRefusal(t, <-r.run(0, token, own("a"), "vpc-2"), agent.CodeVPC)
		wantRefusal(t, <-r.run(0, token, "short", "vpc-1"), tunnel.CodeProtocol)
		wantRefusal(t, <-r.run(0, "", own("a"), "vpc-1"), tunnel.CodeUnknown)
		r.pass(agent.DefaultTokenLife + time.Second)
		wantRefusal(t, <-r.run(0, token, own("a"), "vpc-1"), agent.CodeTokenExpired)

		a, token := r.enroll(account)
		r.run(0, token, own("a"), "vpc-1")
		r.until("connected", func() bool { return r.connected(0, a.ID) })
		wantRefusal(t, <-r.run(0, token, own("b"), "vpc-1"), agent.CodeTokenUsed)
		wantRefusal(t, <-r.run(0, "", own("a"), "vpc-2"), agent.CodeVPC)

		unused, token := r.enroll(account)
		if err := r.services[0].Revoke(t.Context(), account, unused.ID); err != nil {
			t.Fatal(err)
		}
		wantRefusal(t, <-r.run(0, token, own("c"), "vpc-1"), agent.CodeRevoked)
	})
}

func TestEnrollChecks(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite), 1)
	for _, bad := range []struct{ vpc, name string }{{"vpc\n", ""}, {strings.Repeat("v", 65), ""}, {"vpc-1", "a\tb"}, {"vpc-1", strings.Repeat("n", 65)}} {
		_, _, err := r.services[0].Enroll(t.Context(), account, bad.vpc, bad.name, time.Hour)
		if e, ok := errors.AsType[*portolan.Error](err); !ok || e.Code != "InvalidParameter" {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A token counts once, over all servers of a store; the same pair may be sent
// to each.
func TestTokenCountsOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database, 2)
		a, token := r.enroll(account)
		first, second := r.run(0, token, own("a"), "vpc-1"), r.run(1, token, own("b"), "vpc-1")
		select { // one of them has it
		case err := <-first:
			wantRefusal(t, err, agent.CodeTokenUsed)
			r.until("connected", func() bool { return r.connected(1, a.ID) })
			r.run(0, token, own("b"), "vpc-1")
		case err := <-second:
			wantRefusal(t, err, agent.CodeTokenUsed)
			r.until("connected", func() bool { return r.connected(0, a.ID) })
			r.run(1, token, own("a"), "vpc-1")
		}
		r.until("connected to both", func() bool { return r.connected(0, a.ID) && r.connected(1, a.ID) })
		r.until("seen at both", func() bool {
			list, _, err := r.db.Agents(t.Context(), account, "", 1, 10)
			return err == nil && list[0].Sessions == 2
		})
	})
}

// The agents of a suspended account are cut and not let in, nor is a token taken
// for a secret. They come back by themselves when it is resumed.
func TestSuspended(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database, 1)
		a, token := r.enroll(account)
		kept, keptToken := r.enroll(other)
		ended, stays := r.run(0, token, own("a"), "vpc-1"), r.run(0, keptToken, own("b"), "vpc-1")
		r.until("connected", func() bool { return r.connected(0, a.ID) && r.connected(0, kept.ID) })
		r.suspend(true)
		r.until("cut", func() bool { return !r.connected(0, a.ID) })
		_, unused := r.enroll(account)
		for path, body := range map[string]string{tunnel.EnrollPath: fmt.Sprintf(`{"token":%q,"secret":%q,"vpcId":"vpc-1"}`, unused, own("c")), tunnel.ConnectPath: ""} {
			r.refused(path, body, tunnel.CodeSuspended)
		}
		if r.connected(0, a.ID) || !r.connected(0, kept.ID) {
			t.Errorf("connected: its agent %t, that of another account %t", r.connected(0, a.ID), r.connected(0, kept.ID))
		}
		r.suspend(false)
		r.until("connected again", func() bool { return r.connected(0, a.ID) })
		if len(ended)+len(stays) > 0 {
			t.Error("an agent ended")
		}
	})
}

func (r *rig) suspend(suspended bool) {
	r.Helper()
	err := r.db.Update(r.Context(), func(tx *store.Tx) error { return tx.SuspendAccount(r.Context(), account, suspended) })
	if err != nil {
		r.Fatal(err)
	}
}

// refused sends the request of the agent with secret "a", and wants a refusal.
func (r *rig) refused(path, body, code string) {
	r.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(r.Context(), method, r.urls[0].JoinPath(path).String(), strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header = http.Header{"Upgrade": {"portolan-agent/1"}, "Authorization": {"Bearer " + own("a")}, "Portolan-Agent-Vpc": {"vpc-1"}}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var refusal tunnel.RefusalError
	if err := json.NewDecoder(resp.Body).Decode(&refusal); err != nil || resp.StatusCode != http.StatusForbidden || refusal.Code != code {
		r.Errorf("%s: %d %+v %v, want %s", path, resp.StatusCode, refusal, err, code)
	}
}

// A revocation acts at once where it is called, and soon elsewhere.
func TestRevoke(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		r := newRig(t, database, 2)
		a, token := r.enroll(account)
		here, there := r.run(0, token, own("a"), "vpc-1"), r.run(1, token, own("a"), "vpc-1")
		r.until("connected to both", func() bool { return r.connected(0, a.ID) && r.connected(1, a.ID) })
		if err := r.services[0].Revoke(t.Context(), other, a.ID); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("another account revokes it: %v", err)
		}
		if err := r.services[0].Revoke(t.Context(), account, a.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := r.services[0].Hub().Route(account, "vpc-1"); ok {
			t.Error("there is a route at once after the revocation")
		}
		wantRefusal(t, <-here, agent.CodeRevoked)
		wantRefusal(t, <-there, agent.CodeRevoked)
		r.until("ended", func() bool {
			list, _, err := r.db.Agents(t.Context(), account, "", 1, 10)
			return err == nil && list[0].Sessions == 0 && !list[0].Revoked.IsZero()
		})
	})
}
