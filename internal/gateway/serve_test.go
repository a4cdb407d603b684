package gateway

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/sign"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	unsigned := func(method, target, body string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			t.Helper()
			return httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
		}
	}
	v1 := func(action, params, body string) func(*testing.T) *http.Request {
		return func(t *testing.T) *http.Request {
			t.Helper()
			return signed(t, sign.HMACSHA1, action, "JSON", params, body)
		}
	}
	tests := map[string]struct {
		request func(*testing.T) *http.Request
		status  int
		code    string
		message string
	}{
		"OPTIONS":           {unsigned("OPTIONS", "/", ""), 400, "UnsupportedHTTPMethod", "This http method is not supported. Use GET or POST."},
		"PUT":               {unsigned("PUT", "/", ""), 400, "UnsupportedHTTPMethod", "This http method is not supported. Use GET or POST."},
		"other path":        {unsigned("GET", "/sas?Action=PageImageRegistry", ""), 404, "InvalidApi.NotFound", "Specified api is not found, please check your url and method."},
		"no action":         {unsigned("GET", "/?Version=2018-12-03", ""), 400, "MissingAction", "Action is mandatory for this action."},
		"no version":        {unsigned("GET", "/?Action=PageImageRegistry", ""), 400, "MissingVersion", "Version is mandatory for this action."},
		"unknown version":   {unsigned("GET", "/?Action=PageImageRegistry&Version=2018-12-04", ""), 400, "InvalidVersion", "Specified parameter Version is not valid."},
		"unknown action":    {unsigned("GET", "/?Action=Page&Version=2018-12-03", ""), 404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."},
		"unsigned":          {unsigned("POST", "/?Action=PageImageRegistry&Version=2018-12-03", ""), 400, "MissingAccessKeyId", "AccessKeyId is mandatory for this action."},
		"body too large":    {unsigned("POST", "/", strings.Repeat("x", maxBody+1)), 400, "RequestTooLarge", "The request body must be at most 1048576 bytes."},
		"query and form":    {unsigned("POST", "/?A=1", "A=1"), 400, "InvalidParameter", "A is given twice; send it once, in the query or in the body"},
		"validation":        {v1("PageImageRegistry", "PageSize=0", ""), 400, "InvalidParameter", "PageSize must be an integer from 1 to 1000"},
		"validation, form":  {v1("PageImageRegistry", "", "PageSize=1001"), 400, "InvalidParameter", "PageSize must be an integer from 1 to 1000"},
		"wire error":        {v1("Unknown", "", ""), 400, "RegistryNotExist", "The specified registry does not exist."},
		"internal error":    {v1("Fails", "", ""), 500, "ServerError", "ServerError"},
		"internal, Ram":     {v1("GetUser", "", ""), 500, "InternalError", "The request processing has failed due to some unknown error, exception or failure."},
		"panic":             {v1("Panics", "", ""), 500, "ServerError", "ServerError"},
		"stream fails soon": {v1("BreaksEarly", "", ""), 500, "ServerError", "ServerError"},
		"format": {func(t *testing.T) *http.Request {
			t.Helper()
			return signed(t, sign.HMACSHA1, "PageImageRegistry", "YAML", "", "")
		}, 400, "InvalidParameter.Format", "Specified parameter format is not valid. Use JSON or XML."},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(nil)
			r := tt.request(t)
			w := s.do(r)
			want := map[string]any{
				"RequestId": "00000000-0000-4000-8000-000000000001", "HostId": r.Host,
				"Code": tt.code, "Message": tt.message, "Recommend": "",
			}
			if diff := cmp.Diff(want, decodeJSON(t, w.Body)); diff != "" || w.Code != tt.status {
				t.Errorf("status %d, want %d; %s", w.Code, tt.status, diff)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json;charset=utf-8" {
				t.Errorf("content type %q", got)
			}
			if got := w.Header().Get("X-Acs-Request-Id"); got != want["RequestId"] {
				t.Errorf("x-acs-request-id %q", got)
			}
		})
	}
}

func decodeJSON(t *testing.T, r io.Reader) map[string]any {
	t.Helper()
	var document map[string]any
	text, _ := io.ReadAll(r)
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return document
}

