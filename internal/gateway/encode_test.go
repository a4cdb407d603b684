package gateway

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"portolan/internal/rpc"
)

var update = flag.Bool("update", false, "rewrite the golden files")

type base struct {
	TotalCount int
}

// ready keeps its JSON ready.
type ready struct {
	Name string
	json string
}

func (r *ready) AppendJSON(dst []byte) []byte { return append(dst, r.json...) }

type inner struct {
	Key  string
	Many []int64 `json:",omitempty"`
}

type everything struct {
	Text     string
	Empty    string
	Omitted  string `json:",omitempty"`
	Number   int64
	Zero     int  `json:",omitempty"`
	Flag     bool `json:"Enabled"`
	Pointer  *int
	Given    *int
	Object   inner
	Maybe    *inner
	None     *inner
	List     []inner
	Nil      []inner
	Gone     []inner `json:",omitempty"`
	Pointers []*inner
	Words    []string
	Stream   rpc.Seq[inner]
	NoStream rpc.Seq[inner]
	Ready    ready
	Readies  []ready
	Users    struct{ User []inner }
	base
	Skipped string `json:"-"`
	hidden  string // must not be sent
}

func sample() *everything {
	two := 2
	return &everything{
		Text: "a<b>&\"c\"\\\n\t\r\x01\x7f é镜🚀\u2028\xff", Number: -9007199254740993, Flag: true, Given: &two,
		Object: inner{Key: "o", Many: []int64{1, 2}}, Maybe: &inner{Key: "m"},
		List: []inner{{Key: "1"}, {Key: "2"}}, Pointers: []*inner{nil, {Key: "p"}, nil, {Key: "q"}},
		Words: []string{"x", ""},
		Stream: func(yield func(inner, error) bool) {
			_ = yield(inner{Key: "s1"}, nil) && yield(inner{Key: "s2"}, nil)
		},
		Ready:   ready{Name: "r", json: `{"Name":"r"}`},
		Readies: []ready{{Name: "a", json: `{"Name":"a"}`}, {Name: "b", json: `{"Name":"b"}`}},
		Users:   struct{ User []inner }{[]inner{{Key: "u"}}},
		base:    base{TotalCount: 7}, Skipped: "no", hidden: "no",
	}
}

func encode(t testing.TB, response any, xml bool) string {
	t.Helper()
	typ := reflect.TypeOf(response).Elem()
	var e encoder
	if err := e.encode(planOf("OpResponse", typ, rpc.FieldsOf(typ)), response, "ID", xml); err != nil {
		t.Fatal(err)
	}
	return string(e.buf)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, got := range map[string]string{
		"everything.json": encode(t, sample(), false),
		"everything.xml":  encode(t, sample(), true),
		"empty.json":      encode(t, new(emptyRequest), false),
		"empty.xml":       encode(t, new(emptyRequest), true),
		"page.json":       encode(t, &pageResponse{List: []pageRow{row(1)}, PageInfo: pageInfo{1, 1, 20, 1}}, false),
		"page.xml":        encode(t, &pageResponse{List: []pageRow{row(1)}, PageInfo: pageInfo{1, 1, 20, 1}}, true),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.TrimSuffix(string(want), "\n"), got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestLikeEncodingJSON compares with encoding/json where both have the same
// rules: everything but nil.
func TestLikeEncodingJSON(t *testing.T) {
	t.Parallel()
	response := &pageResponse{List: []pageRow{row(1), {}, row(2)}}
	want := new(bytes.Buffer)
	standard := json.NewEncoder(want)
	standard.SetEscapeHTML(false)
	if err := standard.Encode(response); err != nil {
		t.Fatal(err)
	}
	got := encode(t, response, false)
	got = strings.Replace(got, `,"RequestId":"ID"`, "", 1)
	if diff := cmp.Diff(strings.TrimSpace(want.String()), got); diff != "" {
		t.Error(diff)
	}
}

func TestReadyRoot(t *testing.T) {
	t.Parallel()
	for json, want := range map[string]string{
		`{"Name":"r"}`: `{"Name":"r","RequestId":"ID"}`,
		`{}`:           `{"RequestId":"ID"}`,
	} {
		if got := encode(t, &ready{json: json}, false); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := encode(t, &ready{Name: "r"}, true); !strings.Contains(got, "<Name>r</Name>") {
		t.Errorf("got %s", got)
	}
}

func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<>&", "\xff\xfe", "é镜🚀", "\u2028\u2029", "\xe2\x80", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendJSONString(nil, s)
		var decoded string
		if err := json.Unmarshal(got, &decoded); err != nil || !utf8.Valid(got) {
			t.Fatalf("%q became %q: %v", s, got, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && decoded != want {
			t.Fatalf("%q came back as %q", s, decoded)
		}
		var standard bytes.Buffer
		e := json.NewEncoder(&standard)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			t.Fatal(err)
		}
		var want string
		if err := json.Unmarshal(standard.Bytes(), &want); err != nil || want != decoded {
			t.Fatalf("%q decodes as %q, that of encoding/json as %q", s, decoded, want)
		}
	})
}

func FuzzDocuments(f *testing.F) {
	f.Add("plain", int64(0))
	f.Add("]]>&amp;<a b='c'>\r\n\x00\ufffe\xff", int64(-1))
	f.Fuzz(func(t *testing.T, s string, n int64) {
		response := &everything{
			Text: s, Omitted: s, Number: n, Words: []string{s, s},
			Stream: func(yield func(inner, error) bool) { yield(inner{Key: s, Many: []int64{n}}, nil) },
			Ready:  ready{json: "{}"},
		}
		var fromJSON struct {
			Text, RequestID string
			Number          int64
		}
		if err := json.Unmarshal([]byte(encode(t, response, false)), &fromJSON); err != nil {
			t.Fatal(err)
		}
		if fromJSON.Number != n || fromJSON.RequestID != "ID" {
			t.Fatalf("got %+v", fromJSON)
		}
		var fromXML struct {
			Text  string
			Words []string
		}
		if err := xml.Unmarshal([]byte(encode(t, response, true)), &fromXML); err != nil {
			t.Fatal(err)
		}
		if want := xmlText(s); fromXML.Text != want || len(fromXML.Words) != 2 || fromXML.Words[1] != want {
			t.Fatalf("%q came back as %+v", s, fromXML)
		}
	})
}

// xmlText replaces what XML cannot hold.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return utf8.RuneError
		}
		return r
	}, s)
}
