package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// agent adds an agent whose token hash is its id.
func (f *fixture) agent(owner int64, id, vpc string) {
	f.Helper()
	f.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.AddAgent(ctx, &store.Agent{ID: id, AccountID: owner, VpcID: vpc, Name: "n " + id, TokenHash: []byte(id), TokenExpires: f.now().Add(time.Hour)})
	})
}

func (f *fixture) enrol(id, secret string) {
	f.Helper()
	f.update(func(ctx context.Context, tx *store.Tx) error { return tx.EnrolAgent(ctx, id, []byte(secret)) })
}

func TestAgents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.agent(account, "a", "vpc-1")
		f.agent(account, "b", "vpc-2")
		f.agent(other, "c", "vpc-1")
		f.update(func(ctx context.Context, tx *store.Tx) error {
			a, err := tx.AgentByToken(ctx, []byte("a"))
			if err != nil || a.ID != "a" || a.AccountID != account || a.VpcID != "vpc-1" || a.Name != "n a" || !a.Created.Equal(f.now()) ||
				!a.TokenExpires.Equal(f.now().Add(time.Hour)) || !a.Enrolled.IsZero() || !a.Revoked.IsZero() || a.SecretHash != nil {
				t.Errorf("by token: %+v, %v", a, err)
			}
			if _, err := tx.AgentByToken(ctx, []byte("x")); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("an unknown token: %v", err)
			}
			return nil
		})
		f.enrol("a", "secret")
		for id, want := range map[string]error{"a": store.ErrNotFound, "b": store.ErrConflict} {
			err := f.Update(t.Context(), func(tx *store.Tx) error { return tx.EnrolAgent(t.Context(), id, []byte("secret")) })
			if !errors.Is(err, want) {
				t.Errorf("%s with that secret: %v, want %v", id, err, want)
			}
		}
		if a, err := f.AgentBySecret(t.Context(), []byte("secret")); err != nil || a.ID != "a" || !a.Enrolled.Equal(f.now()) || string(a.SecretHash) != "secret" {
			t.Errorf("by secret: %+v, %v", a, err)
		}
		if _, err := f.AgentBySecret(t.Context(), nil); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("no secret: %v", err)
		}
		for _, tt := range []struct {
			vpc        string
			page, size int
			want       []string
			total      int
		}{
			{"", 1, 10, []string{"a", "b"}, 2},
			{"", 2, 1, []string{"b"}, 2},
			{"", 3, 1, nil, 2},
			{"vpc-1", 1, 10, []string{"a"}, 1},
			{"vpc-3", 1, 10, nil, 0},
		} {
			list, total, err := f.Agents(t.Context(), account, tt.vpc, tt.page, tt.size)
			var ids []string
			for _, a := range list {
				ids = append(ids, a.ID)
			}
			if err != nil || total != tt.total || !slices.Equal(ids, tt.want) {
				t.Errorf("%+v: %v of %d, %v", tt, ids, total, err)
			}
		}
	})
}

func TestRevokeAgent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.agent(account, "a", "vpc-1")
		f.agent(account, "b", "vpc-1")
		revoke := func(owner int64, id string) error {
			return f.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeAgent(t.Context(), owner, id) })
		}
		for _, id := range []string{"a", "x"} {
			if err := revoke(other, id); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("another account revokes %s: %v", id, err)
			}
		}
		f.must(revoke(account, "a"))
		at := f.now()
		f.pass(time.Hour)
		f.must(revoke(account, "a"))
		valid, err := f.ValidAgents(t.Context(), []string{"a", "b", "x"})
		if err != nil || !slices.Equal(valid, []string{"b"}) {
			t.Errorf("valid are %v, %v", valid, err)
		}
		f.update(func(ctx context.Context, tx *store.Tx) error {
			if n, err := tx.CountAgents(ctx, account); n != 1 || err != nil {
				t.Errorf("%d agents, %v", n, err)
			}
			if a, err := tx.AgentByToken(ctx, []byte("a")); err != nil || !a.Revoked.Equal(at) {
				t.Errorf("revoked at %v, %v", a.Revoked, err)
			}
			return nil
		})
	})
}

func TestAgentSessions(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		f.agent(account, "a", "vpc-1")
		one := store.AgentSession{ID: "1", AgentID: "a", Streams: 2, Version: "v1", Address: "192.0.2.1"}
		two := store.AgentSession{ID: "2", AgentID: "a", Streams: 3, Version: "v2", Address: "192.0.2.2"}
		check := func(sessions, streams int, version string) {
			t.Helper()
			list, _, err := f.Agents(t.Context(), account, "", 1, 10)
			f.must(err)
			if a := list[0]; a.Sessions != sessions || a.Streams != streams || a.Version != version {
				t.Errorf("agent %+v, want %d sessions with %d streams, version %s", a, sessions, streams, version)
			}
		}
		f.must(f.SeeAgents(t.Context(), []store.AgentSession{one, two, {ID: "3", AgentID: "gone"}}))
		check(2, 5, "v2")
		f.pass(store.AgentAbsent)
		one.Streams = 7
		f.must(f.SeeAgents(t.Context(), []store.AgentSession{one}))
		check(2, 10, "v1")
		f.pass(time.Second)
		check(1, 7, "v1")
		f.must(f.EndAgentSession(t.Context(), one))
		check(0, 0, "v1")
		list, _, err := f.Agents(t.Context(), account, "", 1, 10)
		if err != nil || !list[0].LastSeen.Equal(f.now()) {
			t.Errorf("last seen %v, %v", list[0].LastSeen, err)
		}
	})
}

func TestPurgeAgents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		f := newFixture(t, url)
		for _, id := range []string{"enrolled", "revoked", "waiting"} {
			f.agent(account, id, "vpc-1")
		}
		f.enrol("enrolled", "1")
		f.enrol("revoked", "2")
		f.must(f.SeeAgents(t.Context(), []store.AgentSession{{ID: "1", AgentID: "revoked"}}))
		f.update(func(ctx context.Context, tx *store.Tx) error { return tx.RevokeAgent(ctx, account, "revoked") })
		for i, want := range []int{3, 3, 1} {
			if got := f.rows("agents", "1 = 1"); got != want {
				t.Errorf("after %s: %d agents, want %d", []string{"nothing", "29 days", "31 days"}[i], got, want)
			}
			f.pass([]time.Duration{29 * day, 2 * day, 0}[i])
			f.purge()
		}
		if n := f.rows("agents", "id = 'enrolled'"); n != 1 {
			t.Error("the wrong ones are gone")
		}
	})
}
