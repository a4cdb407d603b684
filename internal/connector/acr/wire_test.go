package acr

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"portolan"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]number{
		`7`: {7, true}, `"7"`: {7, true}, `"1572839125000"`: {1572839125000, true}, `-1`: {-1, true},
		`""`: {}, `null`: {}, `"x"`: {}, `1.5`: {}, `{}`: {}, `true`: {}, `"99999999999999999999"`: {},
	} {
		var v struct{ N number }
		if err := json.Unmarshal([]byte(`{"n":`+text+`}`), &v); err != nil {
			t.Fatal(err)
		}
		if v.N.there != want.there || v.N.there && v.N.n != want.n {
			t.Errorf("%s: %+v, want %+v", text, v.N, want)
		}
	}
}

func TestIsAccessKey(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"LTAI5tReader": true, "LTAI": true, "ltai5t": false, "LTAI@account": false, "sub@account": false, "": false, "xLTAI5t": false,
	} {
		if got := isAccessKey(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestAskedWait(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"1500": 1500 * time.Millisecond, "0": 0, "-1": 0, "x": 0, "": 0, "99999999999": 0, "4294967295": 24 * time.Hour,
	} {
		if got := askedWait(http.Header{"X-Acs-Retry-After": {text}}); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		got := askedWait(http.Header{"X-Ratelimit-User": {"Limit:5,TimeLeft:" + text + ",Remain:0"}})
		if got != want {
			t.Errorf("TimeLeft:%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzTags(f *testing.F) {
	f.Add(`{"IsSuccess":true,"TotalCount":"1","PageSize":100,"Images":[{"Tag":"v0.1","Digest":"67bfbcc12b67936ec7f867927817cbb071832b873dbcaed312a1930ba5f1d529","ImageSize":27107966,"ImageCreate":"1572839125000","ImageUpdate":1572875608000,"Status":"NORMAL"}]}`)
	f.Add(`{"IsSuccess":true,"TotalCount":-1,"Images":[{"Digest":"x","ImageSize":"-1","ImageUpdate":{}}]}`)
	f.Add(`{"IsSuccess":"true","Images":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		var answer struct {
			rpcAnswer
			Images     []tagEntry
			TotalCount number
			PageSize   number
		}
		if json.Unmarshal([]byte(body), &answer) != nil {
			return
		}
		if code, _, yes := answer.refused(); yes && code != "" && !isCode(code) {
			t.Fatalf("code %q", code)
		}
		if p, ok := newPage(answer.Images, 1, answer.TotalCount, answer.PageSize); ok && (p.total < 0 || p.size <= 0) {
			t.Fatalf("page %+v", p)
		}
		for _, e := range answer.Images {
			row := e.row("team/app")
			if (row.Err == nil) != (row.Digest != "") || len(row.Tags) != 1 {
				t.Fatalf("digest %q with error %v", row.Digest, row.Err)
			}
			if row.Kind != "" && row.Kind != portolan.KindAccessory {
				t.Fatalf("the list alone told the kind %q", row.Kind)
			}
			if y := row.Tags[0].Pushed.Year(); y != 1 && (y < 2000 || y > 3000) {
				t.Fatalf("pushed in %d", y)
			}
		}
	})
}

func FuzzRepositories(f *testing.F) {
	f.Add(`{"repoId":1001,"repoName":"app","repoNamespace":"team","repoStatus":"NORMAL","repoType":"PUBLIC","gmtModified":1564153576000}`)
	f.Add(`{"RepoId":"crr-03cuozrsqhkwmzyl","RepoName":"app","RepoNamespaceName":"team","ModifiedTime":"x"}`)
	f.Add(`{"RepoId":"crr-1&InstanceId=cri-2","RepoName":"","RepoStatus":"DELETING"}`)
	f.Add(`{"RepoId":{"a":[]},"RepoName":"a/b"}`)
	f.Fuzz(func(t *testing.T, body string) {
		var e repositoryEntry
		if json.Unmarshal([]byte(body), &e) != nil {
			return
		}
		if id := fingerprintID(e.fingerprint()); id != "" && (id != e.id() || url.QueryEscape(id) != id) {
			t.Fatalf("id %q of %q", id, e.fingerprint())
		}
		if namespace, name := namespaceOf(e.path()); e.path() != name && e.path() != namespace+"/"+name {
			t.Fatalf("%q is not %q and %q", e.path(), namespace, name)
		}
	})
}

func FuzzService(f *testing.F) {
	f.Add("registry.aliyuncs.com:cn-hangzhou:26842")
	f.Add("registry.aliyuncs.com:ap-southeast-1:china:cri-0001")
	f.Add("registry.aliyuncs.com:evil.example.com/:x")
	f.Fuzz(func(t *testing.T, text string) {
		s, ok := parseService(text)
		if !ok {
			return
		}
		u := &url.URL{Scheme: "https", Host: s.apiHost(&url.URL{Host: "registry.example.com"}), Path: "/"}
		parsed, err := url.Parse(u.String())
		if err != nil || parsed.Host != "cr."+s.region+".aliyuncs.com" || strings.Count(parsed.Host, ".") != 3 || parsed.Port() != "" {
			t.Fatalf("%q leads to %s", text, u)
		}
	})
}

func FuzzRefusal(f *testing.F) {
	f.Add(`{"Code":"InvalidAccessKeyId.NotFound","RequestId":"5241C090-DA69-4B0F-8E3F-2F24FDE1110E"}`)
	f.Add(`{"code":"REPO_NOT_EXIST","requestId":"x y"}`)
	f.Add(`{"Code":7}`)
	f.Fuzz(func(t *testing.T, body string) {
		code, id := readRefusal([]byte(body))
		if code != "" && !isCode(code) || len(id) > maxCode || strings.ContainsAny(id, " \n<\"") {
			t.Fatalf("%q %q", code, id)
		}
		if isBadKey(code) && (isDenial(code) || isClock(code) || isThrottling(code)) {
			t.Fatalf("%q means two things", code)
		}
	})
}

func FuzzPlace(f *testing.F) {
	f.Add("3 7 v 1", 3, 7, "v 1")
	f.Add("-1 x y", 1, 0, "a b")
	f.Add("", 9_999, 1<<40, "x")
	f.Fuzz(func(t *testing.T, text string, number, index int, key string) {
		if p := parsePlace(text); p != (place{}) && (p.page < 1 || p.page >= maxPages || p.index < 0 || p.key == "") {
			t.Fatalf("%q was read as %+v", text, p)
		}
		p := place{page: number, index: index, key: key}
		if number < 1 || number >= maxPages || index < 0 || key == "" {
			return
		}
		if got := parsePlace(p.String()); got != p {
			t.Fatalf("%+v came back as %+v", p, got)
		}
	})
}
