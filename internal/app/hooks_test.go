package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"portolan/internal/cli/samples"
	"portolan/internal/store/storetest"
)

// A registry's event has its repository read again, and its secret shows
// nowhere.
func TestHooks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		if strings.HasPrefix(database, "sqlite:") {
			database = ""
		}
		cfg, log := config(t.TempDir(), database)
		s := start(t, cfg, log)
		handler, err := samples.New()
		if err != nil {
			t.Fatal(err)
		}
		registry := httptest.NewServer(handler)
		t.Cleanup(registry.Close)
		u, err := url.Parse(registry.URL)
		if err != nil {
			t.Fatal(err)
		}
		id := s.must(v3JSON, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", u.Hostname(), "Port", u.Port(), "ProtocolType", "1").text("Data", "Id")
		s.synced(v3JSON, id)
		hook := s.must(v3JSON, "RefreshRegistryWebhook", "RegistryId", id)
		path, secret := hook.text("Data", "Path"), hook.text("Data", "Secret")

		const push = `{"events":[{"id":"%s","action":"push","target":{"repository":"toolbox","tag":"v1"}}]}`
		if status, answer := s.post(path, fmt.Sprintf(push, "1")); status != http.StatusAccepted {
			t.Fatalf("%d %s", status, answer)
		}
		for {
			if doc := s.must(v3JSON, "DescribeImageRegistrySyncs", "RegistryId", id, "PageSize", "1"); doc.text("List", "Trigger") == "webhook" && doc.text("List", "EndTime") != "" {
				break
			}
		}
		for _, body := range []string{fmt.Sprintf(push, "1"), "{", `{"secret":"` + secret + `"}`, strings.Repeat(" ", 300<<10)} {
			s.post(path, body)
		}
		if status, _ := s.post(path+"0", fmt.Sprintf(push, "2")); status != http.StatusForbidden {
			t.Errorf("wrong secret: %d", status)
		}
		_, metrics := s.get("/metrics")
		for _, line := range []string{
			`{outcome="marked",product="distribution"} 1`, `{outcome="ignored",product="distribution"} 1`, `{outcome="InvalidEvent",product=""} 2`,
			`{outcome="RequestTooLarge",product=""} 1`, `{outcome="NoPermission",product=""} 1`,
		} {
			if !strings.Contains(metrics, "\nportolan_events_total"+line+"\n") {
				t.Errorf("/metrics has no portolan_events_total%s", line)
			}
		}
		places := map[string]string{"the log": log.String(), "/metrics": metrics}
		files(t, cfg.Data, "running", places)
		for where, text := range places {
			if strings.Contains(text, secret) {
				t.Errorf("the secret is in %s", where)
			}
		}
		if !strings.Contains(places["the log"], "msg=event") {
			t.Error("the log tells of no event: the test does not see what it should")
		}
	})
}
