package intake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

// event reads a request of testdata/events.
func event(t testing.TB, name string) (http.Header, []byte) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/events", name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r.Header, body
}

const sample = "sha256:5f113f7f1f6958ce73c10499553a88df406dd4409fe4798f176d463c1be2ed54"

func TestDecode(t *testing.T) {
	t.Parallel()
	type want struct {
		form  format
		hints []hint // without ids
		ids   bool
	}
	one := func(f format, h hint, id bool) want { return want{f, []hint{h}, id} }
	none := func(f format) want { return want{form: f} }
	const harbor = "127.0.0.1:18080"
	const untagged = "sha256:7a870d9b477480bd940c626422e5e857d4609ffabf4d5e9875fe30a26ad711d3"
	tests := map[string]want{
		"harbor-push-default": one(formatHarbor, hint{
			action: actionPush, path: "team-a/api", tag: "1.0.0", host: harbor,
			digest: "sha256:e29ae778c31f2b933f4995a93c6ccb31aca5319b32d05aaba21ffbcb904926ea",
		}, true),
		"harbor-push-cloudevents": one(formatHarbor, hint{
			action: actionPush, path: "team-a/api", tag: "1.0.0", host: harbor,
			digest: "sha256:e29ae778c31f2b933f4995a93c6ccb31aca5319b32d05aaba21ffbcb904926ea",
		}, true),
		"harbor-delete-cloudevents": one(formatHarbor, hint{
			action: actionDelete, path: "team-a/web", tag: "1.3.0", host: harbor,
			digest: "sha256:e56f09369c8e08b88e78068a4f5a67f9b242975876b831bfdb7fc7c233a3470a",
		}, true),
		"harbor-delete-two-tags": one(formatHarbor, hint{action: actionDelete, path: "team-a/api", tag: "latest", digest: sample, host: harbor}, true),
		"harbor-push-nested": one(formatHarbor, hint{
			action: actionPush, path: "team-a/platform/auth/server", tag: "3.1", host: harbor,
			digest: "sha256:cd88ed52f3297bca256f9022d561fcef3a0f9fe5f9a93f0ccbfb0c5b8da90e0c",
		}, true),
		"harbor-push-untagged":        one(formatHarbor, hint{action: actionPush, path: "team-a/api", tag: untagged, digest: untagged, host: harbor}, true),
		"harbor-pull-default":         none(formatHarbor),
		"harbor-scan-completed-clean": none(formatHarbor),
		"quay-repo-push":              one(formatQuay, hint{action: actionPush, path: "team/api", tag: "v1", host: "quay.example.com"}, false),
		"quay-vulnerability-found":    none(formatQuay),
		"acr-push":                    one(formatACR, hint{action: actionPush, path: "team/api", tag: "1.0.0", digest: sample}, true),
		"distribution-push":           one(formatDistribution, hint{action: actionPush, path: "team/api", tag: "1.0.0", digest: sample, host: "registry.example.com:5000"}, true),
		"distribution-pull":           none(formatDistribution),
		"distribution-own":            none(formatDistribution),
		"distribution-empty":          none(formatDistribution),
		"zot-updated":                 one(formatZot, hint{action: actionPush, path: "team/api", tag: "1.0.0", digest: sample}, true),
		"zot-structured":              one(formatZot, hint{action: actionPush, path: "team/api", tag: "1.0.0", digest: sample}, true),
		"zot-deleted-prefix":          one(formatZot, hint{action: actionDelete, path: "team/api", tag: "1.0.0", digest: sample}, true),
		"zot-created":                 none(formatZot),
		"distribution-delete": {formatDistribution, []hint{
			{action: actionDelete, path: "team/api", digest: sample, host: "registry.example.com:5000"},
			{action: actionDelete, path: "team/api", tag: "1.0.0", host: "registry.example.com:5000"},
		}, true},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header, body := event(t, name)
			form, hints, err := decode(header, body)
			if err != nil || form != want.form {
				t.Fatalf("%s, %v", form, err)
			}
			for i := range hints {
				if (hints[i].id != "") != want.ids {
					t.Errorf("id %q", hints[i].id)
				}
				hints[i].id = ""
			}
			if d := cmp.Diff(want.hints, hints, cmp.AllowUnexported(hint{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	zot := http.Header{"Ce-Specversion": {"1.0"}, "Ce-Type": {"zotregistry.image.updated"}, "Ce-Id": {"1"}}
	tests := map[string]struct {
		header http.Header
		body   string
		want   string
	}{
		"empty":                 {nil, "", "not a JSON object"},
		"no JSON":               {nil, "push team/api", "not a JSON object"},
		"cut":                   {nil, `{"events":[`, "not a JSON object"},
		"list":                  {nil, `[]`, "not a JSON object"},
		"null":                  {nil, `null`, "none of the events"},
		"unknown":               {nil, `{"action":"push","repository":"team/api"}`, "none of the events"},
		"wrong type":            {nil, `{"events":[{"action":"push","target":{"repository":7}}]}`, `"events.target.repository" is not of its type`},
		"no action":             {nil, `{"events":[{"target":{"repository":"a"}}]}`, "no action"},
		"no repository":         {nil, `{"events":[{"action":"push","target":{}}]}`, "names no repository"},
		"harbor without a type": {nil, `{"event_data":{}}`, "no type"},
		"path up":               {nil, `{"docker_url":"q","repository":"team/../api","updated_tags":[]}`, "cannot be the path"},
		"path of dots":          {nil, `{"docker_url":"q","repository":".../api","updated_tags":[]}`, "cannot be the path"},
		"absolute path":         {nil, `{"docker_url":"q","repository":"/api","updated_tags":[]}`, "cannot be the path"},
		"path with a query":     {nil, `{"docker_url":"q","repository":"api?n=1","updated_tags":[]}`, "cannot be the path"},
		"encoded path":          {nil, `{"docker_url":"q","repository":"a%2fb","updated_tags":[]}`, "cannot be the path"},
		"long path":             {nil, `{"push_data":{},"repository":{"repo_full_name":"` + strings.Repeat("a", 256) + `"}}`, "cannot be the path"},
		"CloudEvent, no id":     {nil, `{"specversion":"1.0","type":"zotregistry.image.updated","data":{"name":"a"}}`, "no type or no id"},
		"CloudEvent, unknown":   {nil, `{"specversion":"1.0","id":"1","type":"com.example.order.placed","data":{}}`, "none of the events"},
		"CloudEvent, no data":   {nil, `{"specversion":"1.0","id":"1","type":"harbor.artifact.pushed"}`, "not a JSON object"},
		"zot without a name":    {zot, `{}`, "names no repository"},
		"zot, no JSON":          {zot, `<xml/>`, "not a JSON object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, hints, err := decode(test.header, []byte(test.body))
			_, ours := errors.AsType[*eventError](err)
			if !ours || len(hints) > 0 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %v; want %q", hints, err, test.want)
			}
		})
	}
}

func TestFits(t *testing.T) {
	t.Parallel()
	for _, f := range []format{formatHarbor, formatQuay, formatACR, formatDistribution, formatZot} {
		for kind, want := range map[portolan.RegistryType]bool{
			portolan.OCI: true, portolan.CICD: false,
			portolan.Harbor: f == formatHarbor, portolan.Quay: f == formatQuay, portolan.ACR: f == formatACR,
		} {
			if f.fits(kind) != want {
				t.Errorf("%s of a registry of type %s: %v", f, kind, !want)
			}
		}
	}
}

// FuzzDecode: whatever comes, a hint is one that can be looked up, and an error
// is one for its sender.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/events/*.http")
	if err != nil || len(files) == 0 {
		f.Fatal("no samples", err)
	}
	for _, file := range files {
		header, body := event(f, strings.TrimSuffix(filepath.Base(file), ".http"))
		f.Add(header.Get("Ce-Specversion"), header.Get("Ce-Type"), header.Get("Ce-Id"), body)
	}
	f.Add("", "", "", []byte(`{"events":null}`))
	f.Fuzz(func(t *testing.T, version, kind, id string, body []byte) {
		header := http.Header{}
		for name, value := range map[string]string{"Ce-Specversion": version, "Ce-Type": kind, "Ce-Id": id} {
			if value != "" {
				header.Set(name, value)
			}
		}
		form, hints, err := decode(header, body)
		if err != nil {
			if _, ours := errors.AsType[*eventError](err); !ours || len(hints) > 0 {
				t.Fatalf("%v with %v", err, hints)
			}
			return
		}
		if form == "" {
			t.Fatal("an event of no form")
		}
		for _, h := range hints {
			if h.action == actionNone || !repositoryPath(h.path) || len(h.path) > maxPath {
				t.Errorf("%+v", h)
			}
		}
	})
}
