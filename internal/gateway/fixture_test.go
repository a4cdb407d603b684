package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/sign"
)

// pageRequest and pageRow have the shape of the vendor's PageImageRegistry.
type pageRequest struct {
	rpc.Paging         `in:"body"`
	RegistryNameLike   string   `range:",256"`
	RegistryTypeInList []string `in:"body"`
	NotInList          []string `rpc:"RegistryTypeNotInList"`
	SourceIP           string   `rpc:"SourceIp"`
}

type pageRow struct {
	BlackList, DomainName, GmtCreate, GmtModified string
	ID                                            int64 `json:"Id"`
	ImageCount                                    int
	JenkinsEnv                                    string
	NetType                                       int
	Password                                      string `json:",omitempty"`
	PersistenceDay, ProtocolType                  int
	RegionID                                      string `json:"RegionId"`
	RegistryHostIP                                string `json:"RegistryHostIp"`
	RegistryName, RegistryType                    string
	Token                                         string `json:",omitempty"`
	TransPerHour                                  int
	UserName                                      string
	VpcID                                         string `json:"VpcId"`
	WhiteList, SyncStatus                         string
	LastSyncTime                                  string `json:",omitempty"`
	SyncErrorCode                                 string `json:",omitempty"`
	SyncErrorMessage                              string `json:",omitempty"`
}

type pageInfo struct{ Count, CurrentPage, PageSize, TotalCount int }

type pageResponse struct {
	List     []pageRow
	PageInfo pageInfo
}

type listRow struct{ N int }

type listResponse struct {
	Items rpc.Seq[listRow]
	Total int
}

type emptyRequest struct{}

func row(i int) pageRow {
	return pageRow{
		DomainName: fmt.Sprintf("registry-%d.example.com", i), GmtCreate: "2026-11-24 10:00:00",
		GmtModified: "2026-11-24 10:00:00", ID: 1_000_000 + int64(i), ImageCount: 17 * i, NetType: 1,
		Password: "******", PersistenceDay: 30, ProtocolType: 2, RegionID: "cn-hangzhou",
		RegistryName: "镜像 team \"core\"", RegistryType: "harbor", TransPerHour: 30, UserName: "robot$reader",
		SyncStatus: "ok", LastSyncTime: "2026-11-24 11:00:00",
	}
}

func spec(name string, access rpc.Access) rpc.Spec {
	return rpc.Spec{Name: name, Product: "Sas", Version: "2018-12-03", Action: "yundun-sas:" + name, Access: access}
}

type handler[Req, Resp any] func(context.Context, *rpc.Caller, *Req) (*Resp, error)

func operationOf[Req, Resp any](s rpc.Spec, handle handler[Req, Resp]) rpc.Endpoint {
	return rpc.Operation[Req, Resp]{Spec: s, Handle: handle}.Endpoint()
}

func pageOperation(handle handler[pageRequest, pageResponse]) rpc.Endpoint {
	return operationOf(spec("PageImageRegistry", rpc.List), handle)
}

func rows(_ context.Context, _ *rpc.Caller, req *pageRequest) (*pageResponse, error) {
	resp := &pageResponse{PageInfo: pageInfo{Count: req.PageSize, CurrentPage: req.CurrentPage, PageSize: req.PageSize, TotalCount: 69}}
	for i := range req.PageSize {
		resp.List = append(resp.List, row(i))
	}
	return resp, nil
}

var errSecretDetail = errors.New("pq: password of portolan is hunter2")

func failing(err error) handler[emptyRequest, emptyRequest] {
	return func(context.Context, *rpc.Caller, *emptyRequest) (*emptyRequest, error) { return nil, err }
}

// streaming yields n rows and then an error, if there is one.
func streaming(n int, err error) handler[emptyRequest, listResponse] {
	return func(context.Context, *rpc.Caller, *emptyRequest) (*listResponse, error) {
		return &listResponse{Total: n, Items: func(yield func(listRow, error) bool) {
			for i := range n {
				if !yield(listRow{i}, nil) {
					return
				}
			}
			if err != nil {
				yield(listRow{}, err)
			}
		}}, nil
	}
}

func endpoints() []rpc.Endpoint {
	ram := spec("GetUser", rpc.Read)
	ram.Product, ram.Version = "Ram", "2015-05-01"
	return []rpc.Endpoint{
		pageOperation(rows),
		operationOf(spec("Nothing", rpc.Read), failing(nil)),
		operationOf(spec("Fails", rpc.Read), failing(errSecretDetail)),
		operationOf(ram, failing(errSecretDetail)),
		operationOf(spec("Unknown", rpc.Read), failing(fmt.Errorf("find it: %w", portolan.ErrRegistryNotExist))),
		operationOf(spec("Panics", rpc.Read), func(context.Context, *rpc.Caller, *emptyRequest) (*emptyRequest, error) {
			var none []string
			return nil, errors.New(none[len("hunter2")])
		}),
		operationOf(spec("Stream", rpc.List), streaming(50_000, nil)),
		operationOf(spec("ShortStream", rpc.List), streaming(3, nil)),
		operationOf(spec("BreaksEarly", rpc.List), streaming(3, errSecretDetail)),
		operationOf(spec("BreaksLate", rpc.List), streaming(50_000, errSecretDetail)),
	}
}

var (
	testKey = sign.Key{ID: "LTAI5tExampleKeyId0001", Secret: "ExampleSecret0001ExampleSecret01"}
	clock   = time.Date(2026, 11, 24, 2, 27, 0, 0, time.UTC)
)

// authenticate knows one key and checks signatures, but neither time nor nonce.
func authenticate(_ context.Context, s *sign.Signature, _ rpc.Access, _ netip.Addr) (portolan.Principal, error) {
	if s.AccessKeyID != testKey.ID {
		return portolan.Principal{}, &portolan.Error{Code: "InvalidAccessKeyId.NotFound", Status: 404, Message: "Specified access key is not found."}
	}
	if err := s.Verify(testKey.Secret); err != nil {
		return portolan.Principal{}, err
	}
	return portolan.Principal{AccountID: 1234567890123456, AccessKeyID: s.AccessKeyID}, nil
}

func permit(context.Context, *rpc.Caller, *rpc.Spec) error { return nil }

type setup struct {
	*Gateway
	log *bytes.Buffer
}

func newSetup(change func(*Config)) *setup {
	s := &setup{log: new(bytes.Buffer)}
	var ids atomic.Int64
	cfg := Config{
		Catalog: rpc.NewCatalog(endpoints()), Authenticate: authenticate, Authorize: permit,
		Log: slog.New(slog.NewTextHandler(s.log, nil)), Now: func() time.Time { return clock },
		RequestID: func() string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", ids.Add(1)) },
	}
	if change != nil {
		change(&cfg)
	}
	s.Gateway = New(cfg)
	return s
}

// signed makes a signed request: params go into the query, body is a form.
func signed(t testing.TB, algorithm sign.Algorithm, action, format, params, body string) *http.Request {
	t.Helper()
	version := "2018-12-03"
	if action == "GetUser" {
		version = "2015-05-01"
	}
	r, err := sign.Sign(
		&sign.Request{Method: "POST", Path: "/", RawQuery: params, Host: "sas.example.com", Body: []byte(body)},
		testKey, sign.Call{Algorithm: algorithm, Action: action, Version: version, Format: format, Time: clock, Nonce: "n-1"},
	)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(t.Context(), r.Method, "http://sas.example.com/?"+r.RawQuery, strings.NewReader(body))
	req.Header = r.Header
	req.RemoteAddr = "192.0.2.7:4711"
	return req
}

func (s *setup) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}
