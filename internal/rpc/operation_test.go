package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"portolan"
)

func spec() Spec {
	return Spec{Name: "Op", Product: "Sas", Version: "2018-12-03", Action: "yundun-sas:Op", Access: List}
}

type empty = struct{}

func declare[Req, Resp any](s Spec) func() {
	return func() {
		Operation[Req, Resp]{Spec: s, Handle: func(context.Context, *Caller, *Req) (*Resp, error) { return nil, nil }}.Endpoint()
	}
}

func TestMistakesPanicAtStart(t *testing.T) {
	t.Parallel()
	noAccess, badAction, noName := spec(), spec(), spec()
	noAccess.Access, badAction.Action, noName.Name = "", "Op", ""
	type recursive struct{ Children []*recursive }
	tests := map[string]struct {
		declare func()
		want    string
	}{
		"access":             {declare[empty, empty](noAccess), "Access"},
		"action":             {declare[empty, empty](badAction), "Action"},
		"name":               {declare[empty, empty](noName), "Name"},
		"no handler":         {func() { Operation[empty, empty]{Spec: spec()}.Endpoint() }, "no handler"},
		"request no struct":  {declare[int, empty](spec()), "not a struct"},
		"response no struct": {declare[empty, []int](spec()), "structs"},
		"request type":       {declare[struct{ M map[string]string }, empty](spec()), "unsupported type"},
		"response type":      {declare[empty, struct{ F float64 }](spec()), "unsupported type"},
		"list of lists":      {declare[empty, struct{ F [][]string }](spec()), "unsupported type"},
		"recursive response": {declare[empty, recursive](spec()), "deep"},
		"unexported":         {declare[struct{ name string }, empty](spec()), "not exported"},
		"twice": {declare[struct {
			A string `rpc:"X"`
			B string `rpc:"X"`
		}, empty](spec()), "twice"},
		"default out of range": {declare[struct {
			A int `default:"0" range:"1,2"`
		}, empty](spec()), "default"},
		"default no number": {declare[struct {
			A int `default:"x"`
		}, empty](spec()), "default"},
		"default not in enum": {declare[struct {
			A string `default:"x" enum:"a,b"`
		}, empty](spec()), "default"},
		"default on list": {declare[struct {
			A []string `default:"x"`
		}, empty](spec()), "no default"},
		"range backwards": {declare[struct {
			A int `range:"2,1"`
		}, empty](spec()), "range"},
		"range no numbers": {declare[struct {
			A int `range:"a,b"`
		}, empty](spec()), "range"},
		"range without comma": {declare[struct {
			A int `range:"5"`
		}, empty](spec()), "range"},
		"position": {declare[struct {
			A int `in:"header"`
		}, empty](spec()), "in is"},
		"keepempty without pointer": {declare[struct {
			A string `rpc:"A,keepempty"`
		}, empty](spec()), "keepempty"},
		"unknown option": {declare[struct {
			A string `rpc:"A,empty"`
		}, empty](spec()), "keepempty"},
		"own RequestId": {declare[empty, struct {
			ID string `json:"RequestId"`
		}](spec()), "RequestId"},
		"endpoint twice": {func() {
			e := Operation[empty, empty]{Spec: spec(), Handle: func(context.Context, *Caller, *empty) (*empty, error) { return nil, nil }}.Endpoint()
			NewCatalog([]Endpoint{e, e})
		}, "twice"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, tt.want) {
					t.Errorf("got panic %q, want one with %q", text, tt.want)
				}
			}()
			tt.declare()
		})
	}
}

func TestCatalogFind(t *testing.T) {
	t.Parallel()
	e := Operation[empty, empty]{Spec: spec(), Handle: func(context.Context, *Caller, *empty) (*empty, error) { return nil, nil }}.Endpoint()
	c := NewCatalog([]Endpoint{e})
	tests := []struct {
		version, action, code string
		status                int
	}{
		{"2018-12-03", "Op", "", 0},
		{"2018-12-03", "op", "InvalidAction.NotFound", 404},
		{"2018-12-03", "Other", "InvalidAction.NotFound", 404},
		{"2018-12-04", "Op", "InvalidVersion", 400},
	}
	for _, tt := range tests {
		got, err := c.Find(tt.version, tt.action)
		if tt.code == "" {
			if err != nil || got != c.Endpoints()[0] {
				t.Errorf("%+v: got %v, %v", tt, got, err)
			}
			continue
		}
		if wire, ok := errors.AsType[*portolan.Error](err); !ok || wire.Code != tt.code || wire.Status != tt.status {
			t.Errorf("%+v: got %v", tt, err)
		}
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	type row struct {
		ID    int64   `json:"Id" doc:"The id." example:"7"`
		Token *string `doc:"Absent without one."`
	}
	type base struct {
		TotalCount int
	}
	type response struct {
		List  Seq[row]
		Names []string `json:",omitempty"`
		base
		Skipped string `json:"-"`
		hidden  string //nolint:unused // must not be described
	}
	e := Operation[request, response]{Spec: spec(), Handle: func(context.Context, *Caller, *request) (*response, error) { return nil, nil }}.Endpoint()

	var paths []string
	for path, f := range Rows(e.Result) {
		word := f.Type
		if f.Optional {
			word += "?"
		}
		paths = append(paths, path+" "+word)
	}
	want := []string{"List[] object", "List[].Id long", "List[].Token string?", "Names[] string?", "TotalCount int32"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}

	i := slices.IndexFunc(e.Params, func(p Param) bool { return p.Name == "PageSize" })
	wantParam := Param{
		Name: "PageSize", Type: "int32", Doc: "The number of entries on a page.", Example: "20",
		Default: "20", Min: 1, Max: 1000, Ranged: true, In: "body",
	}
	if diff := cmp.Diff(wantParam, e.Params[i], cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	label := e.Params[slices.IndexFunc(e.Params, func(p Param) bool { return p.Name == "Label" })]
	if label.Type != "object" || !label.List || len(label.Fields) != 3 || !label.Fields[0].Required || label.In != "query" {
		t.Errorf("got %+v", label)
	}
}

func TestHandlerErrorsAndEmptyAnswers(t *testing.T) {
	t.Parallel()
	failure := errors.New("no")
	e := Operation[empty, empty]{Spec: spec(), Handle: func(_ context.Context, c *Caller, _ *empty) (*empty, error) {
		if c.Secure {
			return nil, failure
		}
		return nil, nil
	}}.Endpoint()
	if _, err := e.Call(t.Context(), &Caller{Secure: true}, nil); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
	if resp, err := e.Call(t.Context(), &Caller{}, nil); err != nil || resp.(*empty) == nil {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestSeq(t *testing.T) {
	t.Parallel()
	failure := errors.New("broken")
	s := Seq[int](func(yield func(int, error) bool) {
		_ = yield(1, nil) && yield(2, nil) && yield(0, failure) && yield(9, nil)
	})
	var got []int
	var sequence Sequence = s
	sequence.Each(func(row any, err error) bool {
		if err != nil {
			return false
		}
		got = append(got, *row.(*int))
		return true
	})
	if !slices.Equal(got, []int{1, 2}) {
		t.Errorf("got %v", got)
	}
	Seq[int](nil).Each(func(any, error) bool { t.Error("a nil Seq has a row"); return false })
}

func TestPagingOffset(t *testing.T) {
	t.Parallel()
	if got := (Paging{CurrentPage: 2147483647, PageSize: 1000}).Offset(); got != 2147483646000 {
		t.Errorf("got %d", got)
	}
}
