// Package clients calls a served Portolan with the official Go SDKs: the V1
// SDK, which signs in the parameters, and the V2 engine, which signs in the
// headers. scripts/clients.sh starts the server and says where it is.
package clients

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"
	sdkerrors "github.com/aliyun/alibaba-cloud-sdk-go/sdk/errors"
	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/requests"
)

// What scripts/clients.sh has prepared: 25 registries of the types harbor,
// quay and oci, one of them named 镜像仓库-生产.
const (
	prepared = 25
	harbors  = 10
	cjkName  = "镜像仓库-生产"
)

type key struct{ id, secret, token string }

// failure is what a client makes of an error answer.
type failure struct {
	Code      string
	Status    int
	Message   string
	RequestID string
	Denied    string
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s: %s", f.Status, f.Code, f.Message) }

type page struct {
	List []struct {
		ID           int64 `json:"Id"`
		RegistryName string
		RegistryType string
		ImageCount   int
		Password     string
		SyncStatus   string
	}
	PageInfo  struct{ Count, CurrentPage, PageSize, TotalCount int }
	RequestID string `json:"RequestId"`
}

// caller calls an operation of Sas and decodes its answer.
type caller func(k key, endpoint, action string, params map[string]any, into any) error

func setting(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Skipf("%s is not set: run scripts/clients.sh", name)
	}
	return v
}

func root(t *testing.T) key {
	return key{id: setting(t, "CLIENTS_ROOT_ID"), secret: setting(t, "CLIENTS_ROOT_SECRET")}
}

func callV1(k key, endpoint, action string, params map[string]any, into any) error {
	credential := credentials.NewAccessKeyCredential(k.id, k.secret)
	var client *sdk.Client
	var err error
	if k.token != "" {
		client, err = sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme("http"), credentials.NewStsTokenCredential(k.id, k.secret, k.token))
	} else {
		client, err = sdk.NewClientWithOptions("cn-hangzhou", sdk.NewConfig().WithScheme("http"), credential)
	}
	if err != nil {
		return err
	}
	req := requests.NewCommonRequest()
	req.Method, req.Scheme, req.Domain, req.Version, req.ApiName = "POST", "http", endpoint, "2018-12-03", action
	for name, v := range params {
		if list, ok := v.([]string); ok {
			for i, item := range list {
				req.FormParams[fmt.Sprintf("%s.%d", name, i+1)] = item
			}
			continue
		}
		req.FormParams[name] = fmt.Sprint(v)
	}
	resp, err := client.ProcessCommonRequest(req)
	if err != nil {
		var e *sdkerrors.ServerError
		if !errors.As(err, &e) {
			return err
		}
		denied, _ := json.Marshal(e.AccessDeniedDetail())
		return &failure{Code: e.ErrorCode(), Status: e.HttpStatus(), Message: e.Message(), RequestID: e.RequestId(), Denied: string(denied)}
	}
	return json.Unmarshal(resp.GetHttpContentBytes(), into)
}

