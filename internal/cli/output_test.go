package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func rowsOf(rows ...string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		for _, r := range rows {
			if !yield(json.RawMessage(r), nil) {
				return
			}
		}
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	columns := []column{
		{title: "ID", field: "Id"}, {title: "NAME", field: "Name", wide: 5}, {title: "TAGS", field: "Tags"}, {title: "SIZE", field: "Size", show: field("Size", size)},
	}
	rows := []string{
		`{"Id":9007199254740993,"Name":"a","Tags":["x","y"],"Size":"1500"}`,
		"{\"Id\":2,\"Name\":\"eight\u00e9ee\\u001b[31m\",\"Tags\":[],\"Size\":\"12\"}",
	}
	for name, test := range map[string]struct {
		form, want string
		rows       []string
	}{
		"table":       {asTable, "ID                NAME   TAGS  SIZE\n9007199254740993  a      x,y   1.5 KB\n2                 eigh…  -     12 B\n", rows},
		"csv":         {asCSV, "Id,Name,Tags,Size\n9007199254740993,a,\"x,y\",1500\n2,eightéee\x1b[31m,,12\n", rows},
		"json":        {asJSON, "[\n  {\n    \"Id\": 1\n  },\n  {\n    \"Id\": 2\n  }\n]\n", []string{`{"Id":1}`, `{"Id":2}`}},
		"empty table": {asTable, "", nil},
		"empty json":  {asJSON, "[]\n", nil},
		"empty csv":   {asCSV, "Id,Name,Tags,Size\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			l := listing{shell: &shell{out: &out, err: &errs}, form: test.form, columns: columns, empty: "Nothing."}
			n, err := l.print(rowsOf(test.rows...))
			if err != nil || n != len(test.rows) {
				t.Errorf("%d rows, error %v", n, err)
			}
			if d := cmp.Diff(test.want, out.String()); d != "" {
				t.Error(d)
			}
		})
	}
}

// A page that fails ends a list with an error in every form.
func TestListingFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line is cut")
	for _, form := range []string{asTable, asJSON, asCSV} {
		l := listing{shell: &shell{out: &bytes.Buffer{}, err: &bytes.Buffer{}}, form: form}
		_, err := l.print(func(yield func(json.RawMessage, error) bool) {
			_ = yield(json.RawMessage(`{}`), nil) && yield(nil, broken)
		})
		if !errors.Is(err, broken) {
			t.Errorf("%s: error %v", form, err)
		}
	}
}

func TestWell(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("somewhere", 8*60*60)
	since := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		row  string
		want bool
	}{
		"read since":      {`{"SyncStatus":"ok","LastSyncTime":"2026-01-02 08:00:01"}`, true},
		"read before":     {`{"SyncStatus":"ok","LastSyncTime":"2026-01-02 07:59:59"}`, false},
		"failing":         {`{"SyncStatus":"syncing","LastSyncTime":"2026-01-02 09:00:00","SyncErrorCode":"Forbidden"}`, false},
		"just added":      {`{"SyncStatus":"pending","GmtCreate":"2026-01-02 08:30:00"}`, true},
		"never read":      {`{"SyncStatus":"pending","GmtCreate":"2026-01-01 08:30:00"}`, false},
		"builds report":   {`{"RegistryType":"CI/CD","SyncStatus":"ok","GmtCreate":"2025-01-01 08:30:00"}`, true},
		"paused":          {`{"Paused":true,"SyncStatus":"ok","LastSyncTime":"2025-01-01 08:30:00"}`, true},
		"paused, failing": {`{"Paused":true,"SyncStatus":"failed","LastSyncTime":"2025-01-01 08:30:00","SyncErrorCode":"Forbidden"}`, false},
		"not understood":  {`{"LastSyncTime":1}`, false},
		"no time at all ": {`{}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := window{now: since.Add(24 * time.Hour), stale: 24 * time.Hour, zone: zone}
			if got := w.well(json.RawMessage(test.row)); got != test.want || w.ahead != "" {
				t.Errorf("well: %t, ahead: %s", got, w.ahead)
			}
		})
	}
}

// Times in the future say that the zone is not the server's.
func TestAhead(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	for row, want := range map[string]bool{
		`{"Id":1,"LastSyncTime":"2026-01-02 00:01:00"}`:                           false,
		`{"Id":1,"LastSyncTime":"2026-01-02 00:01:01"}`:                           true,
		`{"Id":1,"GmtCreate":"2026-01-02 08:00:00"}`:                              true,
		`{"Id":1,"LastSyncTime":"2026-01-02 08:00:00","SyncErrorCode":"Partial"}`: true,
	} {
		w := window{now: now, stale: time.Hour, zone: time.UTC}
		if w.well(json.RawMessage(row)); (w.ahead != "") != want {
			t.Errorf("%s: ahead %q", row, w.ahead)
		}
	}
}

func TestDiffers(t *testing.T) {
	t.Parallel()
	has := info{Name: "lab", RegionID: "cn-hangzhou", Port: 443, ProtocolType: 2, TransPerHour: 30, PersistenceDay: 30, WhiteList: "192.0.2.1"}
	for name, test := range map[string]struct {
		x    settings
		want params
	}{
		"same":                {settings{Name: "lab", Namespaces: []string{"b", "/a/", "a"}}, params{}},
		"scope widened":       {settings{Namespaces: []string{}, given: map[string]bool{"namespaces": true}}, params{"ExtraParam": `{"namespaces":[]}`}},
		"list emptied":        {settings{given: map[string]bool{"whiteList": true, "blackList": true}}, params{"ClearFields.1": "WhiteList"}},
		"scope alone is sent": {settings{Namespaces: []string{"a"}, Repositories: []string{"x"}}, params{"ExtraParam": `{"namespaces":["a"]}`}},
		"absent is no change": {settings{}, params{}},
		"name and days":       {settings{Name: "x", PersistenceDay: 90}, params{"RegistryName": "x", "PersistenceDay": "90"}},
		"scope":               {settings{Namespaces: []string{"a"}}, params{"ExtraParam": `{"namespaces":["a"]}`}},
		"protocol":            {settings{HTTP: true, User: "u", Password: "p"}, params{"ProtocolType": "1", "Password": "p"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.x.Type, test.x.Host = "oci", "lab.example.com"
			e := entry{settings: test.x}
			if wrong := new(shell).checkEntry(&e, "."); wrong != nil {
				t.Fatal(wrong)
			}
			if d := cmp.Diff(test.want, e.differs(has, []string{"b", "a"})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestClockCheck(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		date, want string
	}{
		"same":    {time.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), checkOK},
		"near":    {time.Now().Add(5 * time.Minute).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), checkWarning},
		"far":     {time.Now().Add(-time.Hour).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT"), checkFailed},
		"missing": {"", checkWarning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := clockCheck(test.date).State; got != test.want {
				t.Errorf("state %q, want %q", got, test.want)
			}
		})
	}
}
