package sign

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		query, contentType, body string
		want                     []Param
	}{
		"nothing":        {},
		"blank pairs":    {query: "&&", body: "&"},
		"escapes":        {query: "A=%2f%2F+%2B%e9%95%9C", want: []Param{{"A", "// +镜"}}},
		"escaped name":   {query: "%41+=1", want: []Param{{"A ", "1"}}},
		"no value":       {query: "A&B=", want: []Param{{"A", ""}, {"B", ""}}},
		"equals signs":   {query: "A=b=c", want: []Param{{"A", "b=c"}}},
		"semicolon":      {query: "A=1;B=2", want: []Param{{"A", "1;B=2"}}},
		"byte order":     {query: "B=1&L.2=x&a=1", body: "L.10=y&A=1", want: []Param{{"A", "1"}, {"B", "1"}, {"L.10", "y"}, {"L.2", "x"}, {"a", "1"}}},
		"form":           {contentType: "application/x-www-form-urlencoded;charset=utf-8", body: "A=1", want: []Param{{"A", "1"}}},
		"type, no body":  {contentType: "text/plain"},
		"JSON":           {contentType: "Application/JSON ; charset=utf-8", query: "B=1", body: ` {"A":"x"} `, want: []Param{{"A", "x"}, {"B", "1"}}},
		"JSON scalars":   {contentType: "application/json", body: `{"A":true,"B":10.50,"C":null,"D":"","E":12345678901234567890}`, want: []Param{{"A", "true"}, {"B", "10.50"}, {"D", ""}, {"E", "12345678901234567890"}}},
		"JSON list":      {contentType: "application/json", body: `{"L":["a",2,null,[false]],"M":[]}`, want: []Param{{"L.1", "a"}, {"L.2", "2"}, {"L.4.1", "false"}}},
		"JSON of object": {contentType: "application/json", body: `{"T":[{"Key":"k","Value":"v"}],"O":{"P":{"Q":1}},"N":{}}`, want: []Param{{"O.P.Q", "1"}, {"T.1.Key", "k"}, {"T.1.Value", "v"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Decode(test.query, test.contentType, []byte(test.body), limits)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	const canary = "c4nary"
	tests := map[string]struct{ query, contentType, body, want string }{
		"bad escape":           {query: "Password=" + canary + "%4", want: "InvalidParameter: Password has a value with a bad escape"},
		"bad escape of name":   {query: "%4g=" + canary, want: "InvalidParameter: A parameter has a name with a bad escape"},
		"bad escape, no name":  {query: "=%", want: "InvalidParameter: A parameter has no name"},
		"value not UTF-8":      {query: "Password=" + canary + "%ff", want: "InvalidParameter: Password must be text in UTF-8"},
		"name not UTF-8":       {query: "%C3=" + canary, want: "InvalidParameter: A parameter has a name that is not UTF-8"},
		"no name":              {query: "=" + canary, want: "InvalidParameter: A parameter has no name"},
		"twice":                {query: "A=" + canary + "&A=" + canary, want: "InvalidParameter: A is given twice"},
		"query and form":       {query: "A=" + canary, body: "A=" + canary, want: "InvalidParameter: A is given twice"},
		"query and JSON":       {query: "A=" + canary, contentType: "application/json", body: `{"A":1}`, want: "InvalidParameter: A is given twice"},
		"bad form":             {body: "A=%", want: "InvalidParameter: A has a value with a bad escape"},
		"other type":           {contentType: "multipart/form-data", body: canary, want: "InvalidParameter: Content-Type must be"},
		"JSON not UTF-8":       {contentType: "application/json", body: "{\"A\":\"" + canary + "\xff\"}", want: "InvalidParameter: The body must be text in UTF-8"},
		"JSON list":            {contentType: "application/json", body: `["` + canary + `"]`, want: "InvalidParameter: The body must be a JSON object"},
		"JSON blank":           {contentType: "application/json", body: " ", want: "InvalidParameter: The body must be a JSON object"},
		"JSON twice":           {contentType: "application/json", body: `{"A":1,"A":"` + canary + `"}`, want: "InvalidParameter: A is given twice"},
		"JSON in two forms":    {contentType: "application/json", body: `{"A":[1],"A.1":"` + canary + `"}`, want: "InvalidParameter: A.1 is given twice"},
		"JSON no name":         {contentType: "application/json", body: `{"":"` + canary + `"}`, want: "InvalidParameter: The body has an empty name"},
		"JSON bad name":        {contentType: "application/json", body: `{` + canary, want: "InvalidParameter: The body is not valid JSON near byte"},
		"JSON bad value":       {contentType: "application/json", body: `{"A":` + canary, want: "InvalidParameter: The body is not valid JSON near byte"},
		"JSON bad nested":      {contentType: "application/json", body: `{"A":[{"B":` + canary, want: "InvalidParameter: The body is not valid JSON near byte"},
		"JSON object not done": {contentType: "application/json", body: `{"A":"` + canary + `"`, want: "InvalidParameter: The body is not valid JSON near byte"},
		"JSON list not done":   {contentType: "application/json", body: `{"A":["` + canary + `"`, want: "InvalidParameter: The body is not valid JSON near byte"},
		"JSON and more":        {contentType: "application/json", body: `{} ` + canary, want: "InvalidParameter: The body must be one JSON object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Decode(test.query, test.contentType, []byte(test.body), limits)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Fatalf("%v, error %v, want %s", got, err, test.want)
			}
			if strings.Contains(err.Error(), canary) {
				t.Errorf("error shows a value: %v", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`[`, 500_000)
	tests := map[string]struct {
		query, contentType, body, want string
	}{
		"as many as allowed":  {query: "A=1&B=2", body: "C=3"},
		"one too many":        {query: "A=1&B=2", body: "C=3&D=4", want: "RequestTooLarge"},
		"all in query":        {query: "A=1&B=2&C=3&D=4", want: "RequestTooLarge"},
		"many in JSON":        {contentType: "application/json", body: `{"A":[1,2,3,4]}`, want: "RequestTooLarge"},
		"name at limit":       {query: "%4112345=1"},
		"name over limit":     {query: "A123456=1", want: "RequestTooLarge"},
		"name and bad escape": {query: "A123456=%", want: "RequestTooLarge"},
		"value at limit":      {query: "A=%E9%95%9C12345"},
		"value over limit":    {query: "A=123456789", want: "RequestTooLarge"},
		"deep JSON list":      {contentType: "application/json", body: `{"A":` + deep, want: "RequestTooLarge"},
		"deep JSON object":    {contentType: "application/json", body: strings.Repeat(`{"a":`, 100_000), want: "RequestTooLarge"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode(test.query, test.contentType, []byte(test.body), Limits{Params: 3, Name: 6, Value: 8})
			if code(err) != test.want {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	if _, err := Decode("A=1", "", nil, Limits{}); code(err) != "RequestTooLarge" {
		t.Errorf("zero limits: %v, want RequestTooLarge", err)
	}
}

func TestAppendEscaped(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		want := fmt.Sprintf("%%%02X", c)
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~", rune(c)) {
			want = string(rune(c))
		}
		if got := string(appendEscaped(nil, string([]byte{byte(c)}), once)); got != want {
			t.Errorf("%#x is escaped as %s, want %s", c, got, want)
		}
	}
}
