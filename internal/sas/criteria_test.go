package sas

import (
	"errors"
	"strings"
	"testing"

	"portolan"
)

func TestCriteriaRefusals(t *testing.T) {
	t.Parallel()
	twenty := "[" + strings.TrimSuffix(strings.Repeat(`{"name":"tag","value":"x"},`, 20), ",") + "]"
	if c, err := (&criteriaRequest{Criteria: twenty}).criteria(); err != nil || len(c.Terms) != 1 || len(c.Terms[0].Values) != 20 {
		t.Errorf("20 conditions: %+v, %v", c, err)
	}
	tests := map[string]string{
		`null`:                            "JSON list",
		`{}`:                              "JSON list",
		`{"name":"tag","value":"x"}`:      "JSON list",
		`"tag"`:                           "JSON list",
		`[`:                               "JSON list",
		`[] []`:                           "JSON list",
		`[null]`:                          "item 1 must be an object",
		`[1]`:                             "item 1 must be an object",
		`[[]]`:                            "item 1 must be an object",
		`[{"name":"tag","value":"x"},{}]`: "item 2 has no name",
		`[{"name":"tag"}]`:                "item 1 has no value",
		`[{"name":"tag","value":1}]`:      "item 1 must be an object whose members are texts",
		`[{"name":"tag","value":null}]`:   "item 1 must be an object whose members are texts",
		`[{"name":"tag","value":["x"]}]`:  "item 1 must be an object whose members are texts",
		`[{"name":"tag","value":"x","value":"y"}]`:                    "item 1 must be an object whose members are texts, each once",
		`[{"name":"tag","value":"x","Value":"y"}]`:                    `item 1 has the unknown key "Value"`,
		`[{"name":"TAG","value":"x"}]`:                                `item 1 has the unknown name "TAG"`,
		`[{"name":"","value":"x"}]`:                                   `item 1 has the unknown name ""`,
		`[{"name":"tag","value":"x","logicalExp":"XOR"}]`:             "item 1 has a logicalExp",
		`[{"name":"tag","value":"` + strings.Repeat("像", 257) + `"}]`: "item 1 has a value of more than 256 characters",
		twenty[:len(twenty)-1] + `,{"name":"tag","value":"x"}]`:       "at most 20 items",
	}
	for text, want := range tests {
		_, err := (&criteriaRequest{Criteria: text}).criteria()
		e, ok := errors.AsType[*portolan.Error](err)
		if !ok || e.Code != "InvalidParameter" || e.Status != 400 || !strings.HasPrefix(e.Message, "Criteria ") || !strings.Contains(e.Message, want) {
			t.Errorf("%.100s: %v, want InvalidParameter with %q", text, err, want)
		}
	}
}

func FuzzCriteria(f *testing.F) {
	for _, seed := range []string{
		`[{"name":"repoName","value":"server"}]`, `[{"name":"digest","value":"sha256:00","logicalExp":"OR"}]`, `[]`, `null`, `[{"name":"vulStatus","value":"NO"}]`, `[{"a":"\ud800"}]`, "",
	} {
		f.Add(seed, "OR")
	}
	f.Fuzz(func(t *testing.T, text, exp string) {
		c, err := (&criteriaRequest{Criteria: text, LogicalExp: exp}).criteria()
		if err != nil {
			if e, ok := errors.AsType[*portolan.Error](err); !ok || e.Code != "InvalidParameter" {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if len(c.Terms) > maxCriteria {
			t.Errorf("%q makes %d terms", text, len(c.Terms))
		}
		for _, term := range c.Terms {
			if term.Field == "" || len(term.Values) == 0 || len(term.Values) > maxCriteria {
				t.Errorf("%q makes the term %+v", text, term)
			}
		}
	})
}
