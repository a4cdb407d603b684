package app_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"portolan/internal/sign"
)

const (
	canaryPassword = "CanaryPasswordQ7x9Lm2Kp4"
	canaryToken    = "CanaryTokenZ3w8Rt5Vb6Ny1"
	canaryUser     = "robot"
	shownOfToken   = 8 // these may be shown
)

// echo is a registry that tells everyone what it was told: the credentials it
// was given are in the headers and bodies of its answers.
func echo(t *testing.T, status int) (host, port string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("Authorization")
		_, password, ok := r.BasicAuth()
		if !ok && given == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="echo"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="`+password+`", error="`+given+`"`)
		w.Header().Set("Location", "http://"+r.Host+"/"+password)
		w.Header().Set("Link", "</v2/"+password+`?last=`+given+`>; rel="next"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"repositories":["team/app"],"name":"team/app","tags":["v1"],"harbor_version":"v2.0.0","errors":[{"code":%q,"message":%q}]}`,
			password, given+" "+password)
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Hostname(), u.Port()
}

// A secret is found nowhere but in sealed form: not in files, logs, answers,
// errors or metrics, whatever a registry does with it.
func TestCanary(t *testing.T) {
	t.Parallel()
	cfg, log := config(t.TempDir(), "")
	s := start(t, cfg, log)
	var shown strings.Builder // all that anyone was shown
	call := func(operation string, params ...string) document {
		t.Helper()
		_, doc := s.call(v1XML, operation, params...)
		fmt.Fprintf(&shown, "%s %s\n", operation, doc.raw)
		return doc
	}
	extra := `{"authTokens":{"org":"` + canaryToken + `"}}`
	var waiting []string
	for _, status := range []int{401, 403, 404, 429, 500, 302, 200} {
		host, port := echo(t, status)
		for _, kind := range []string{"oci", "harbor", "quay"} {
			params := []string{
				"RegistryType", kind, "DomainName", host, "Port", port, "ProtocolType", "1", "UserName", canaryUser, "Password", canaryPassword, "ExtraParam", extra,
			}
			call("TestImageRegistry", append(params, "TimeoutSeconds", "1")...)
			if status == http.StatusTooManyRequests {
				continue // a reading would wait
			}
			id := call("AddPrivateRegistry", params...).text("Data", "Id")
			if id == "" {
				t.Fatalf("not added: %s", shown.String())
			}
			waiting = append(waiting, id)
			call("AddPrivateRegistry", params...) // exists already
			call("AddPrivateRegistry", append(params, "VpcId", "x")...)
			call("AddPrivateRegistry", append(params, "ExtraParam", `{"authTokens":{"org":"`+canaryToken+`"`)...)
			call("ModifyImageRegistry", "Id", id, "Port", "1")
			call("ModifyImageRegistry", "Id", id, "Password", canaryPassword, "NetType", "2")
			call("ListImageRegistryExtra", "RegistryId", id)
		}
	}
	for _, id := range waiting {
		fmt.Fprintf(&shown, "%s\n", s.synced(v3JSON, id).raw)
		call("DescribeImageRegistrySyncs", "RegistryId", id)
	}
	for _, read := range []string{"PageImageRegistry", "ListPrivateRegistryList", "DescribeImageInstances", "DescribeImageRepoDetailList", "DescribeImageCriteria", "DescribeImageRepoCriteria"} {
		call(read, "PageSize", "1000")
	}
	if shown := shown.String(); !strings.Contains(shown, "******") || !strings.Contains(shown, canaryToken[:shownOfToken]+"****") {
		t.Error("the masks are shown nowhere: the test does not see what it should")
	}
	// The answer to a wrong signature holds what was signed, for the one who
	// signed it; the log must not.
	_, raw := s.send(v1JSON, sign.Key{ID: s.root.AccessKeyID, Secret: "wrong"}, "AddPrivateRegistry", "Password", canaryPassword)
	if !strings.Contains(string(raw), "SignatureDoesNotMatch") {
		t.Errorf("a wrong signature: %s", raw)
	}
	_, metrics := s.get("/metrics")
	places := map[string]string{"the answers": shown.String(), "/metrics": metrics}
	scan := func(when string) {
		places["the log"] = log.String()
		files(t, cfg.Data, when, places)
		for where, text := range places {
			for name, secret := range secrets(s.root.AccessKeySecret) {
				if i := strings.Index(text, secret); i >= 0 && (name != "root secret" || !strings.HasSuffix(where, "root-credentials.json")) {
					t.Errorf("%s: %s is in %s: …%q…", when, name, where, text[max(0, i-80):min(len(text), i+len(secret)+20)])
				}
			}
		}
	}
	scan("running")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	scan("stopped")
	if !strings.Contains(log.String(), "level=DEBUG") && !strings.Contains(log.String(), "level=INFO") {
		t.Error("the log is empty: the test does not see what it should")
	}
}

func secrets(root string) map[string]string {
	basic := base64.StdEncoding.EncodeToString([]byte(canaryUser + ":" + canaryPassword))
	return map[string]string{
		"password": canaryPassword, "password in an Authorization header": strings.TrimRight(basic, "="), "token": canaryToken, "root secret": root,
	}
}

func files(t *testing.T, folder, when string, into map[string]string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		into[when+" "+path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
