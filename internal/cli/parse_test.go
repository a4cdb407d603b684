package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args  []string
		given []argument
		rest  []string
		fails bool
	}{
		"nothing":            {},
		"words only":         {args: []string{"Sas", "PageImageRegistry"}, rest: []string{"Sas", "PageImageRegistry"}},
		"value after":        {args: []string{"Sas", "--Id", "1", "X"}, given: []argument{{"Id", "1"}}, rest: []string{"Sas", "X"}},
		"value inside":       {args: []string{"--Id=1=2"}, given: []argument{{"Id", "1=2"}}},
		"empty value":        {args: []string{"--Id="}, given: []argument{{"Id", ""}}},
		"one hyphen":         {args: []string{"--Id", "-5"}, given: []argument{{"Id", "-5"}}},
		"our flags":          {args: []string{"--dry-run", "--endpoint", "http://x", "-h"}, rest: []string{"--dry-run", "--endpoint", "http://x", "-h"}},
		"no value":           {args: []string{"--Id"}, fails: true},
		"a flag as value":    {args: []string{"--Id", "--Name"}, fails: true},
		"hyphens by equals":  {args: []string{"--Id=--Name"}, given: []argument{{"Id", "--Name"}}},
		"end of flags stays": {args: []string{"--", "--Id", "1"}, given: []argument{{"Id", "1"}}, rest: []string{"--"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given, rest, err := split(test.args)
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if d := cmp.Diff(test.given, given, cmp.AllowUnexported(argument{})); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(test.rest, rest); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	got, err := prefixes("allow-dial", []string{"10.0.0.0/8", " 192.0.2.7", "fd00::1/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	words := make([]string, len(got))
	for i, p := range got {
		words[i] = p.String()
	}
	if d := cmp.Diff([]string{"10.0.0.0/8", "192.0.2.7/32", "fd00::/8", "::1/128"}, words); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "10.0.0.0/33", "example.com", "10.0.0"} {
		if _, err := prefixes("allow-dial", []string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestParseEntries(t *testing.T) {
	t.Parallel()
	given := func(names ...string) map[string]bool {
		m := map[string]bool{}
		for _, n := range names {
			m[n] = true
		}
		return m
	}
	want := []entry{
		{line: 2, settings: settings{
			Type: "harbor", Host: "a.example.com", Port: 8443, Namespaces: []string{"x", "y"}, Password: "hunter2",
			given: given("type", "host", "port", "namespaces", "password"),
		}},
		{line: 3, settings: settings{Type: "oci", Host: "b.example.com", HTTP: true, given: given("type", "host", "http")}},
	}
	for name, test := range map[string]struct {
		parse func(string) ([]entry, []error)
		text  string
	}{
		"yaml": {parseYAML, "# two\n- {type: harbor, host: a.example.com, port: 8443, namespaces: [x, y], password: hunter2}\n- {type: oci, host: b.example.com, http: true}\n"},
		"csv":  {parseCSV, "type,host,port,namespaces,password,http\nharbor,a.example.com,8443,x y,hunter2,\noci,b.example.com,,,,true\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, mistakes := test.parse(test.text)
			if mistakes != nil {
				t.Fatal(mistakes)
			}
			if d := cmp.Diff(want, got, cmp.AllowUnexported(entry{}, settings{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// Errors say where the mistake is, and never quote a password.
func TestParseEntriesFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		parse func(string) ([]entry, []error)
		text  string
		want  []string
	}{
		"unknown key":      {parseYAML, "- type: oci\n  password: hunter2\n  colour: blue\n", []string{"line 3: unknown field \"colour\""}},
		"wrong type":       {parseYAML, "- type: oci\n  port: hunter2\n", []string{"line 2"}},
		"not a list":       {parseYAML, "password: hunter2\n", []string{""}},
		"broken":           {parseYAML, "- {password: hunter2\n", []string{""}},
		"unknown column":   {parseCSV, "type,colour\noci,hunter2\n", []string{`line 1: there is no column "colour"`}},
		"missing cell":     {parseCSV, "type,password\nhunter2\n", []string{"line 2"}},
		"broken quotation": {parseCSV, "type,password\noci,\"hunter2\n", []string{"line 2"}},
		"many in YAML":     {parseYAML, "- {type: oci, port: x}\n- {type: oci}\n- {colour: blue}\n", []string{"line 1", "line 3"}},
		"many in CSV":      {parseCSV, "type,port,http\noci,x,y\noci\noci,1,true\noci,z,\n", []string{`line 2: "x"`, `line 2: "y"`, "line 3", `line 5: "z"`}},
		"tied by aliases":  {parseYAML, "- &a {type: oci}\n- *a\n- {colour: blue}\n", []string{"line 3"}},
		"empty":            {parseCSV, "", []string{"first line"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, mistakes := test.parse(test.text)
			if len(mistakes) != len(test.want) {
				t.Fatalf("mistakes %v, want %d", mistakes, len(test.want))
			}
			for i, err := range mistakes {
				if !strings.Contains(err.Error(), test.want[i]) {
					t.Errorf("mistake %q, want one with %q", err, test.want[i])
				}
				if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("the mistake quotes a secret: %v", err)
				}
			}
		})
	}
}

func FuzzParseEntries(f *testing.F) {
	f.Add("- {type: oci, host: a.example.com}")
	f.Add("type,host,port\noci,a.example.com,5000\n")
	f.Add("type,type\n,\n")
	f.Add("0\n\"")
	f.Add("! {a}")
	f.Add("- &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) ([]entry, []error){parseYAML, parseCSV} {
			entries, mistakes := parse(text)
			if len(entries)+len(mistakes) > strings.Count(text, "\n")+len(text)+1 {
				t.Errorf("%d entries and %d mistakes", len(entries), len(mistakes))
			}
			for _, e := range entries {
				if e.line < 1 || e.given == nil {
					t.Errorf("an entry of line %d, given %v", e.line, e.given)
				}
			}
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("Sas\nPageImageRegistry\n--PageSize\n5")
	f.Add("--A=\n--b\n--")
	f.Fuzz(func(t *testing.T, text string) {
		args := strings.Split(text, "\n")
		given, rest, err := split(args)
		if err == nil && 2*len(given)+len(rest) < len(args) {
			t.Errorf("%q: arguments were lost: %v %v", args, given, rest)
		}
	})
}
