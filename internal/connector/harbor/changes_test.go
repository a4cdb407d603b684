package harbor_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/connector/harbor/harbortest"
)

func changes(t *testing.T, s connector.Source, since time.Time) ([]string, bool) {
	t.Helper()
	got, proven, err := s.(connector.ChangeFeed).Changes(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	return got, proven
}

func TestChanges(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		user, secret string
		scope        []string
		since        string
		want         []string
		proven       bool
	}{
		"since then":      {user: "robot$audit", secret: "dummy", since: "2026-11-24T03:37:00Z", want: []string{"infra/nginx", "team-b/worker"}, proven: true},
		"scope":           {user: "robot$audit", secret: "dummy", scope: []string{"infra"}, since: "2026-11-24T03:37:00Z", want: []string{"infra/nginx"}, proven: true},
		"nothing since":   {user: "robot$audit", secret: "dummy", since: "2026-11-24T03:50:00Z", proven: true},
		"administrator":   {user: "admin", secret: harbortest.RecordedUserPassword, since: "2026-11-24T03:37:00Z", want: []string{"infra/nginx", "team-b/worker"}, proven: true},
		"log begins late": {user: "robot$audit", secret: "dummy", since: "2026-11-24T03:00:00Z"},
		"no permission":   {user: "robot$portolan", secret: harbortest.RecordedRobotSecret, since: "2026-11-24T03:37:00Z"},
		"anonymous":       {since: "2026-11-24T03:37:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, recorded(t), tt.user, tt.secret, tt.scope...)
			got, proven := changes(t, s, at(t, tt.since))
			if diff := cmp.Diff(tt.want, got); diff != "" || proven != tt.proven {
				t.Errorf("proven %t (-want +got):\n%s", proven, diff)
			}
		})
	}
}

// feed is a Harbor whose log has an old entry and one for each of n
// repositories, a second apart, up to noon.
func feed(n int) harbortest.Model {
	m := model(nil)
	entry := func(i int, when time.Time) harbortest.AuditEntry {
		return harbortest.AuditEntry{
			OpTime: harbortest.At(when), Operation: "delete", Resource: fmt.Sprintf("team/r%d:1.0", i), ResourceType: "tag",
		}
	}
	m.Audit = append(m.Audit, entry(0, noon.Add(-24*time.Hour)))
	for i := range n {
		m.Audit = append(m.Audit, entry(i+1, noon.Add(time.Duration(i-n)*time.Second)))
	}
	return m
}

func TestChangesPages(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		entries, want, requests int
		proven                  bool
	}{
		"one page":    {50, 50, 2, true},
		"three pages": {250, 250, 4, true},
		"too many":    {5_100, 0, 51, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := harbortest.New(feed(tt.entries))
			got, proven := changes(t, open(t, fake, robot, secret), noon.Add(-2*time.Hour))
			if len(got) != tt.want || proven != tt.proven {
				t.Errorf("%d paths, proven %t", len(got), proven)
			}
			if n := len(fake.Requests()); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

// Entries are written late, and Harbor's clock may be behind ours.
func TestChangesSlack(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]time.Duration{"same clock": 0, "behind": time.Hour, "ahead": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := model(nil)
			m.Now = func() time.Time { return noon.Add(-behind) }
			for i, age := range []time.Duration{24 * time.Hour, time.Minute, 0} {
				m.Audit = append(m.Audit, harbortest.AuditEntry{
					OpTime: harbortest.At(noon.Add(-behind - age)), Operation: "create", Resource: fmt.Sprintf("team/r%d@%s", i, digest("x", i)), ResourceType: "artifact",
				})
			}
			got, proven := changes(t, open(t, harbortest.New(m), robot, secret), noon)
			if diff := cmp.Diff([]string{"team/r1", "team/r2"}, got); diff != "" || !proven {
				t.Errorf("proven %t (-want +got):\n%s", proven, diff)
			}
		})
	}
}

func TestChangesFail(t *testing.T) {
	t.Parallel()
	fake := harbortest.New(feed(250))
	fake.Inject(3, harbortest.Fault{Status: http.StatusInternalServerError})
	_, proven, err := open(t, fake, robot, secret).(connector.ChangeFeed).Changes(t.Context(), noon.Add(-time.Hour))
	mustFail(t, err, portolan.ServerFailure)
	if proven {
		t.Error("a feed that failed is proven")
	}
}
