package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"portolan/internal/registry"
	"portolan/internal/report"
	"portolan/internal/rpc"
	"portolan/internal/secret"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

const account = 1000000000000001

// desk is the receiver of reports over a real store, with one registry.
type desk struct {
	*testing.T
	*post
	reports *Reports
	service *report.Service
	db      *store.DB
	path    string
	token   string
	counts  map[string]int
}

func newDesk(t *testing.T, f registry.Fields) *desk {
	t.Helper()
	d := &desk{T: t, post: newPost(), counts: map[string]int{}}
	d.db = storetest.Open(t, storetest.URL(t, storetest.SQLite), store.Options{})
	d.must(d.db.Update(t.Context(), func(tx *store.Tx) error { return tx.AddAccount(t.Context(), account, "a") }))
	master, err := secret.ParseMasterKey(strings.Repeat("01", 32))
	d.must(err)
	box, _, err := master.NewDataKey()
	d.must(err)
	tokens, err := box.Hasher("ci-token")
	d.must(err)
	r, token, err := registry.New(registry.Config{DB: d.db, Tokens: tokens}).AddCI(t.Context(), account, f)
	d.must(err)
	d.path, d.token = fmt.Sprint(ReportsPath, r.ID), token
	d.service = report.New(report.Config{DB: d.db, Tokens: tokens, Log: d.Gate.Log})
	d.service.Start(t.Context())
	t.Cleanup(d.service.Stop)
	d.reports = NewReports(ReportConfig{Gate: d.Gate, Service: d.service, Count: func(code string) { d.counts[code]++ }})
	return d
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// message is a request with the defaults of one that is taken.
type message struct{ method, path, auth, kind, body, from string }

// answer is the document that came back.
type reply struct {
	status              int
	header              http.Header
	Code, Message       string
	RequestID, HostID   string
	Data                map[string]any
	RequestIDFromHeader string
}

func (d *desk) send(m message) reply {
	d.Helper()
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	r := httptest.NewRequestWithContext(d.Context(), or(m.method, http.MethodPost), or(m.path, d.path), strings.NewReader(m.body))
	r.RemoteAddr = or(m.from, "192.0.2.1") + ":1234"
	r.Header.Set("Content-Type", or(m.kind, formType))
	if auth := or(m.auth, "Bearer "+d.token); auth != "-" {
		r.Header.Set("Authorization", auth)
	}
	w := httptest.NewRecorder()
	d.reports.ServeHTTP(w, r)
	a := reply{status: w.Code, header: w.Header(), RequestIDFromHeader: w.Header().Get("X-Acs-Request-Id")}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		d.Fatalf("answer %q: %v", w.Body, err)
	}
	if a.RequestID == "" && a.RequestIDFromHeader == "" {
		d.Errorf("no request id: %s", w.Body)
	}
	return a
}

func TestReports(t *testing.T) {
	t.Parallel()
	d := newDesk(t, registry.Fields{})
	digest := strings.Repeat("ab", 32)
	first := d.send(message{kind: jsonType + "; charset=utf-8", body: `{"Namespace":"team","RepoName":"app","Tag":"v1","Digest":"sha256:` + digest + `","ImageSize":12,"JenkinsEnv":{"job":"a b"},"Uuid":null,"Unknown":1}`})
	again := d.send(message{body: url.Values{"Namespace": {"team"}, "RepoName": {"app"}, "Tag": {"v1"}, "Digest": {digest}, "JenkinsEnv": {"release"}}.Encode()})
	for _, a := range []reply{first, again} {
		if a.status != http.StatusOK || len(fmt.Sprint(a.Data["TaskId"])) != 32 || !strings.HasPrefix(fmt.Sprint(a.Data["RepoId"]), "crr-") || a.Data["RepoRegionId"] != "cn-hangzhou" {
			t.Fatalf("answer %+v", a)
		}
	}
	if first.Data["Uuid"] != again.Data["Uuid"] || first.Data["TaskId"] == again.Data["TaskId"] {
		t.Errorf("the same twice: %v and %v", first.Data, again.Data)
	}
	list, total, err := d.db.Images(t.Context(), account, store.Criteria{}, 1, 10)
	if err != nil || total != 1 || list[0].Size != 12 || list[0].Digest.Wire() != digest {
		t.Errorf("images %+v, %v", list, err)
	}
	if log := d.log.String(); strings.Contains(log, d.token) || !strings.Contains(log, "peer=192.0.2.1 status=200 code=OK") {
		t.Errorf("log:\n%s", log)
	}
}