func TestInternalErrorsAreLoggedOnceAndNotShown(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"Fails", "Panics", "BreaksEarly", "GetUser"} {
		s := newSetup(nil)
		w := s.do(signed(t, sign.ACS3SHA256, action, "", "", ""))
		log := s.log.String()
		if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "goroutine") {
			t.Errorf("%s: shown: %s", action, w.Body)
		}
		if strings.Count(log, `msg="call failed"`) != 1 || !strings.Contains(log, "request_id=00000000-0000-4000-8000-000000000001") {
			t.Errorf("%s: logged: %s", action, log)
		}
		if stack := strings.Contains(log, "fixture_test.go"); stack != (action == "Panics") {
			t.Errorf("%s: a stack is %v in %s", action, stack, log)
		}
	}
}

func TestOrderOfSteps(t *testing.T) {
	t.Parallel()
	var steps []string
	s := newSetup(func(c *Config) {
		c.ThrottleUser = 1
		c.Authenticate = func(ctx context.Context, s *sign.Signature, access rpc.Access, peer netip.Addr) (portolan.Principal, error) {
			steps = append(steps, "authenticate "+string(access)+" "+peer.String())
			return authenticate(ctx, s, access, peer)
		}
		c.Authorize = func(_ context.Context, c *rpc.Caller, op *rpc.Spec) error {
			steps = append(steps, "authorize "+op.Action+" "+c.Principal.AccessKeyID)
			return portolan.ErrNoPermission
		}
	})
	// Wrong parameters are only told to those who may call.
	w := s.do(signed(t, sign.ACS3SHA256, "PageImageRegistry", "", "PageSize=0", ""))
	if w.Code != http.StatusForbidden {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = s.do(signed(t, sign.ACS3SHA256, "PageImageRegistry", "", "", ""))
	if !strings.Contains(w.Body.String(), "Throttling.User") || w.Header().Get("X-Acs-Retry-After") != "1000" {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
	want := []string{
		"authenticate list 192.0.2.7", "authorize yundun-sas:PageImageRegistry " + testKey.ID,
		"authenticate list 192.0.2.7",
	}
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Error(diff)
	}
}

func TestAccessDeniedDetail(t *testing.T) {
	t.Parallel()
	denied := *portolan.ErrNoPermission
	denied.Denied = &portolan.AccessDenied{PolicyType: "AccountLevelIdentityBasedPolicy", AuthPrincipalOwnerID: "1", NoPermissionType: "ImplicitDeny"}
	s := newSetup(func(c *Config) {
		c.Authorize = func(context.Context, *rpc.Caller, *rpc.Spec) error { return &denied }
	})
	got := decodeJSON(t, s.do(signed(t, sign.HMACSHA256, "Nothing", "json", "", "")).Body)
	want := map[string]any{
		"PolicyType": "AccountLevelIdentityBasedPolicy", "AuthPrincipalOwnerId": "1", "NoPermissionType": "ImplicitDeny",
		"AuthPrincipalType": "", "AuthPrincipalDisplayName": "", "AuthAction": "",
	}
	if diff := cmp.Diff(want, got["AccessDeniedDetail"]); diff != "" || got["Code"] != "NoPermission" {
		t.Errorf("%v %s", got, diff)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		algorithm sign.Algorithm
		format    string
		xml       bool
	}{
		"V3":               {sign.ACS3SHA256, "", false},
		"V1 JSON":          {sign.HMACSHA1, "JSON", false},
		"V1 json":          {sign.HMACSHA1, "json", false},
		"V1 XML":           {sign.HMACSHA1, "xml", true},
		"V1 without":       {sign.HMACSHA1, "", true},
		"V1 SHA256 as XML": {sign.HMACSHA256, "XML", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(nil)
			for action, root := range map[string]string{"PageImageRegistry": "PageImageRegistryResponse", "Unknown": "Error"} {
				w := s.do(signed(t, tt.algorithm, action, tt.format, "", ""))
				if !tt.xml {
					decodeJSON(t, w.Body)
					continue
				}
				var document struct {
					XMLName   xml.Name
					RequestID string `xml:"RequestId"`
					List      []struct{ RegistryName string }
				}
				if err := xml.Unmarshal(w.Body.Bytes(), &document); err != nil {
					t.Fatal(err)
				}
				if document.XMLName.Local != root || document.RequestID == "" || len(document.List) != 20 && root != "Error" {
					t.Errorf("got %+v", document)
				}
				if got := w.Header().Get("Content-Type"); got != "text/xml;charset=utf-8" {
					t.Errorf("content type %q", got)
				}
			}
		})
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"": false, "identity": false, "gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false,
		"gzip; q=0.0": false, "*": false, "br": false, "x-gzip": false,
	} {
		for action, long := range map[string]bool{"PageImageRegistry": true, "Nothing": false, "Stream": true} {
			r := signed(t, sign.ACS3SHA256, action, "", "", "")
			r.Header.Set("Accept-Encoding", accept)
			w := newSetup(nil).do(r)
			if got := w.Header().Get("Content-Encoding") == "gzip"; got != (want && long) {
				t.Errorf("%s, Accept-Encoding %q: gzip is %v", action, accept, got)
				continue
			}
			var body io.Reader = w.Body
			if want && long {
				var err error
				if body, err = gzip.NewReader(w.Body); err != nil {
					t.Fatal(err)
				}
			}
			decodeJSON(t, body)
		}
	}
}

