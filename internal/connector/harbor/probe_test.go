package harbor_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector/connectortest"
	"portolan/internal/connector/harbor/harbortest"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		user, secret string
		change       func(*harbortest.Model)
		identity     string
		version      string
		bulk, feed   bool
		warnings     []string // a word of each
		requests     int
	}{
		"robot": {
			user: "robot$audit", secret: "dummy",
			identity: "robot$audit", version: "2.15.2", bulk: true, feed: true, requests: 2,
		},
		"robot without audit log": {
			user: "robot$portolan", secret: harbortest.RecordedRobotSecret,
			identity: "robot$portolan", version: "2.15.2", bulk: true, warnings: []string{"audit-log: list"}, requests: 2,
		},
		"robot with another prefix": {
			user: "svc-audit", secret: "s",
			change: func(m *harbortest.Model) {
				m.Robots = append(m.Robots, harbortest.Robot{Name: "svc-audit", Secret: "s", Projects: []string{"*"}, AuditLog: true})
			},
			identity: "svc-audit", version: "2.15.2", bulk: true, feed: true, requests: 3,
		},
		"administrator": {
			user: "admin", secret: harbortest.RecordedUserPassword,
			identity: "admin", version: "2.15.2", bulk: true, feed: true, warnings: []string{"user account"}, requests: 3,
		},
		"user": {
			user: "eve", secret: "s",
			change: func(m *harbortest.Model) {
				m.Users = append(m.Users, harbortest.User{Name: "eve", Password: "s"})
			},
			identity: "eve", version: "2.15.2", bulk: true, warnings: []string{"user account"}, requests: 2,
		},
		"anonymous": {identity: "anonymous", requests: 1},
		"read only": {
			user: "robot$audit", secret: "dummy",
			change:   func(m *harbortest.Model) { m.ReadOnly = true },
			identity: "robot$audit", version: "2.15.2", bulk: true, feed: true, warnings: []string{"read-only"}, requests: 2,
		},
		"other clock": {
			user: "robot$audit", secret: "dummy",
			change: func(m *harbortest.Model) {
				m.Now = func() time.Time { return noon.Add(time.Hour) }
			},
			identity: "robot$audit", version: "2.15.2", bulk: true, feed: true, warnings: []string{"1h0m0s"}, requests: 2,
		},
		"2.12": {
			user: "robot$audit", secret: "dummy",
			change:   func(m *harbortest.Model) { m.Version = "v2.12.4-ae4c4b0a" },
			identity: "robot$audit", version: "2.12.4", bulk: true, feed: true, requests: 2,
		},
		"2.11": {
			user: "robot$audit", secret: "dummy",
			change:   func(m *harbortest.Model) { m.Version = "v2.11.0" },
			identity: "robot$audit", version: "2.11.0", feed: true, requests: 2,
		},
		"2.2": {
			user: "robot$audit", secret: "dummy",
			change:   func(m *harbortest.Model) { m.Version = "v2.2.0" },
			identity: "robot$audit", version: "2.2.0", feed: true, requests: 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := harbortest.Recorded()
			if err != nil {
				t.Fatal(err)
			}
			m.Now = func() time.Time { return noon }
			if tt.change != nil {
				tt.change(&m)
			}
			fake := harbortest.New(m)
			s := open(t, fake, tt.user, tt.secret)
			p, err := s.Probe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if p.Product != "Harbor" || p.Identity != tt.identity || p.Version != tt.version || p.Bulk != tt.bulk || p.Feed != tt.feed {
				t.Errorf("found %+v", p)
			}
			if len(p.Warnings) != len(tt.warnings) {
				t.Fatalf("warnings %q, want %q", p.Warnings, tt.warnings)
			}
			for i, word := range tt.warnings {
				if !strings.Contains(p.Warnings[i], word) {
					t.Errorf("warning %q, want one of %q", p.Warnings[i], word)
				}
			}
			if got := len(fake.Requests()); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			again, err := s.Probe(t.Context())
			if err != nil || cmp.Diff(p, again) != "" {
				t.Errorf("second time: %+v, %v", again, err)
			}
		})
	}
}