func TestReportsRefused(t *testing.T) {
	t.Parallel()
	d := newDesk(t, registry.Fields{BlackList: "203.0.113.0/24"})
	tests := map[string]struct {
		message
		status     int
		code, text string
	}{
		"wrong token":         {message{auth: "Bearer c3de8326-273e-41fc-a0e3-d012435c0000", body: "RepoName=app&Tag=1"}, 403, "NoPermission", "caller has no permission"},
		"unknown registry":    {message{path: "/reports/999", body: "RepoName=app&Tag=1"}, 403, "NoPermission", "caller has no permission"},
		"no registry":         {message{path: "/reports/", body: "RepoName=app&Tag=1"}, 403, "NoPermission", "caller has no permission"},
		"no number":           {message{path: "/reports/x/1", body: "RepoName=app&Tag=1"}, 403, "NoPermission", "caller has no permission"},
		"refused address":     {message{from: "203.0.113.9", body: "RepoName=app&Tag=1"}, 403, "NoPermission", "caller has no permission"},
		"refused and unready": {message{auth: "Bearer x", kind: "text/plain", body: "RepoName"}, 403, "NoPermission", "caller has no permission"},
		"no token":            {message{auth: "-", body: "RepoName=app&Tag=1"}, 401, "MissingToken", "Authorization: Bearer"},
		"basic":               {message{auth: "Basic YTpi", body: "RepoName=app&Tag=1"}, 401, "MissingToken", "Authorization: Bearer"},
		"method":              {message{method: http.MethodGet}, 405, "UnsupportedHTTPMethod", "Use POST"},
		"content type":        {message{kind: "text/plain", body: "RepoName=app&Tag=1"}, 415, "UnsupportedMediaType", "application/json or application/x-www-form-urlencoded"},
		"oversized":           {message{body: "RepoName=app&Tag=1&JenkinsEnv=" + strings.Repeat("x", maxReport)}, 400, "RequestTooLarge", "at most 65536 bytes"},
		"query":               {message{path: d.path + "?RepoName=app", body: "RepoName=app&Tag=1"}, 400, "InvalidParameter", "not into its URL"},
		"twice":               {message{body: "RepoName=app&Tag=1&Tag=2"}, 400, "InvalidParameter", "Tag must not be given twice"},
		"twice in JSON":       {message{kind: jsonType, body: `{"RepoName":"app","Tag":"1","Tag":"2"}`}, 400, "InvalidParameter", `"Tag" twice`},
		"no JSON":             {message{kind: jsonType, body: `{"RepoName":`}, 400, "InvalidParameter", "Body must be a JSON object"},
		"a list":              {message{kind: jsonType, body: `[]`}, 400, "InvalidParameter", "Body must be a JSON object"},
		"no form":             {message{body: "RepoName=%zz"}, 400, "InvalidParameter", "Body must be a form"},
		"empty":               {message{}, 400, "MissingRepoName", "RepoName is mandatory"},
		"neither":             {message{body: "RepoName=app"}, 400, "MissingTag", "Tag or Digest is mandatory"},
		"digest":              {message{body: "RepoName=app&Digest=abc"}, 400, "InvalidParameter", "Digest must be 64 hex digits"},
		"size":                {message{body: "RepoName=app&Tag=1&ImageSize=-1"}, 400, "InvalidParameter", "ImageSize must be an integer from 0"},
		"NUL":                 {message{body: "RepoName=app&Tag=1&JenkinsEnv=%00"}, 400, "InvalidParameter", "JenkinsEnv must be valid UTF-8"},
		"long label":          {message{body: "RepoName=app&Tag=1&JenkinsEnv=" + strings.Repeat("x", report.MaxLabel+1)}, 400, "InvalidParameter", "at most 4096 characters"},
	}
	for name, tt := range tests {
		a := d.send(tt.message)
		if a.status != tt.status || a.Code != tt.code || !strings.Contains(a.Message, tt.text) || a.Data != nil {
			t.Errorf("%s: %+v, want %d %s with %q", name, a, tt.status, tt.code, tt.text)
		}
	}
	refused := 0
	for line := range strings.Lines(d.log.String()) {
		if strings.Contains(line, "msg=report ") && strings.Contains(line, "status=403") {
			refused++
			if !strings.Contains(line, `reason="the`) {
				t.Errorf("the log does not say why: %s", line)
			}
		}
	}
	if refused != 6 || !strings.Contains(d.log.String(), "the address is on BlackList") {
		t.Errorf("%d refused, log:\n%s", refused, &d.log)
	}
	if _, total, err := d.db.Images(t.Context(), account, store.Criteria{}, 1, 1); err != nil || total != 0 {
		t.Errorf("%d images, %v", total, err)
	}
}

// Who guesses too often is told to wait; who has the token is not, although it
// comes from the same address.
func TestReportsThrottled(t *testing.T) {
	t.Parallel()
	d := newDesk(t, registry.Fields{})
	guess := message{auth: "Bearer guess", body: "RepoName=app&Tag=1"}
	for range refusalBurst {
		d.send(guess)
	}
	a := d.send(guess)
	if a.status != http.StatusTooManyRequests || a.Code != "Throttling" || a.header.Get("X-Acs-Retry-After") != "1000" || a.header.Get("Retry-After") != "1" {
		t.Errorf("answer %+v", a)
	}
	if a := d.send(message{body: "RepoName=app&Tag=1"}); a.status != http.StatusOK {
		t.Errorf("with the token: %+v", a)
	}
	if want := map[string]int{"NoPermission": refusalBurst, "Throttling": 1, "OK": 1}; !maps.Equal(d.counts, want) {
		t.Errorf("counted %v, want %v", d.counts, want)
	}
}

// A store that cannot be written to is told as it is, and nothing more.
func TestReportsWithoutStore(t *testing.T) {
	t.Parallel()
	d := newDesk(t, registry.Fields{})
	d.service.Stop()
	if a := d.send(message{body: "RepoName=app&Tag=1"}); a.status != http.StatusServiceUnavailable || a.Code != "ServiceUnavailable" {
		t.Errorf("answer %+v", a)
	}
}

func FuzzReport(f *testing.F) {
	f.Add(formType, "RepoName=app&Tag=v1&Digest=00")
	f.Add(jsonType, `{"RepoName":"app","ImageSize":1,"JenkinsEnv":{"a":[1]}}`)
	f.Add(jsonType, `{"RepoName":"app","RepoName":"b"}`)
	f.Add("text/plain", "x")
	decode := rpc.Decoder[report.Fields]("report")
	f.Fuzz(func(t *testing.T, kind, body string) {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/reports/1", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		values, err := valuesOf(httptest.NewRecorder(), r)
		if err != nil {
			return
		}
		if fields, err := decode(values); err == nil && fields.RepoName == "" {
			t.Errorf("%q is a report of nothing", body)
		}
	})
}