func callV2(k key, endpoint, action string, params map[string]any, into any) error {
	config := &openapi.Config{AccessKeyId: &k.id, AccessKeySecret: &k.secret, Endpoint: &endpoint, Protocol: tea.String("http")}
	if k.token != "" {
		config.SecurityToken = &k.token
	}
	client, err := openapi.NewClient(config)
	if err != nil {
		return err
	}
	resp, err := client.CallApi(&openapi.Params{
		Action: &action, Version: tea.String("2018-12-03"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json"),
	}, &openapi.OpenApiRequest{Body: params}, &util.RuntimeOptions{})
	if err != nil {
		var e *tea.SDKError
		if !errors.As(err, &e) {
			return err
		}
		f := &failure{Code: tea.StringValue(e.Code), Status: tea.IntValue(e.StatusCode), Message: tea.StringValue(e.Message)}
		f.Denied = tea.StringValue(e.Data)
		return f
	}
	b, err := json.Marshal(resp["body"])
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func each(t *testing.T, test func(t *testing.T, call caller)) {
	t.Helper()
	for name, call := range map[string]caller{"V1": callV1, "V2": callV2} {
		t.Run(name, func(t *testing.T) { test(t, call) })
	}
}

func TestLists(t *testing.T) {
	each(t, func(t *testing.T, call caller) {
		var all, in, notIn, none page
		ep := setting(t, "CLIENTS_ENDPOINT")
		for _, c := range []struct {
			params map[string]any
			into   *page
		}{
			{map[string]any{}, &all},
			{map[string]any{"RegistryTypeInList": []string{"harbor", "CI/CD"}}, &in},
			{map[string]any{"RegistryTypeNotInList": []string{"harbor"}, "PageSize": 100}, &notIn},
			{map[string]any{"RegistryTypeInList": []string{"nexus"}}, &none},
		} {
			if err := call(root(t), ep, "PageImageRegistry", c.params, c.into); err != nil {
				t.Fatal(err)
			}
		}
		if all.PageInfo.TotalCount != prepared || all.PageInfo.Count != 20 || len(all.List) != 20 || all.RequestID == "" {
			t.Errorf("all: %+v", all.PageInfo)
		}
		if in.PageInfo.TotalCount != harbors || notIn.PageInfo.TotalCount != prepared-harbors || len(notIn.List) != prepared-harbors {
			t.Errorf("in %+v, not in %+v", in.PageInfo, notIn.PageInfo)
		}
		if none.PageInfo.TotalCount != 0 || none.List == nil {
			t.Errorf("a type that does not exist: %+v", none)
		}
		for _, r := range all.List {
			if r.ID == 0 || r.RegistryName == "" || r.SyncStatus == "" || r.Password != "" && r.Password != "******" {
				t.Errorf("row: %+v", r)
			}
		}
	})
}

func TestFuzzyName(t *testing.T) {
	each(t, func(t *testing.T, call caller) {
		for like, want := range map[string]int{"像仓": 1, "REG-0": 9, "%": 0, "": prepared} {
			var p page
			if err := call(root(t), setting(t, "CLIENTS_ENDPOINT"), "PageImageRegistry", map[string]any{"RegistryNameLike": like}, &p); err != nil {
				t.Fatal(err)
			}
			if p.PageInfo.TotalCount != want {
				t.Errorf("RegistryNameLike %q: %d, want %d", like, p.PageInfo.TotalCount, want)
			}
			if want == 1 && p.List[0].RegistryName != cjkName {
				t.Errorf("name %q", p.List[0].RegistryName)
			}
		}
	})
}

func TestPagingToTheEnd(t *testing.T) {
	each(t, func(t *testing.T, call caller) {
		seen := map[int64]bool{}
		for n := 1; n <= prepared; n++ {
			var p page
			if err := call(root(t), setting(t, "CLIENTS_ENDPOINT"), "PageImageRegistry", map[string]any{"CurrentPage": n, "PageSize": 7}, &p); err != nil {
				t.Fatal(err)
			}
			if p.PageInfo.TotalCount != prepared || p.PageInfo.CurrentPage != n {
				t.Fatalf("page %d: %+v", n, p.PageInfo)
			}
			for _, r := range p.List {
				seen[r.ID] = true
			}
			if len(p.List) == 0 {
				break
			}
		}
		if len(seen) != prepared {
			t.Errorf("%d distinct registries on all pages, want %d", len(seen), prepared)
		}
	})
}

func TestRefusals(t *testing.T) {
	each(t, func(t *testing.T, call caller) {
		ep, good := setting(t, "CLIENTS_ENDPOINT"), root(t)
		for name, c := range map[string]struct {
			key    key
			code   string
			status int
		}{
			"wrong secret": {key{id: good.id, secret: "wrong"}, "SignatureDoesNotMatch", 400},
			"unknown key":  {key{id: "LTAI5tUnknownUnknownUnkn", secret: "x"}, "InvalidAccessKeyId.NotFound", 404},
			"token":        {key{id: good.id, secret: good.secret, token: "not-a-token"}, "InvalidSecurityToken.Malformed", 400},
			"denied":       {key{id: setting(t, "CLIENTS_DENIED_ID"), secret: setting(t, "CLIENTS_DENIED_SECRET")}, "NoPermission", 403},
		} {
			var p page
			err := call(c.key, ep, "PageImageRegistry", map[string]any{}, &p)
			var f *failure
			if !errors.As(err, &f) || f.Code != c.code || f.Status != c.status {
				// The V1 SDK knows a wrong secret by the string to sign, and renames it.
				if name == "wrong secret" && f != nil && strings.Contains(f.Error(), "SignatureDoesNotMatch") {
					continue
				}
				t.Errorf("%s: got %v, want %d %s", name, err, c.status, c.code)
				continue
			}
			if name == "denied" && !strings.Contains(f.Denied, "yundun-sas:PageImageRegistry") {
				t.Errorf("AccessDeniedDetail: %s", f.Denied)
			}
		}
	})
}

func TestThrottling(t *testing.T) {
	each(t, func(t *testing.T, call caller) {
		ep := setting(t, "CLIENTS_THROTTLED_ENDPOINT")
		k := key{id: setting(t, "CLIENTS_THROTTLED_ID"), secret: setting(t, "CLIENTS_THROTTLED_SECRET")}
		for range 20 {
			var p page
			err := call(k, ep, "PageImageRegistry", map[string]any{}, &p)
			var f *failure
			if errors.As(err, &f) {
				if f.Code != "Throttling.User" || f.Status != 400 {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		t.Error("20 calls at once were not throttled to 1 a second")
	})
}
