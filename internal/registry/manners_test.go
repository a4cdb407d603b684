package registry_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/store/storetest"
)

// What ExtraParam says of how a registry is read is kept until it says
// otherwise, and asks for what it needs.
func TestManners(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	id := r.add(registry.Fields{DomainName: "r.example.com", ExtraParam: `{"excludeRepositories":["team/tmp-*","**/cache","team/tmp-*"],"requestsPerMinute":600,"syncWindow":"22:00-06:00"}`})
	full := portolan.Extra{Excludes: []string{"**/cache", "team/tmp-*"}, RequestsPerMinute: 600, SyncWindow: "22:00-06:00"}
	for _, step := range []struct {
		text  string
		want  func(*portolan.Extra)
		reads int
		due   bool
	}{
		{`{}`, func(*portolan.Extra) {}, 0, false},
		{`{"excludeRepositories":null,"requestsPerMinute":null,"syncWindow":null}`, func(*portolan.Extra) {}, 0, false},
		{`{"requestsPerMinute":60000}`, func(e *portolan.Extra) { e.RequestsPerMinute = 60_000 }, 0, false},
		{`{"requestsPerMinute":""}`, func(e *portolan.Extra) { e.RequestsPerMinute = 0 }, 0, false},
		{`{"requestsPerMinute":1}`, func(e *portolan.Extra) { e.RequestsPerMinute = 1 }, 0, false},
		{`{"requestsPerMinute":0}`, func(e *portolan.Extra) { e.RequestsPerMinute = 0 }, 0, false},
		{`{"syncWindow":""}`, func(e *portolan.Extra) { e.SyncWindow = "" }, 0, true},
		{`{"excludeRepositories":[]}`, func(e *portolan.Extra) { e.Excludes = nil }, 1, false},
		{`{"excludeRepositories":["a"],"syncWindow":"01:00-02:00"}`, func(e *portolan.Extra) { e.Excludes, e.SyncWindow = []string{"a"}, "01:00-02:00" }, 1, false},
	} {
		r.requests = nil
		if err := r.Modify(t.Context(), account, id, registry.Fields{ExtraParam: step.text}, nil); err != nil {
			t.Fatal(err)
		}
		step.want(&full)
		reg, _, _ := r.state(id)
		if d := cmp.Diff(full, reg.Extra); d != "" {
			t.Errorf("after %s (-want +got):\n%s", step.text, d)
		}
		due, err := r.db.DueRegistries(t.Context(), 10)
		if err != nil || len(r.requests) != step.reads || !step.due && len(due) > 0 && step.reads == 0 && full.SyncWindow != "" {
			t.Errorf("after %s: asked for %d readings, %v are due, %v", step.text, len(r.requests), due, err)
		}
		if step.due && (len(due) != 1 || due[0].Extra.SyncWindow != full.SyncWindow) {
			t.Errorf("after %s the schedule is not told: %v", step.text, due)
		}
	}
}

func TestMannersRefused(t *testing.T) {
	t.Parallel()
	many := `{"excludeRepositories":[` + strings.TrimSuffix(strings.Repeat(`"a",`, portolan.MaxExcludes+1), ",") + `]}`
	for text, says := range map[string]string{
		many:                                  "more than 100 excludeRepositories",
		`{"excludeRepositories":["a/"]}`:      "a/**",
		`{"excludeRepositories":["[a]"]}`:     "only * and **",
		`{"excludeRepositories":"a"}`:         "excludeRepositories that is not of its documented type",
		`{"requestsPerMinute":60001}`:         "from 1 to 60000",
		`{"requestsPerMinute":-1}`:            "from 1 to 60000",
		`{"requestsPerMinute":1.5}`:           "requestsPerMinute that is not of its documented type",
		`{"requestsPerMinute":"10"}`:          "requestsPerMinute that is not of its documented type",
		`{"syncWindow":"22:00"}`:              "such as 22:00-06:00",
		`{"syncWindow":"22:00-22:00"}`:        "starts when it ends",
		`{"syncWindow":["22:00-06:00"]}`:      "syncWindow that is not of its documented type",
		`{"excludeRepositorys":["team/tmp"]}`: "it may have",
	} {
		_, err := draft(text)
		if code(err) != "InvalidParameter" || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, want %q", text, err, says)
		}
	}
}