// Lists answer all of these by 200 with the public part.
func TestProbeRefused(t *testing.T) {
	t.Parallel()
	for name, login := range map[string][2]string{
		"wrong password":     {"admin", secret},
		"unknown user":       {"nosuchuser", secret},
		"wrong robot secret": {"robot$portolan", secret},
		"disabled robot":     {"robot$off", harbortest.RecordedRobotSecret},
		"expired robot":      {"robot$old", harbortest.RecordedRobotSecret},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, recorded(t), login[0], login[1])
			list, err := connectortest.Repositories(t.Context(), s, "")
			if err != nil || len(list) != 3 {
				t.Errorf("the list gives %d repositories and %v; it should look fine, or this test proves nothing", len(list), err)
			}
			_, err = s.Probe(t.Context())
			mustFail(t, err, portolan.BadCredentials)
			if !strings.Contains(err.Error(), "00000000-0000-4000-8000-") {
				t.Errorf("%q does not name Harbor's request id", err)
			}
		})
	}
}

// A stranger's failed login locks the name: the right password then gives the
// public part for 1.5 seconds, and Probe must not believe it.
func TestProbeWhileLocked(t *testing.T) {
	t.Parallel()
	m, err := harbortest.Recorded()
	if err != nil {
		t.Fatal(err)
	}
	now := noon
	m.Now = func() time.Time { return now }
	fake := harbortest.New(m)
	s := open(t, fake, "admin", harbortest.RecordedUserPassword)
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	stranger := open(t, fake, "admin", "typo")
	_, err = stranger.Probe(t.Context())
	mustFail(t, err, portolan.BadCredentials)
	_, err = s.Probe(t.Context())
	mustFail(t, err, portolan.BadCredentials)
	now = now.Add(5 * time.Second)
	if _, err := s.Probe(t.Context()); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// A robot that is disabled during the reading is found out by the Probe after.
func TestProbeAfter(t *testing.T) {
	t.Parallel()
	fake := recorded(t)
	s := open(t, fake, "robot$audit", "dummy")
	if _, err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake.Update(func(m *harbortest.Model) { m.Robots[1].Disabled = true })
	_, err := s.Probe(t.Context())
	mustFail(t, err, portolan.BadCredentials)
}

func TestProbeOtherProduct(t *testing.T) {
	t.Parallel()
	legacy := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/systeminfo" || r.Header.Get("Authorization") != "" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(`{"harbor_version":"v1.10.2-d0189bed"}`))
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		class   portolan.ErrorClass
		word    string
	}{
		"Harbor 1": {legacy, portolan.UnsupportedVersion, "Harbor 1.10.2 is not supported"},
		"404":      {http.NotFound, portolan.NotThisProduct, "status 404"},
		"HTML": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html></html>"))
		}, portolan.NotThisProduct, "system information"},
		"other JSON": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"harbor_version":""}`))
		}, portolan.NotThisProduct, "system information"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := open(t, tt.handler, robot, secret).Probe(t.Context())
			mustFail(t, err, tt.class)
			if !strings.Contains(err.Error(), tt.word) {
				t.Errorf("%q does not say %q", err, tt.word)
			}
		})
	}
}

func TestProbeFails(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]int{"version": 1, "who we are": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := recorded(t)
			fake.Inject(request, harbortest.Fault{Status: http.StatusInternalServerError, Body: `{"errors":[{"code":"UNKNOWN","message":"internal server error"}]}`})
			_, err := open(t, fake, "admin", harbortest.RecordedUserPassword).Probe(t.Context())
			mustFail(t, err, portolan.ServerFailure)
			if !strings.Contains(err.Error(), harbortest.RequestID(request)) {
				t.Errorf("%q does not name the request id", err)
			}
		})
	}
	fake := recorded(t)
	fake.Inject(2, harbortest.Fault{Status: http.StatusInternalServerError})
	p, err := open(t, fake, "robot$audit", "dummy").Probe(t.Context())
	if err != nil || p.Feed {
		t.Errorf("with the audit log failing: %+v, %v", p, err)
	}
}
