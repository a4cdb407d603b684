package sas

import (
	"strings"
	"testing"
	"time"

	"portolan/internal/agent"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

// withAgents gives the rig's operations the rules of agents.
func (r *rig) withAgents() {
	r.t.Helper()
	master, err := secret.ParseMasterKey(strings.Repeat("01", 32))
	if err != nil {
		r.t.Fatal(err)
	}
	box, _, err := master.NewDataKey()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.service.Agents, err = agent.New(agent.Config{DB: r.db, Box: box, Now: r.clock}); err != nil {
		r.t.Fatal(err)
	}
}

func TestAgents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.withAgents()
		made := must[enrollAgentResponse](r, "EnrollAgent", "VpcId", "vpc-1", "TokenHours", "2").Data
		if made.AgentName != "vpc-1" || len(made.Token) != agent.TokenLength || made.TokenExpireTime != "2026-01-02 13:04:05" {
			t.Errorf("enrolled %+v", made)
		}
		session := store.AgentSession{ID: "1", AgentID: made.AgentID, Streams: 3, Version: "v1", Address: "192.0.2.1"}
		row := func() agentRow {
			t.Helper()
			page := must[describeAgentsResponse](r, "DescribeAgents", "VpcId", "vpc-1")
			if len(page.List) != 1 || page.PageInfo.TotalCount != 1 {
				t.Fatalf("page %+v", page)
			}
			return page.List[0]
		}
		status := func(want string) {
			t.Helper()
			if got := row(); got.Status != want || got.Connected != (want == "connected") {
				t.Errorf("status %+v, want %s", got, want)
			}
		}
		status("waiting")
		r.wait(2*time.Hour + time.Second)
		status("expired")
		err := r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.EnrolAgent(t.Context(), made.AgentID, []byte("x")) })
		if err != nil {
			t.Fatal(err)
		}
		status("disconnected")
		if err := r.db.SeeAgents(t.Context(), []store.AgentSession{session}); err != nil {
			t.Fatal(err)
		}
		status("connected")
		if got := row(); got.Streams != 3 || got.Servers != 1 || got.Version != "v1" || got.Address != "192.0.2.1" || got.LastSeenTime != "2026-01-02 13:04:06" || got.TokenExpireTime != "" {
			t.Errorf("row %+v", got)
		}
		r.account = accountB
		refuse(r, "AgentNotExist", "", "RevokeAgent", "AgentId", made.AgentID)
		if page := must[describeAgentsResponse](r, "DescribeAgents"); len(page.List) != 0 || page.PageInfo.TotalCount != 0 {
			t.Errorf("another account sees %+v", page)
		}
		r.account = accountA
		r.wait(store.AgentAbsent + time.Second)
		status("disconnected")
		if !must[doneResponse](r, "RevokeAgent", "AgentId", made.AgentID).Data {
			t.Error("not revoked")
		}
		status("revoked")
		refuse(r, "MissingVpcId", "", "EnrollAgent")
		refuse(r, "InvalidParameter", "TokenHours", "EnrollAgent", "VpcId", "vpc-1", "TokenHours", "721")
		refuse(r, "InvalidParameter", "VpcId", "EnrollAgent", "VpcId", strings.Repeat("v", 65))
	})
}
