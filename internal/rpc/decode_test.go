package rpc

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan"
)

type label struct {
	Key   string   `required:"true"`
	Value string   `range:",8"`
	Parts []string `rpc:"Part"`
}

type request struct {
	Paging   `in:"body"`
	Name     string   `rpc:"RegistryNameLike" range:",5"`
	Types    []string `rpc:"TypeInList" range:",3" enum:"harbor,CI/CD,quay,acr"`
	Net      *int     `rpc:"NetType" enum:"1,2"`
	Size     int64
	Small    int32
	Full     bool
	New      *string                 `rpc:"NewName,keepempty"`
	Kind     portolan.RegistryType   `default:"harbor"`
	Kinds    []portolan.RegistryType `rpc:"Kinds"`
	Numbers  []int64
	Labels   []label `rpc:"Label"`
	Optional *bool
}

func endpoint(t *testing.T, got *request) Endpoint {
	t.Helper()
	return Operation[request, struct{}]{
		Spec: Spec{Name: "Op", Product: "Sas", Version: "2018-12-03", Action: "yundun-sas:Op", Access: Read},
		Handle: func(_ context.Context, _ *Caller, req *request) (*struct{}, error) {
			*got = *req
			return nil, nil
		},
	}.Endpoint()
}

func base() request {
	return request{Paging: Paging{CurrentPage: 1, PageSize: 20}, Kind: portolan.Harbor}
}

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		values Values
		want   func(*request)
	}{
		"nothing":            {Values{}, func(*request) {}},
		"unknown is ignored": {Values{"Unknown": "1", "Un.1": "2", "Types.1": "x", "RegionId": "cn"}, func(*request) {}},
		"empty is absent":    {Values{"PageSize": "", "TypeInList": "", "TypeInList.1": "", "NetType": "", "Kind": ""}, func(*request) {}},
		"scalars": {Values{"PageSize": "1000", "Size": "-9007199254740993", "Small": "-1", "Full": "True", "Kind": "oci"}, func(r *request) {
			r.PageSize, r.Size, r.Small, r.Full, r.Kind = 1000, -9007199254740993, -1, true, "oci"
		}},
		"words of pop-core":    {Values{"RegistryNameLike": "null"}, func(r *request) { r.Name = "null" }},
		"characters not bytes": {Values{"RegistryNameLike": "镜像🚀ñx"}, func(r *request) { r.Name = "镜像🚀ñx" }},
		"pointer given":        {Values{"NetType": "2", "Optional": "false"}, func(r *request) { r.Net, r.Optional = new(2), new(false) }},
		"keepempty given":      {Values{"NewName": ""}, func(r *request) { r.New = new("") }},
		"bare list":            {Values{"TypeInList": "harbor"}, func(r *request) { r.Types = []string{"harbor"} }},
		"numbered list":        {Values{"TypeInList.1": "harbor", "TypeInList.2": "CI/CD"}, func(r *request) { r.Types = []string{"harbor", "CI/CD"} }},
		"numbers in any order with gaps": {
			Values{"TypeInList.1000": "acr", "TypeInList.9": "quay", "TypeInList.10": "harbor", "TypeInList.11": ""},
			func(r *request) { r.Types = []string{"quay", "harbor", "acr"} },
		},
		"JSON list":          {Values{"TypeInList": `["harbor"]`}, func(r *request) { r.Types = []string{"harbor"} }},
		"empty JSON list":    {Values{"TypeInList": "[]"}, func(*request) {}},
		"JSON list of empty": {Values{"TypeInList": `["",""]`}, func(*request) {}},
		"JSON numbers":       {Values{"Numbers": `[1, "2", -3]`}, func(r *request) { r.Numbers = []int64{1, 2, -3} }},
		"named type list":    {Values{"Kinds.2": "acr", "Kinds.1": "oci"}, func(r *request) { r.Kinds = []portolan.RegistryType{"oci", "acr"} }},
		"objects as JSON": {
			Values{"Label": `[{"Key":"a","Value":"\u00e9"},{"Key":"b","Value":null,"Part":["x","y"]}]`},
			func(r *request) { r.Labels = []label{{Key: "a", Value: "é"}, {Key: "b", Parts: []string{"x", "y"}}} },
		},
		"objects by member": {
			Values{"Label.2.Key": "b", "Label.1.Key": "a", "Label.1.Value": "v", "Label.2.Part.1": "x"},
			func(r *request) { r.Labels = []label{{Key: "a", Value: "v"}, {Key: "b", Parts: []string{"x"}}} },
		},
		"objects each as JSON": {Values{"Label.1": `{"Key":"a"}`}, func(r *request) { r.Labels = []label{{Key: "a"}} }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got request
			e := endpoint(t, &got)
			if _, err := e.Call(t.Context(), &Caller{}, tt.values); err != nil {
				t.Fatal(err)
			}
			want := base()
			tt.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		values Values
		want   string
	}{
		{Values{"PageSize": "0"}, "PageSize must be an integer from 1 to 1000"},
		{Values{"PageSize": "1001"}, "PageSize must be an integer from 1 to 1000"},
		{Values{"PageSize": "ten"}, "PageSize must be an integer from 1 to 1000"},
		{Values{"PageSize": "1.0"}, "PageSize must be an integer from 1 to 1000"},
		{Values{"PageSize": "99999999999999999999"}, "PageSize must be an integer from 1 to 1000"},
		{Values{"CurrentPage": "0", "PageSize": "0"}, "CurrentPage must be an integer from 1 to 2147483647"},
		{Values{"Small": "2147483648"}, "Small must be an integer from -2147483648 to 2147483647"},
		{Values{"Full": "1"}, "Full must be true or false"},
		{Values{"NetType": "3"}, "NetType must be one of 1, 2"},
		{Values{"RegistryNameLike": "镜像🚀ñxx"}, "RegistryNameLike must have at most 5 characters"},
		{Values{"RegistryNameLike": "\xff"}, "RegistryNameLike must be valid UTF-8 without NUL characters"},
		{Values{"RegistryNameLike": "a\x00"}, "RegistryNameLike must be valid UTF-8 without NUL characters"},
		{Values{"TypeInList.2": "oci"}, "TypeInList.2 must be one of harbor, CI/CD, quay, acr"},
		{Values{"TypeInList": "harbor", "TypeInList.1": "quay"}, "TypeInList must be given as TypeInList or as TypeInList.N, not both"},
		{Values{"TypeInList": "[]", "TypeInList.1": "quay"}, "TypeInList must be given as TypeInList or as TypeInList.N, not both"},
		{Values{"TypeInList.0": "quay"}, "TypeInList.0 must be numbered from 1 to 1000"},
		{Values{"TypeInList.1001": "quay"}, "TypeInList.1001 must be numbered from 1 to 1000"},
		{Values{"TypeInList.01": "quay"}, "TypeInList.01 must be numbered from 1 to 1000"},
		{Values{"TypeInList.x": "quay"}, "TypeInList.x must be numbered from 1 to 1000"},
		{Values{"TypeInList.1.2": "quay"}, "TypeInList.1 must be a single value"},
		{Values{"TypeInList": `["quay"`}, "TypeInList must be a JSON list"},
		{Values{"TypeInList": `["quay"] x`}, "TypeInList must be a JSON list"},
		{Values{"TypeInList": `[["quay"]]`}, "TypeInList.1 is not of the list's type"},
		{Values{"TypeInList": `["quay",null]`}, "TypeInList.2 is not of the list's type"},
		{Values{"TypeInList": `["acr","acr","acr","acr"]`}, "TypeInList must have at most 3 items"},
		{Values{"Numbers": "[" + strings.Repeat("1,", 1000) + "1]"}, "Numbers must have at most 1000 items"},
		{Values{"Numbers": strings.Repeat("[", 20_000)}, "Numbers must be a JSON list"},
		{Values{"Label": "x"}, "Label.1 must be a JSON object"},
		{Values{"Label": `[{"Key":"a"} {}]`}, "Label must be a JSON list"},
		{Values{"Label": `[1]`}, "Label.1 is not of the list's type"},
		{Values{"Label": `[{"Key":"a","key":"b"}]`}, `Label.1 has the unknown member "key"`},
		{Values{"Label": `[{"Key":"a","Key":"b"}]`}, `Label.1 must not have the member "Key" twice`},
		{Values{"Label": `[{"Key":null,"Key":"b"}]`}, `Label.1 must not have the member "Key" twice`},
		{Values{"Label": `[{"Key":"a"},{"Key":"a","Value":"123456789"}]`}, "Label.2.Value must have at most 8 characters"},
		{Values{"Label.7.Value": "x"}, "Label.7.Key is mandatory for this action."},
		{Values{"Label.7": "{}", "Label.7.Key": "x"}, `Label.7 has the unknown member ""`},
		{Values{"Label.7.Key": "k", "Label.7.Part.0": "x"}, "Label.7.Part.0 must be numbered from 1 to 1000"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			var got request
			e := endpoint(t, &got)
			_, err := e.Call(t.Context(), &Caller{}, tt.values)
			wire, ok := errors.AsType[*portolan.Error](err)
			if !ok {
				t.Fatalf("got %v for %v", err, tt.values)
			}
			if wire.Message != tt.want || wire.Status != 400 {
				t.Errorf("got %d %q, want %q", wire.Status, wire.Message, tt.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	type req struct {
		ID    int64    `rpc:"RegistryId" required:"true"`
		Names []string `rpc:"Name" required:"true"`
	}
	e := Operation[req, struct{}]{
		Spec:   Spec{Name: "Op", Product: "Sas", Version: "1", Action: "a:Op", Access: Write},
		Handle: func(context.Context, *Caller, *req) (*struct{}, error) { return nil, nil },
	}.Endpoint()
	for code, values := range map[string]Values{
		"MissingRegistryId": {"RegistryId": "", "Name": "x"},
		"MissingName":       {"RegistryId": "1", "Name": `[]`},
	} {
		_, err := e.Call(t.Context(), &Caller{}, values)
		if !errors.Is(err, &portolan.Error{Code: code}) {
			t.Errorf("got %v, want %s", err, code)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("TypeInList.1", "harbor", "PageSize", "20")
	f.Add("TypeInList", `["harbor","acr"]`, "Label", `[{"Key":"a","Part":["x"]}]`)
	f.Add("Label.1.Key", "a", "Label.1", `{"Key":"b"}`)
	f.Add("Numbers", `[1,2e3]`, "RegistryNameLike", "\xff\x00")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		var got request
		e := endpoint(&testing.T{}, &got)
		values := Values{name1: value1, name2: value2}
		before := maps.Clone(values)
		_, err := e.Call(t.Context(), &Caller{}, values)
		if !maps.Equal(before, values) {
			t.Fatal("the values were changed")
		}
		if err != nil {
			if wire, ok := errors.AsType[*portolan.Error](err); !ok || wire.Status != 400 {
				t.Fatalf("not an error of the client: %v", err)
			}
			return
		}
		if got.PageSize < 1 || got.PageSize > 1000 || len(got.Types) > 3 || strings.Contains(got.Name, "\x00") {
			t.Fatalf("validation let through %+v", got)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var got request
	e := endpoint(&testing.T{}, &got)
	values := Values{
		"CurrentPage": "3", "PageSize": "20", "RegistryNameLike": "core",
		"TypeInList.1": "harbor", "TypeInList.2": "CI/CD", "SourceIp": "10.0.0.1", "RegionId": "cn-hangzhou",
	}
	for b.Loop() {
		if _, err := e.Call(b.Context(), &Caller{}, values); err != nil {
			b.Fatal(err)
		}
	}
}
