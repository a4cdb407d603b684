package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The secrets of webhooks and agents are in the answers that made them, or were
// never told, and are nowhere else, whatever is done with them.
func TestCanaryOfWebhooksAndAgents(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	s := start(t, cfg, log)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // tells all that it was told
		w.Header().Set("Location", "http://"+r.Host+"/"+r.Header.Get("webhook-signature"))
		w.WriteHeader(http.StatusFound)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(receiver.Close)
	const path, own = "CanaryPathH5j2Kd8Qw3", "CanaryOwnSecretOfAnAgentG7f4Zx1Mn6Vb3Kl9QwA"
	hook := s.must(v1XML, "CreateEventWebhook", "Url", receiver.URL+"/"+path+"?key="+path, "Events.1", "image.added")
	agent := s.must(v3JSON, "EnrollAgent", "VpcId", "vpc-1")
	token, id := agent.text("Data", "Token"), agent.text("Data", "AgentId")
	var shown strings.Builder
	shown.Write(s.must(v1XML, "TestEventWebhook", "WebhookId", hook.text("Data", "WebhookId")).raw)
	receiver.Close()
	shown.Write(s.must(v1XML, "TestEventWebhook", "WebhookId", hook.text("Data", "WebhookId")).raw)
	post := func(path, body string, header ...string) {
		_, answer := s.post(path, body, header...)
		shown.WriteString(answer)
	}
	for _, body := range []string{
		`{"token":"` + token + `x","secret":"` + own + `","vpcId":"vpc-1"}`, `{"token":"` + token + `","secret":"x` + own + `","vpcId":"vpc-1"}`,
		`{"token":"` + token + `","secret":"` + own + `","vpcId":"vpc-2"}`, `{"token":"` + token + `","secret":"` + own + `","vpcId":"vpc-1"}`,
		`{"token":"` + token + `","secret":"` + strings.ToLower(own) + `","vpcId":"vpc-1"}`, `{"token":"` + token,
	} {
		post("/agents/enroll", body)
	}
	post("/agents/connect", "", "Authorization", "Bearer "+own, "Upgrade", "portolan-agent/1", "Portolan-Agent-Vpc", "vpc-2")
	shown.Write(s.must(v3JSON, "RevokeAgent", "AgentId", id).raw)
	for _, read := range []string{"DescribeEventWebhooks", "DescribeAgents"} {
		shown.Write(s.must(v3JSON, read).raw)
	}
	if text := shown.String(); !strings.Contains(text, "/******?******") || !strings.Contains(text, "302") || !strings.Contains(text, "AgentTokenUsed") {
		t.Errorf("the test does not see what it should: %s", text)
	}
	_, metrics := s.get("/metrics")
	places := map[string]string{"the answers": shown.String(), "/metrics": metrics}
	files(t, cfg.Data, "running", places)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	files(t, cfg.Data, "stopped", places)
	places["the log"] = log.String()
	for name, secret := range map[string]string{
		"signing secret": strings.TrimPrefix(hook.text("Data", "Secret"), "whsec_"), "agent token": token, "agent secret": own, "path of a webhook": path,
	} {
		if len(secret) < len(path) {
			t.Errorf("there is no %s", name)
		}
		for where, text := range places {
			if strings.Contains(text, secret) {
				t.Errorf("the %s is in %s", name, where)
			}
		}
	}
}
