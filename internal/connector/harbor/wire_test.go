package harbor

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"portolan"
)

func TestKind(t *testing.T) {
	t.Parallel()
	const (
		index  = `"type":"IMAGE","manifest_media_type":"application/vnd.oci.image.index.v1+json","media_type":"application/vnd.oci.image.index.v1+json"`
		config = "application/vnd.oci.image.config.v1+json"
	)
	for name, tt := range map[string]struct {
		row  string
		want portolan.Kind
	}{
		"image":                       {`"type":"IMAGE","media_type":"` + config + `","artifact_type":"` + config + `"`, portolan.KindImage},
		"image before 2.12":           {`"type":"IMAGE","media_type":"` + config + `"`, portolan.KindImage},
		"declared to be another type": {`"type":"IMAGE","media_type":"` + config + `","artifact_type":"application/vnd.example"`, portolan.KindOther},
		"chart":                       {`"type":"CHART"`, portolan.KindOther},
		"no type":                     {`"digest":"x"`, portolan.KindOther},
		"index":                       {index + `,"references":[{"platform":{"os":"linux","architecture":"amd64"}}]`, portolan.KindImage},
		"index without platforms":     {index + `,"references":[{"platform":null}]`, portolan.KindImage},
		"empty index":                 {index + `,"references":null`, portolan.KindOther},
		"index of unknown":            {index + `,"references":[{"platform":{"os":"unknown","architecture":"unknown"}}]`, portolan.KindOther},
		"index of attestations":       {index + `,"references":[{"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]`, portolan.KindOther},
	} {
		var a artifact
		if err := json.Unmarshal([]byte("{"+tt.row+"}"), &a); err != nil {
			t.Fatal(err)
		}
		if got := a.kind(); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestAuditEntry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ operation, kind, resource, want string }{
		{"create", "artifact", "team-b/worker:retag", "team-b/worker"},
		{"delete", "artifact", "team-a/a/b@sha256:00ff", "team-a/a/b"},
		{"create", "artifact", "team-a/a:sha256:00ff", "team-a/a"},
		{"create", "tag", "infra/nginx:api-tag", "infra/nginx"},
		{"delete", "repository", "team-a/platform/auth/server", "team-a/platform/auth/server"},
		{"pull", "artifact", "team-b/worker:1.1.0", ""},
		{"create", "robot", "robot$team-b+scanner", ""},
		{"create", "project", "team-b", ""},
		{"delete", "tag", "", ""},
	} {
		e := auditEntry{Operation: tt.operation, ResourceType: tt.kind, Resource: tt.resource}
		if got := e.repository(); got != tt.want {
			t.Errorf("%s %s %s: %q, want %q", tt.operation, tt.kind, tt.resource, got, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		shown string
		since [3]bool // 2.3, 2.12, 2.13
	}{
		"v2.15.2-080b0220": {"2.15.2", [3]bool{true, true, true}},
		"v2.12.0":          {"2.12.0", [3]bool{true, true, false}},
		"v2.2.4-abc":       {"2.2.4", [3]bool{}},
		"v3.0.0":           {"3.0.0", [3]bool{true, true, true}},
		"2.14":             {"2.14", [3]bool{true, true, true}},
		"dev":              {"dev", [3]bool{}},
		"v1.10.2":          {"1.10.2", [3]bool{}},
		"":                 {"", [3]bool{}},
	} {
		v := parseVersion(text)
		if got := [3]bool{v.since(3), v.since(12), v.since(13)}; v.text != want.shown || got != want.since {
			t.Errorf("%q: %q %v", text, v.text, got)
		}
	}
}

func FuzzArtifacts(f *testing.F) {
	f.Add(`[{"digest":"sha256:5f113f7f1f6958ce73c10499553a88df406dd4409fe4798f176d463c1be2ed54","type":"IMAGE","push_time":"2026-11-24T03:22:51.815Z","extra_attrs":{"created":"2026-01-01T00:01:40Z"},"tags":[{"name":"2.0.0","push_time":"2026-11-24T03:22:51.888Z"}],"references":[{"platform":{"os":"linux","architecture":"arm64","variant":"v8"}}]}]`)
	f.Add(`[{"digest":"x","extra_attrs":[],"tags":null,"references":[{}]}]`)
	f.Add(`[{"extra_attrs":{"created":"0000-00-00"},"size":-1,"push_time":"0001-01-01T00:00:00.000Z"}]`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		var rows []artifact
		if json.Unmarshal([]byte(body), &rows) != nil {
			return
		}
		for _, a := range rows {
			row := a.row()
			if (row.Err == nil) != (row.Digest != "") {
				t.Fatalf("digest %q with error %v", row.Digest, row.Err)
			}
			if row.Err == nil && row.Kind != portolan.KindImage && row.Kind != portolan.KindOther {
				t.Fatalf("kind %q", row.Kind)
			}
			if len(row.Tags) != len(a.Tags) && row.Err == nil {
				t.Fatal("tags were lost")
			}
		}
	})
}

func FuzzAuditEntry(f *testing.F) {
	f.Add("create", "artifact", "team-a/api@sha256:00")
	f.Add("delete", "tag", "team-a/a/b:1.0")
	f.Add("delete", "repository", "a/b")
	f.Fuzz(func(t *testing.T, operation, kind, resource string) {
		path := auditEntry{Operation: operation, ResourceType: kind, Resource: resource}.repository()
		if !strings.HasPrefix(resource, path) {
			t.Fatalf("%q is not the beginning of %q", path, resource)
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("3 250 team-a/api", 3, 250, "team-a/api")
	f.Add("-1 x y", 1, 0, "a b")
	f.Add("", 9_999, 1<<40, "x")
	f.Fuzz(func(t *testing.T, text string, number, total int, key string) {
		if p := parsePlace(text); p != (place{}) && (p.page < 1 || p.page >= maxPages || p.key == "") {
			t.Fatalf("%q was read as %+v", text, p)
		}
		p := place{page: number, total: total, key: key}
		if number < 1 || number >= maxPages || key == "" {
			return
		}
		if got := parsePlace(p.String()); got != p {
			t.Fatalf("%+v came back as %+v", p, got)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("250", "c34d6884-8e5e-46e1-abf5-e3682b01be14", "v2.15.2-080b0220")
	f.Add("-1", "\x00", "v2")
	f.Add("99999999999999999999", strings.Repeat("a", 100), "v2.-1")
	f.Fuzz(func(t *testing.T, total, id, text string) {
		if n := announced(http.Header{"X-Total-Count": {total}}); n < -1 {
			t.Fatalf("total %q was read as %d", total, n)
		}
		if clean := cleanID(id); len(clean) > 64 || strings.ContainsAny(clean, " \n\"<") {
			t.Fatalf("id %q was let pass as %q", id, clean)
		}
		if v := parseVersion(text); v.since(12) && !v.since(3) {
			t.Fatalf("%q has no order", text)
		}
	})
}
