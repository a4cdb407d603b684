package app_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// report sends a report as a build does, from an address if it is behind a
// proxy, and answers the status and the document.
func (s *server) report(registry, token, from, body string) (int, string) {
	s.t.Helper()
	header := []string{"Content-Type", "application/x-www-form-urlencoded", "Authorization", "Bearer " + token}
	if from != "" {
		header = append(header, "X-Forwarded-For", from)
	}
	return s.post("/reports/"+registry, body, header...)
}

// The address that decides is that of the peer, or what a trusted proxy says,
// and never what the sender claims.
func TestReportsThroughProxies(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{false, true} {
		cfg, log := config(t.TempDir(), "")
		if trusted {
			cfg.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		}
		s := start(t, cfg, log)
		doc := s.must(v3JSON, "CreateJenkinsImageRegistry", "WhiteList", "192.0.2.0/24")
		id, token := doc.text("Data", "Id"), doc.text("Data", "Token")
		for from, taken := range map[string]bool{"192.0.2.7": trusted, "203.0.113.9": false, "192.0.2.7, 203.0.113.9": false, "": false} {
			status, answer := s.report(id, token, from, "RepoName=app&Tag=1&SourceIp=192.0.2.7")
			if (status == http.StatusOK) != taken || !taken && (status != http.StatusForbidden || !strings.Contains(answer, "caller has no permission") || strings.Contains(answer, "WhiteList")) {
				t.Errorf("proxy trusted %t, from %q: %d %s", trusted, from, status, answer)
			}
		}
		if _, doc := s.call(v3JSON, "CreateJenkinsImageScanTask", "Token", token, "RepoName", "app", "Tag", "1", "SourceIp", "192.0.2.7"); doc.text("Code") != "NoPermission" {
			t.Errorf("the signed operation: %s", doc.raw)
		}
		if !strings.Contains(log.String(), "not on WhiteList") {
			t.Error("the log does not say why")
		}
	}
}

// A token is in the answer that made it, and nowhere else.
func TestCanaryOfTokens(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	s := start(t, cfg, log)
	var shown strings.Builder
	made := s.must(v3JSON, "CreateJenkinsImageRegistry")
	id := made.text("Data", "Id")
	tokens := []string{made.text("Data", "Token")}
	for range 2 {
		tokens = append(tokens, s.must(v1XML, "RefreshRegistryToken", "RegistryId", id, "GraceSeconds", "60").text("Data"))
	}
	for _, token := range tokens {
		for _, body := range []string{"RepoName=app&Tag=1", "RepoName=app&Digest=" + token, "Token=" + token, "%zz"} {
			_, answer := s.report(id, token, "", body)
			shown.WriteString(strings.ReplaceAll(answer, "Digest="+token, ""))
		}
		_, answer := s.report("999", token, "", "RepoName=app&Tag=1")
		shown.WriteString(answer)
		for _, params := range [][]string{{"RepoName", "app", "Tag", "1"}, {"RepoName", "app"}, {}} {
			_, doc := s.call(v1XML, "CreateJenkinsImageScanTask", append(params, "Token", token)...)
			shown.Write(doc.raw)
		}
	}
	for _, read := range []string{"PageImageRegistry", "ListPrivateRegistryList", "DescribeImageInstances"} {
		shown.Write(s.must(v3JSON, read).raw)
	}
	if !strings.Contains(shown.String(), tokens[2][:8]+"****") || !strings.Contains(shown.String(), "TaskId") {
		t.Error("the mask or the reports are shown nowhere: the test does not see what it should")
	}
	_, metrics := s.get("/metrics")
	places := map[string]string{"the answers": shown.String(), "/metrics": metrics}
	files(t, cfg.Data, "running", places)
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	files(t, cfg.Data, "stopped", places)
	places["the log"] = log.String()
	for where, text := range places {
		for i, token := range tokens {
			if strings.Contains(text, token) || strings.Contains(text, token[9:]) {
				t.Errorf("token %d is in %s", i, where)
			}
		}
	}
}

// A report that was acknowledged is counted at once, and after a restart.
func TestReportsAreCounted(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	s := start(t, cfg, log)
	made := s.must(v3JSON, "CreateJenkinsImageRegistry")
	id, token := made.text("Data", "Id"), made.text("Data", "Token")
	for n := range 5 {
		if status, answer := s.report(id, token, "", fmt.Sprint("RepoName=app&Tag=v", n)); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		if count := s.must(v3JSON, "PageImageRegistry").text("List", "ImageCount"); count != fmt.Sprint(n+1) {
			t.Errorf("after %d reports ImageCount is %s", n+1, count)
		}
	}
	if _, metrics := s.get("/metrics"); !strings.Contains(metrics, `portolan_reports_total{code="OK"} 5`) {
		t.Error("/metrics does not have the reports")
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, cfg, log)
	if count := again.must(v3JSON, "PageImageRegistry").text("List", "ImageCount"); count != "5" {
		t.Errorf("after a restart ImageCount is %s", count)
	}
}
