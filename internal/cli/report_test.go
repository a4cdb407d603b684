package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	tests := map[string]reference{
		"app":                                    {path: "app"},
		"app:1.0":                                {path: "app", tag: "1.0"},
		"team/app:1.0":                           {path: "team/app", tag: "1.0"},
		"registry.example.com/team/app:1.0":      {path: "team/app", tag: "1.0"},
		"registry:5000/app":                      {path: "app"},
		"localhost/a/b:x":                        {path: "a/b", tag: "x"},
		"10.0.0.1:5000/a/b/c@sha256:" + sumA:     {path: "a/b/c", digest: "sha256:" + sumA},
		"team/app:1.0@sha256:" + sumA:            {path: "team/app", tag: "1.0", digest: "sha256:" + sumA},
		"app@" + sumA:                            {path: "app", digest: "sha256:" + sumA},
		"docker.io/library/nginx:1.25.3-alpine3": {path: "library/nginx", tag: "1.25.3-alpine3"},
	}
	for text, want := range tests {
		want.name = text
		got, err := parseReference(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":1.0", "/app", "app/", "a//b", "app:", "app@", "app@sha256:12", "registry.example.com/", "app@md5:" + sumA} {
		if got, err := parseReference(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

func TestParseMetadata(t *testing.T) {
	t.Parallel()
	a, b := portolan.Digest("sha256:"+sumA), portolan.Digest("sha256:"+sumB)
	tests := map[string]struct {
		text string
		want facts
		err  string
	}{
		"buildx": {
			`{"buildx.build.ref":"x","containerimage.config.digest":"sha256:` + sumB + `","containerimage.descriptor":{"mediaType":"application/vnd.oci.image.index.v1+json",
			"digest":"sha256:` + sumA + `","size":855,"annotations":{"org.opencontainers.image.created":"2024-05-01T10:00:00Z"}},"containerimage.digest":"sha256:` + sumA + `","image.name":"docker.io/team/app:1.0"}`,
			facts{digest: a, imageID: b, created: 1714557600000},
			"",
		},
		"bake, one target": {`{"app":{"containerimage.digest":"sha256:` + sumA + `"},"buildx.build.warnings":[]}`, facts{digest: a}, ""},
		"bake, several": {
			`{"db":{"containerimage.digest":"sha256:` + sumB + `","image.name":"r.example.com/team/db:1"},"app":{"containerimage.digest":"sha256:` + sumA + `","image.name":"r.example.com/x:1, r.example.com/team/app:1"}}`,
			facts{digest: a},
			"",
		},
		"bake, none fits":        {`{"db":{"containerimage.digest":"sha256:` + sumB + `"},"web":{"containerimage.digest":"sha256:` + sumA + `"}}`, facts{}, "has the targets db, web"},
		"buildx without push":    {`{"buildx.build.ref":"x"}`, facts{}, "has no digest"},
		"kaniko":                 {"sha256:" + sumA, facts{digest: a}, ""},
		"kaniko with names":      {"r.example.com/team/db@sha256:" + sumB + "\nr.example.com/team/app@sha256:" + sumA + "\n", facts{digest: a}, ""},
		"kaniko with other name": {"r.example.com/team/db@sha256:" + sumB + "\n", facts{}, "has the digest of team/db, and not of team/app"},
		"buildah":                {"sha256:" + sumA + "\n", facts{digest: a}, ""},
		"jib digest":             {"sha256:" + strings.ToUpper(sumA), facts{digest: a}, ""},
		"jib":                    {`{"image":"gcr.io/p/app","imageId":"sha256:` + sumB + `","imageDigest":"sha256:` + sumA + `","tags":["latest"]}`, facts{digest: a, imageID: b}, ""},
		"docker inspect": {
			`[{"Id":"sha256:` + sumB + `","RepoTags":["team/app:1.0"],"RepoDigests":["r.example.com/other@sha256:` + sumB + `","r.example.com/team/app@sha256:` + sumA + `"],"Created":"2024-05-01T10:00:00.123456789Z","Size":1234}]`,
			facts{digest: a, imageID: b, size: 1234, created: 1714557600123},
			"",
		},
		"docker inspect before a push": {`[{"Id":"sha256:` + sumB + `","RepoDigests":[],"Created":"1970-01-01T00:00:00Z","Size":1}]`, facts{imageID: b, size: 1}, ""},
		"podman inspect":               {`[{"Id":"` + sumB + `","Digest":"sha256:` + sumA + `","RepoDigests":[],"Created":"2024-05-01T10:00:00Z","Size":9}]`, facts{digest: a, imageID: b, size: 9, created: 1714557600000}, ""},
		"skopeo inspect":               {`{"Name":"r.example.com/team/app","Digest":"sha256:` + sumA + `","Created":"2024-05-01T10:00:00Z"}`, facts{digest: a, created: 1714557600000}, ""},
		"two digests":                  {"sha256:" + sumA + "\nsha256:" + sumB, facts{}, "two digests are given"},
		"broken digest":                {`{"containerimage.digest":"sha256:12"}`, facts{}, "which is none"},
		"empty":                        {"", facts{}, "has no digest"},
		"other JSON":                   {`{"a":1}`, facts{}, "has no digest"},
		"a list":                       {`[]`, facts{}, "has no digest"},
		"no JSON":                      {`{`, facts{}, "has no digest"},
		"other text":                   {"Successfully built", facts{}, "has no digest"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parseMetadata(tt.text, "team/app")
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("%v, want %q", err, tt.err)
			}
			if err == nil && got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestBuildOf reads the variables that build systems set, as they were seen in
// builds, names and numbers changed.
func TestBuildOf(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"jenkins.env":     `{"ci":"jenkins","job":"team/app/main","build":"42","url":"https://jenkins.example.com/job/team/job/app/job/main/42/","commit":"0123456789abcdef0123456789abcdef01234567","branch":"main","node":"agent-7"}`,
		"jenkins-old.env": `{"ci":"jenkins","job":"app","build":"7","commit":"0123456789abcdef0123456789abcdef01234567","branch":"origin/main","node":"built-in"}`,
		"gitlab.env":      `{"ci":"gitlab","job":"team/app/build-image","build":"118","url":"https://gitlab.example.com/team/app/-/jobs/9876","commit":"0123456789abcdef0123456789abcdef01234567","branch":"feature/x","node":"runner-1"}`,
		"github.env":      `{"ci":"github","job":"team/app/Release","build":"17","url":"https://github.com/team/app/actions/runs/123456","commit":"0123456789abcdef0123456789abcdef01234567","tag":"v1.0.0","node":"GitHub Actions 4"}`,
		"none.env":        "",
	}
	for name, want := range tests {
		if d := cmp.Diff(want, buildOf(recorded(t, name))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// recorded answers variables that were recorded.
func recorded(t *testing.T, name string) func(string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "ci", name))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		vars[key] = value
	}
	return func(name string) string { return vars[name] }
}

// Whatever the variables hold, the label is JSON that fits, without passwords.
func TestBuildOfHostile(t *testing.T) {
	t.Parallel()
	text := buildOf(func(name string) string {
		switch name {
		case "GITLAB_CI":
			return "true"
		case "CI_JOB_URL":
			return "https://user:canary@gitlab.example.com/job?token=canary"
		}
		return strings.Repeat("\"\x01\xff\\ü", 2_000)
	})
	if n := utf8.RuneCountInString(text); n > 4_096 || !json.Valid([]byte(text)) || strings.Contains(text, "canary") || !strings.Contains(text, "https://gitlab.example.com/job") {
		t.Errorf("%d characters: %.300s", n, text)
	}
}

// collector is a server that takes reports; it fails the first ones.
type collector struct {
	fails  []int
	calls  atomic.Int32
	form   map[string]string
	path   string
	bearer string
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := int(c.calls.Add(1))
	if n <= len(c.fails) {
		w.Header().Set("X-Acs-Retry-After", "1")
		w.WriteHeader(c.fails[n-1])
		_, _ = fmt.Fprint(w, `{"RequestId":"X","Code":"NoPermission","Message":"caller has no permission"}`)
		return
	}
	_ = r.ParseForm()
	c.form = map[string]string{}
	for name := range r.PostForm {
		c.form[name] = r.PostForm.Get(name)
	}
	c.path, c.bearer = r.URL.Path, r.Header.Get("Authorization")
	_, _ = fmt.Fprint(w, `{"RequestId":"X","Data":{"TaskId":"t1","Uuid":"u1"}}`)
}

// reportWith runs the command against a collector.
func reportWith(t *testing.T, c *collector, stdin string, env map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	var stdout, stderr bytes.Buffer
	code = Main(context.WithoutCancel(t.Context()), append([]string{"report"}, args...), strings.NewReader(stdin), &stdout, &stderr, func(name string) string {
		if name == "PORTOLAN_SERVER" {
			return server.URL + "/portolan/"
		}
		return env[name]
	})
	return code, stdout.String(), stderr.String()
}

func TestReport(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PORTOLAN_REPORT_TOKEN": "secret-token\n", "PORTOLAN_REGISTRY": "12", "GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc"}
	c := &collector{}
	code, out, errs := reportWith(t, c, `[{"Id":"sha256:`+sumB+`","RepoDigests":["r.example.com/team/app@sha256:`+sumA+`"],"Size":5}]`, env, "r.example.com/team/app:1.0", "--inspect-file", "-")
	if code != ExitOK || out != "Reported r.example.com/team/app:1.0: image u1, task t1.\n" {
		t.Fatalf("%d\n%s\n%s", code, out, errs)
	}
	want := map[string]string{
		"Namespace": "team", "RepoName": "app", "Tag": "1.0", "Digest": "sha256:" + sumA, "ImageId": "sha256:" + sumB, "ImageSize": "5",
		"JenkinsEnv": `{"ci":"github","commit":"abc"}`,
	}
	if d := cmp.Diff(want, c.form); d != "" || c.path != "/portolan/reports/12" || c.bearer != "Bearer secret-token" {
		t.Errorf("%s %s (-want +got):\n%s", c.path, c.bearer, d)
	}
	code, out, _ = reportWith(t, c, "", env, "app@sha256:"+sumA, "--output", "json", "--label", "release")
	if code != ExitOK || !strings.Contains(out, `"TaskId": "t1"`) || c.form["JenkinsEnv"] != "release" || c.form["Tag"] != "" {
		t.Errorf("%d\n%s %v", code, out, c.form)
	}
}

func TestReportFails(t *testing.T) {
	t.Parallel()
	env := map[string]string{"PORTOLAN_REPORT_TOKEN": "secret-token", "PORTOLAN_REGISTRY": "12"}
	tests := map[string]struct {
		env   map[string]string
		fails []int
		args  []string
		code  int
		text  string
		calls int32
	}{
		"no registry":     {map[string]string{"PORTOLAN_REPORT_TOKEN": "x"}, nil, []string{"app:1"}, ExitUsage, "--registry ID", 0},
		"no token":        {map[string]string{"PORTOLAN_REGISTRY": "12"}, nil, []string{"app:1"}, ExitUsage, "PORTOLAN_REPORT_TOKEN", 0},
		"two words":       {map[string]string{"PORTOLAN_REGISTRY": "12", "PORTOLAN_REPORT_TOKEN": "a b"}, nil, []string{"app:1"}, ExitUsage, "is one word", 0},
		"neither":         {env, nil, []string{"app"}, ExitUsage, "a tag as in app:1.0", 0},
		"no such file":    {env, nil, []string{"app:1", "--metadata-file", "none"}, ExitFailed, "--metadata-file", 0},
		"two digests":     {env, nil, []string{"app@sha256:" + sumA, "--inspect-file", "-"}, ExitUsage, "two digests", 0},
		"refused":         {env, []int{403}, []string{"app:1"}, ExitFailed, "The token is not that of the registry", 1},
		"wrong":           {env, []int{400}, []string{"app:1"}, ExitFailed, "request id X", 1},
		"fails and works": {env, []int{503, 429}, []string{"app:1"}, ExitOK, "Trying again in 1ms, 2 of 6", 3},
		"fails for good":  {env, []int{500, 500}, []string{"app:1", "--attempts", "2"}, ExitFailed, "request id X", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &collector{fails: tt.fails}
			code, _, errs := reportWith(t, c, `[{"RepoDigests":["app@sha256:`+sumB+`"],"Id":"`+sumA+`"}]`, tt.env, tt.args...)
			if code != tt.code || !strings.Contains(errs, tt.text) || c.calls.Load() != tt.calls || strings.Contains(errs, "secret-token") {
				t.Errorf("exit %d after %d calls, want %d after %d with %q:\n%s", code, c.calls.Load(), tt.code, tt.calls, tt.text, errs)
			}
		})
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("registry.example.com:5000/team/app:1.0@sha256:" + sumA)
	f.Add("a:b/c:d")
	f.Add("@")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseReference(text)
		if err != nil {
			return
		}
		if r.path == "" || strings.HasPrefix(r.path, "/") || strings.HasSuffix(r.path, "/") {
			t.Errorf("%q is read as %+v", text, r)
		}
	})
}

func FuzzParseMetadata(f *testing.F) {
	f.Add("sha256:"+sumA, "app")
	f.Add(`{"containerimage.digest":"sha256:`+sumA+`","image.name":"app"}`, "app")
	f.Add(`{"app":{"containerimage.digest":"sha256:`+sumA+`"}}`, "app")
	f.Add(`{"imageDigest":"sha256:`+sumA+`","imageId":"x"}`, "app")
	f.Add(`[{"Id":"`+sumA+`","RepoDigests":["app@x"],"Created":"2024-05-01T10:00:00Z","Size":-1}]`, "app")
	f.Fuzz(func(t *testing.T, text, path string) {
		got, err := parseMetadata(text, path)
		if err == nil && (got.digest == "" && got.imageID == "" || got.size < 0) {
			t.Errorf("%q is read as %+v", text, got)
		}
	})
}
