package sas

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"portolan/internal/rpc"
)

// shape is an operation as the vendor documents it.
type shape struct {
	Operation string       `json:"operation"`
	Request   []shapeField `json:"request"`
	Response  []shapeField `json:"response"`
}

type shapeField struct {
	Name     string          `json:"name"`
	Type     json.RawMessage `json:"type"`
	Required bool            `json:"required"`
	In       string          `json:"in"`
}

// shapeType is the type of a field in the words of package rpc.
type shapeType struct {
	word   string
	list   bool
	fields []shapeField
}

func typeOf(t *testing.T, raw json.RawMessage) shapeType {
	t.Helper()
	var word string
	if json.Unmarshal(raw, &word) == nil {
		return shapeType{word: word}
	}
	var compound struct {
		Array  json.RawMessage `json:"array"`
		Object []shapeField    `json:"object"`
	}
	if err := json.Unmarshal(raw, &compound); err != nil {
		t.Fatalf("type %s: %v", raw, err)
	}
	if compound.Array == nil {
		return shapeType{word: "object", fields: compound.Object}
	}
	of := typeOf(t, compound.Array)
	of.list = true
	return of
}

func shapes(t *testing.T) map[string]shape {
	t.Helper()
	b, err := os.ReadFile("testdata/sas-2018-12-03.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []shape
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	byName := map[string]shape{}
	for _, s := range list {
		byName[s.Operation] = s
	}
	return byName
}

// Every operation takes and answers what the vendor documents, with the same
// types in the same places; what is ours is marked and comes last.
func TestConformance(t *testing.T) {
	t.Parallel()
	documented := shapes(t)
	for _, e := range (&Service{}).Endpoints() {
		s, vendors := documented[e.Name]
		if vendors == e.Extension {
			t.Errorf("%s: Extension is %t, documented by the vendor is %t", e.Name, e.Extension, vendors)
		}
		if e.Product != "Sas" || e.Version != "2018-12-03" || e.Action != "yundun-sas:"+e.Name {
			t.Errorf("%s: product %s, version %s, action %s", e.Name, e.Product, e.Version, e.Action)
		}
		if !vendors {
			continue
		}
		for _, f := range s.Request {
			checkParam(t, &e, f)
		}
		checkFields(t, e.Name, s.Response, append(slices.Clone(e.Result), rpc.Field{Name: "RequestId", Type: "string"}))
	}
}

func checkParam(t *testing.T, e *rpc.Endpoint, f shapeField) {
	t.Helper()
	i := slices.IndexFunc(e.Params, func(p rpc.Param) bool { return p.Name == f.Name })
	if i < 0 {
		t.Errorf("%s: parameter %s is missing", e.Name, f.Name)
		return
	}
	p, want := e.Params[i], typeOf(t, f.Type)
	if p.Type != want.word || p.List != want.list || p.In != f.In {
		t.Errorf("%s: parameter %s is %s (list %t) in %s, documented is %s (list %t) in %s", e.Name, f.Name, p.Type, p.List, p.In, want.word, want.list, f.In)
	}
	if p.Required && !f.Required && !requiredHere(e.Name, f.Name) {
		t.Errorf("%s: parameter %s is required here only", e.Name, f.Name)
	}
}

// requiredHere are parameters that the vendor leaves optional and without
// which a call means nothing.
func requiredHere(operation, param string) bool {
	return slices.Contains([]string{
		"ModifyImageRegistry Id",
		"UpdateJenkinsImageRegistryName RegistryId", "UpdateJenkinsImageRegistryName RegistryName",
		"UpdateJenkinsImageRegistryPersistenceDay RegistryId", "UpdateJenkinsImageRegistryPersistenceDay PersistenceDay",
		"CreateJenkinsImageScanTask Token", "CreateJenkinsImageScanTask RepoName",
	}, operation+" "+param)
}

func checkFields(t *testing.T, path string, documented []shapeField, have []rpc.Field) {
	t.Helper()
	own := ""
	for _, f := range have {
		i := slices.IndexFunc(documented, func(d shapeField) bool { return d.Name == f.Name })
		switch {
		case i < 0:
			own = f.Name
		case own != "" && f.Name != "RequestId":
			t.Errorf("%s.%s: comes after %s, which is ours", path, f.Name, own)
		}
	}
	for _, d := range documented {
		i := slices.IndexFunc(have, func(f rpc.Field) bool { return f.Name == d.Name })
		if i < 0 {
			t.Errorf("%s.%s: is missing", path, d.Name)
			continue
		}
		f, want := have[i], typeOf(t, d.Type)
		if want.word != "any" && (f.Type != want.word || f.List != want.list) {
			t.Errorf("%s.%s: is %s (list %t), documented is %s (list %t)", path, d.Name, f.Type, f.List, want.word, want.list)
		}
		checkFields(t, path+"."+d.Name, want.fields, f.Fields)
	}
}

// Whatever a client reads about a parameter or a field has a text and an
// example.
func TestDocumented(t *testing.T) {
	t.Parallel()
	for _, e := range (&Service{}).Endpoints() {
		if e.Summary == "" || e.Since == "" {
			t.Errorf("%s has no summary or no release", e.Name)
		}
		for _, p := range e.Params {
			if p.Doc == "" || p.Example == "" {
				t.Errorf("%s: parameter %s has no text or no example", e.Name, p.Name)
			}
		}
		for path, f := range rpc.Rows(e.Result) {
			if f.Doc == "" {
				t.Errorf("%s: field %s has no text", e.Name, path)
			}
		}
	}
}

// These fields come from scanning, which does not exist yet: all are answered
// from scanning.go. A field that leaves this list must leave that file.
func TestFieldsOfScanning(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, f := range []any{risk{}, analysis{}} {
		for _, field := range rpc.FieldsOf(reflect.TypeOf(f)) {
			names[field.Name] = true
		}
	}
	names["HasRiskImageCount"], names["RiskInstanceCount"] = true, true
	var got []string
	for _, e := range (&Service{}).Endpoints() {
		for path := range rpc.Rows(e.Result) {
			name := path[strings.LastIndexByte(path, '.')+1:]
			if names[name] {
				got = append(got, e.Name+" "+path)
			}
		}
	}
	slices.Sort(got)
	want := scanningFields()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("fields of scanning (-want +got):\n%s", d)
	}
	for name := range names {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, name) }) {
			t.Errorf("%s is in scanning.go and in no answer", name)
		}
	}
}

func scanningFields() []string {
	var list []string
	add := func(prefix string, names ...string) {
		for _, n := range names {
			list = append(list, fmt.Sprintf("%s.%s", prefix, n))
		}
	}
	risks := []string{"AlarmCount", "AlarmStatus", "HcCount", "HcStatus", "RiskStatus", "VulCount", "VulStatus"}
	progress := []string{"Deployed", "LastScanTime", "ScaProgress", "ScaResult", "ScaStatus"}
	add("DescribeImageInfoList ImageInfos[]", slices.DeleteFunc(slices.Clone(risks), func(n string) bool { return n == "HcCount" || n == "HcStatus" })...)
	add("DescribeImageInstances ImageInstanceList[]", append(risks, progress...)...)
	add("DescribeImageRepoDetailList ImageRepoResponses[]", append(risks, "HasRiskImageCount")...)
	add("FindImage List[]", append(risks, progress...)...)
	list = append(list, "DescribeImageStatistics RiskInstanceCount")
	slices.Sort(list)
	return list
}