func TestStreamIsSentInPieces(t *testing.T) {
	t.Parallel()
	for action, rows := range map[string]int{"Stream": 50_000, "ShortStream": 3} {
		w := newSetup(nil).do(signed(t, sign.ACS3SHA256, action, "", "", ""))
		if short := w.Header().Get("Content-Length") != ""; short != (rows == 3) {
			t.Errorf("%s: Content-Length %q", action, w.Header().Get("Content-Length"))
		}
		var document struct {
			Items     []listRow
			Total     int
			RequestID string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		if len(document.Items) != rows || document.Items[rows-1].N != rows-1 || document.Total != rows || document.RequestID == "" {
			t.Errorf("%s: got %d items of %d", action, len(document.Items), document.Total)
		}
	}
}

func TestStreamThatFailsLateIsCut(t *testing.T) {
	t.Parallel()
	s := newSetup(nil)
	server := httptest.NewServer(s)
	defer server.Close()
	r := signed(t, sign.HMACSHA1, "BreaksLate", "JSON", "", "")
	target := *r.URL
	target.Host = strings.TrimPrefix(server.URL, "http://")
	out, err := http.NewRequestWithContext(t.Context(), "POST", target.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("Accept-Encoding", "identity") // a cut gzip stream is an error in any case
	answer, err := server.Client().Do(out)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if _, err := io.Copy(io.Discard, answer.Body); err == nil {
		t.Error("a list that failed looks complete")
	}
	server.Close()
	if !strings.Contains(s.log.String(), "call failed") {
		t.Errorf("log: %s", s.log)
	}
}

func TestWriteOutlivesItsClient(t *testing.T) {
	t.Parallel()
	for access, survives := range map[rpc.Access]bool{rpc.Write: true, rpc.Read: false, rpc.List: false} {
		t.Run(string(access), func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			done := false
			s := newSetup(func(c *Config) {
				c.Catalog = rpc.NewCatalog([]rpc.Endpoint{operationOf(spec("Change", access),
					func(ctx context.Context, _ *rpc.Caller, _ *emptyRequest) (*emptyRequest, error) {
						leave()
						if err := ctx.Err(); err != nil {
							return nil, err
						}
						if _, bounded := ctx.Deadline(); !bounded {
							return nil, errors.New("no deadline")
						}
						done = true
						return nil, nil
					})})
			})
			defer func() {
				if p := recover(); (p == nil) != survives {
					t.Errorf("the connection was cut: %v", p)
				}
				if done != survives {
					t.Errorf("done: %v", done)
				}
				if gone := strings.Contains(s.log.String(), "code=ClientGone"); gone == survives || strings.Contains(s.log.String(), "call failed") {
					t.Errorf("log: %s", s.log)
				}
			}()
			s.do(signed(t, sign.ACS3SHA256, "Change", "", "", "").WithContext(ctx))
		})
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := newSetup(func(c *Config) { c.Proxies = Proxies{netip.MustParsePrefix("192.0.2.0/24")} })
	r := signed(t, sign.HMACSHA1, "PageImageRegistry", "JSON", "SourceIp=203.0.113.9&RegistryNameLike=canary", "")
	r.Header.Set("X-Forwarded-For", "198.51.100.4")
	s.do(r)
	for _, want := range []string{
		"level=INFO", "request_id=00000000-0000-4000-8000-000000000001", "operation=Sas:PageImageRegistry",
		"access_key=" + testKey.ID, "peer=198.51.100.4", "claimed_source=203.0.113.9", "status=200", "code=OK", "took=",
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("no %s in %s", want, s.log)
		}
	}
	for _, secret := range []string{"canary", "Signature", testKey.Secret} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%s in %s", secret, s.log)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := newSetup(func(c *Config) { c.Metrics = registry })
	s.do(signed(t, sign.ACS3SHA256, "Nothing", "", "", ""))
	s.do(signed(t, sign.ACS3SHA256, "Nothing", "", "", ""))
	s.do(signed(t, sign.ACS3SHA256, "Unknown", "", "", ""))
	forged := signed(t, sign.ACS3SHA256, "Nothing", "", "", "")
	forged.Header.Set("X-Acs-Date", "2026-11-24T02:27:01Z")
	s.do(forged)
	s.do(httptest.NewRequestWithContext(t.Context(), "GET", "/?Action=Made.Up&Version=1", nil))
	want := map[string]float64{
		"portolan_calls_total{InvalidVersion,,}":                        1,
		"portolan_calls_total{OK,Nothing,Sas}":                          2,
		"portolan_calls_total{RegistryNotExist,Unknown,Sas}":            1,
		"portolan_calls_total{SignatureDoesNotMatch,Nothing,Sas}":       1,
		"portolan_authentication_failures_total{SignatureDoesNotMatch}": 1,
		"portolan_call_duration_seconds{,}":                             1,
		"portolan_call_duration_seconds{Nothing,Sas}":                   3,
		"portolan_call_duration_seconds{Unknown,Sas}":                   1,
	}
	if diff := cmp.Diff(want, gather(t, registry)); diff != "" {
		t.Error(diff)
	}
}

// gather answers the value of each counter and the count of each histogram, by
// name and label values.
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			values[name] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestExtraHandlers(t *testing.T) {
	t.Parallel()
	var hits []string
	mark := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hits = append(hits, name+" "+r.URL.Path) })
	}
	s := newSetup(func(c *Config) {
		c.Extra = map[string]http.Handler{"/hooks/": mark("hooks"), "/hooks/deep/": mark("deep"), "/reports": mark("reports")}
	})
	for _, path := range []string{"/hooks/1/secret", "/hooks/", "/hooks/deep/x/y", "/reports"} {
		s.do(httptest.NewRequestWithContext(t.Context(), "PUT", path, nil))
	}
	for _, path := range []string{"/hooks", "/reports/1", "/other", "//hooks", "/"} {
		if w := s.do(httptest.NewRequestWithContext(t.Context(), "POST", path, nil)); w.Code == http.StatusOK || w.Code >= 300 && w.Code < 400 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	want := []string{"hooks /hooks/1/secret", "hooks /hooks/", "deep /hooks/deep/x/y", "reports /reports"}
	if !slices.Equal(hits, want) {
		t.Errorf("got %q", hits)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$`)
	a, b := newRequestID(), newRequestID()
	if !form.MatchString(a) || a == b {
		t.Errorf("got %s and %s", a, b)
	}
}

func TestThrottleIsPerKey(t *testing.T) {
	t.Parallel()
	key := "a"
	s := newSetup(func(c *Config) {
		c.ThrottleUser = 1
		c.Authenticate = func(context.Context, *sign.Signature, rpc.Access, netip.Addr) (portolan.Principal, error) {
			return portolan.Principal{AccountID: 1, AccessKeyID: key}, nil
		}
	})
	for _, step := range []struct {
		key    string
		status int
	}{{"a", 200}, {"b", 200}, {"a", 400}, {"b", 400}} {
		key = step.key
		if w := s.do(signed(t, sign.ACS3SHA256, "Nothing", "", "", "")); w.Code != step.status {
			t.Errorf("key %s: got %d, want %d", key, w.Code, step.status)
		}
	}
}

func TestFormatOfRequestsThatCannotBeParsed(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"Format=XML": "text/xml;charset=utf-8", "A=1&Format=%58ml": "text/xml;charset=utf-8",
		"Format=JSON": "application/json;charset=utf-8", "NotFormat=XML": "application/json;charset=utf-8",
		"": "application/json;charset=utf-8",
	} {
		w := newSetup(nil).do(httptest.NewRequestWithContext(t.Context(), "POST", "/?"+query, nil))
		if got := w.Header().Get("Content-Type"); got != want || w.Code != http.StatusBadRequest {
			t.Errorf("%q: got %d %s", query, w.Code, got)
		}
	}
}
