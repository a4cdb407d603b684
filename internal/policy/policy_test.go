package policy

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"portolan"
)

// withStatement is a document of one statement.
func withStatement(statement string) string {
	return `{"Version":"1","Statement":[` + statement + `]}`
}

// withCondition is a document that allows everything under a condition.
func withCondition(condition string) string {
	return withStatement(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":` + condition + `}`)
}

const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{
		"minimal":               withStatement(allowAll),
		"members in any order":  `{"Statement":[{"Resource":["*"],"Action":["*"],"Effect":"Deny"}],"Version":"1"}`,
		"white space":           " \n\t" + withStatement(allowAll) + "\r\n ",
		"Sid":                   withStatement(`{"Sid":"first","Effect":"Allow","Action":"*","Resource":"*"}`),
		"NotAction":             withStatement(`{"Effect":"Allow","NotAction":"ram:*","Resource":"*"}`),
		"unknown service":       withStatement(`{"Effect":"Allow","Action":"threatdetection:*","Resource":"*"}`),
		"unknown condition key": withCondition(`{"StringEquals":{"acs:Unknown":"x"}}`),
		"scalar values":         withCondition(`{"StringEquals":{"a":[1,true,"x",-0.5]},"Bool":{"b":false}}`),
		"escaped names":         `{"\u0056ersion":"1","Statement":[` + allowAll + `]}`,
		"as long as allowed":    padded(MaxIdentityPolicy),
		"characters, not bytes": strings.Replace(padded(MaxIdentityPolicy), "xxxx", "容器镜像", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Parse(document); err != nil {
				t.Error(err)
			}
		})
	}
}

// padded is a good document of n characters.
func padded(n int) string {
	document := withStatement(`{"Sid":"","Effect":"Allow","Action":"*","Resource":"*"}`)
	return strings.Replace(document, `"Sid":"`, `"Sid":"`+strings.Repeat("x", n-len(document)), 1)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	statement := func(members string) string { return withStatement(`{` + members + `}`) }
	condition := func(condition string) string { return withCondition(condition) }
	for name, c := range map[string]struct{ document, want string }{
		"empty":                    {``, "empty or cut off"},
		"cut off in a list":        {`{"Version":"1","Statement":[`, "empty or cut off"},
		"cut off in an object":     {`{"Version":"1"`, "empty or cut off"},
		"cut off in a name":        {`{"Versi`, "empty or cut off"},
		"not JSON":                 {`{Version:1}`, "not JSON at byte 1: invalid character 'V'"},
		"name of a wrong type":     {`{1:1}`, "not JSON at byte"},
		"missing value":            {`{"Version":}`, "not JSON at byte"},
		"comma at the end":         {`{"Version":"1",}`, "not JSON at byte"},
		"comma at a list's end":    {`["1",]`, "not JSON at byte"},
		"wrong bracket":            {`["1"}`, "not JSON at byte"},
		"byte order mark":          {"\ufeff" + withStatement(allowAll), "not JSON at byte"},
		"not UTF-8":                {"{\"Version\":\"\xff\"}", "not valid UTF-8"},
		"trailing value":           {withStatement(allowAll) + `{}`, "goes on after its end"},
		"trailing rubbish":         {withStatement(allowAll) + `]`, "goes on after its end"},
		"trailing open string":     {withStatement(allowAll) + `"`, "goes on after its end"},
		"duplicate name":           {`{"Version":"1","Version":"1"}`, `the name "Version" stands twice in one object, at byte 24`},
		"duplicate escaped name":   {`{"Version":"1","\u0056ersion":"1"}`, `the name "Version" stands twice`},
		"duplicate Effect":         {statement(`"Effect":"Deny","Effect":"Allow"`), `the name "Effect" stands twice`},
		"duplicate condition key":  {condition(`{"StringEquals":{"a":"1","a":"2"}}`), `the name "a" stands twice`},
		"too deep":                 {strings.Repeat("[", 9) + strings.Repeat("]", 9), "nested deeper than 8 levels"},
		"far too deep":             {strings.Repeat(`{"a":`, 1000), "nested deeper than 8 levels"},
		"a list":                   {`[]`, "must be a JSON object"},
		"a string":                 {`"x"`, "must be a JSON object"},
		"null":                     {`null`, "must be a JSON object"},
		"unknown element":          {`{"Version":"1","Id":"x","Statement":[` + allowAll + `]}`, `"Id" is not an element here; use Version, Statement`},
		"element in another case":  {`{"version":"1","Statement":[` + allowAll + `]}`, `"version" is not an element here`},
		"no version":               {`{"Statement":[` + allowAll + `]}`, `the element Version must be the string "1"`},
		"version as a number":      {`{"Version":1,"Statement":[` + allowAll + `]}`, `the element Version must be the string "1"`},
		"version of another cloud": {`{"Version":"2012-10-17","Statement":[` + allowAll + `]}`, `the element Version must be the string "1"`},
		"version as a list":        {`{"Version":["1"],"Statement":[` + allowAll + `]}`, `the element Version must be the string "1"`},
		"no statement":             {`{"Version":"1"}`, "the element Statement must be a list"},
		"empty statement":          {`{"Version":"1","Statement":[]}`, "the element Statement must be a list of at least one"},
		"statement as an object":   {`{"Version":"1","Statement":` + allowAll + `}`, "the element Statement must be a list"},
		"statement not an object":  {withStatement(allowAll + `,"x"`), "Statement[1] must be an object"},

		"unknown element of a statement": {statement(`"Effect":"Allow","Action":"*","NotResource":"*"`), `Statement[0]: "NotResource" is not an element here; use Effect, Action, NotAction, Resource, Condition, Sid`},
		"principal":                      {statement(`"Effect":"Allow","Action":"*","Resource":"*","Principal":{"RAM":"acs:ram::1:root"}`), `Statement[0]: "Principal" is not an element here`},
		"Sid not a string":               {statement(`"Sid":1,"Effect":"Allow","Action":"*","Resource":"*"`), "Statement[0].Sid must be a string"},
		"no effect":                      {statement(`"Action":"*","Resource":"*"`), "Statement[0].Effect must be Allow or Deny"},
		"effect in another case":         {statement(`"Effect":"allow","Action":"*","Resource":"*"`), "Statement[0].Effect must be Allow or Deny"},
		"effect as a list":               {statement(`"Effect":["Allow"],"Action":"*","Resource":"*"`), "Statement[0].Effect must be Allow or Deny"},
		"no action":                      {statement(`"Effect":"Allow","Resource":"*"`), "Statement[0] must have exactly one of Action and NotAction"},
		"two kinds of action":            {statement(`"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"`), "Statement[0] must have exactly one of Action and NotAction"},
		"empty list of actions":          {statement(`"Effect":"Allow","Action":[],"Resource":"*"`), "Statement[0].Action must not be an empty list"},
		"action as a number":             {statement(`"Effect":"Allow","Action":[1],"Resource":"*"`), "Statement[0].Action must be a string or a list of strings"},
		"action as null":                 {statement(`"Effect":"Allow","Action":null,"Resource":"*"`), "Statement[0].Action must be a string or a list of strings"},
		"action without a service":       {withStatement(allowAll + `,{"Effect":"Allow","Action":["a:b","Page*"],"Resource":"*"}`), `Statement[1].Action: "Page*" must be * or <service>:<operation>`},
		"action of two stars":            {statement(`"Effect":"Allow","Action":"**","Resource":"*"`), `"**" must be *`},
		"action with an empty service":   {statement(`"Effect":"Allow","Action":":Page","Resource":"*"`), `":Page" must be *`},
		"action with an empty operation": {statement(`"Effect":"Allow","Action":"ram:","Resource":"*"`), `"ram:" must be *`},
		"action with a blank":            {statement(`"Effect":"Deny","NotAction":"ram: Get*","Resource":"*"`), `Statement[0].NotAction: "ram: Get*" must be *`},
		"action beyond ASCII":            {statement(`"Effect":"Deny","Action":"ram:Get\u212A","Resource":"*"`), `must be * or`},
		"no resource":                    {statement(`"Effect":"Allow","Action":"*"`), "Statement[0].Resource is missing"},
		"empty list of resources":        {statement(`"Effect":"Allow","Action":"*","Resource":[]`), "Statement[0].Resource must not be an empty list"},
		"resource as an object":          {statement(`"Effect":"Allow","Action":"*","Resource":{}`), "Statement[0].Resource must be a string or a list of strings"},
		"empty resource":                 {statement(`"Effect":"Allow","Action":"*","Resource":""`), `Statement[0].Resource: "" must be * or acs:`},
		"resource of another cloud":      {statement(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::x"`), `"arn:aws:s3:::x" must be * or acs:`},
		"short resource":                 {statement(`"Effect":"Allow","Action":"*","Resource":"acs:ram:*:role/x"`), `"acs:ram:*:role/x" must be * or acs:`},
		"bare resource":                  {statement(`"Effect":"Allow","Action":"*","Resource":"registry/1"`), `"registry/1" must be * or acs:`},

		"condition not an object":        {condition(`[]`), "Statement[0].Condition must be an object of operators"},
		"condition null":                 {condition(`null`), "Statement[0].Condition must be an object of operators"},
		"unknown operator":               {condition(`{"BoolIfExists":{"a":"true"}}`), `Statement[0].Condition: the condition operator "BoolIfExists" is not supported`},
		"Null":                           {condition(`{"Null":{"a":"true"}}`), `the condition operator "Null" is not supported`},
		"operator in another case":       {condition(`{"stringEquals":{"a":"x"}}`), `the condition operator "stringEquals" is not supported`},
		"operator without keys":          {condition(`{"StringEquals":{}}`), "Statement[0].Condition.StringEquals must be an object of at least one condition key"},
		"operator not an object":         {condition(`{"StringEquals":"a"}`), "Statement[0].Condition.StringEquals must be an object"},
		"empty condition key":            {condition(`{"StringEquals":{"":"a"}}`), `the condition key "" is empty or stands twice`},
		"condition key twice by case":    {condition(`{"StringEquals":{"acs:SourceIp":"a","acs:sourceip":"b"}}`), `the condition key "acs:sourceip" is empty or stands twice`},
		"condition without values":       {condition(`{"StringEquals":{"a":[]}}`), "Statement[0].Condition.StringEquals.a must not be an empty list"},
		"condition value null":           {condition(`{"StringEquals":{"a":null}}`), "Statement[0].Condition.StringEquals.a must be a string, number, boolean or a list of them"},
		"condition value an object":      {condition(`{"StringEquals":{"a":["x",{}]}}`), "Statement[0].Condition.StringEquals.a must be a string, number"},
		"condition value a nested list":  {condition(`{"StringEquals":{"a":[["x"]]}}`), "Statement[0].Condition.StringEquals.a must be a string, number"},
		"number that is none":            {condition(`{"NumericEquals":{"a":"ten"}}`), `Statement[0].Condition.NumericEquals.a: "ten" must be a decimal number`},
		"number with an exponent":        {condition(`{"NumericEquals":{"a":1e99999999}}`), `"1e99999999" must be a decimal number`},
		"date without a zone":            {condition(`{"DateEquals":{"a":"2026-01-31T08:00:00"}}`), `"2026-01-31T08:00:00" must be an ISO 8601 time with a zone`},
		"boolean that is none":           {condition(`{"Bool":{"a":["true",1]}}`), `"1" must be true or false`},
		"address that is none":           {condition(`{"IpAddress":{"a":"10.0.0"}}`), `"10.0.0" must be an IP address or a prefix`},
		"prefix that is none":            {condition(`{"NotIpAddress":{"a":"10.0.0.0/33"}}`), `"10.0.0.0/33" must be an IP address or a prefix`},
		"address with a zone":            {condition(`{"IpAddress":{"a":"fe80::1%eth0"}}`), `must be an IP address or a prefix`},
		"prefix wider than mapped space": {condition(`{"IpAddress":{"a":"::ffff:10.0.0.0/90"}}`), `must be an IP address or a prefix`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(c.document)
			checkRefusal(t, err, "MalformedPolicyDocument", "The policy document is malformed: ", c.want)
		})
	}
}

func checkRefusal(t *testing.T, err error, code, lead, want string) {
	t.Helper()
	refusal, ok := errors.AsType[*portolan.Error](err)
	if !ok {
		t.Fatalf("error is %v, want a portolan.Error", err)
	}
	if refusal.Code != code || refusal.Status != http.StatusBadRequest {
		t.Errorf("got %s %d, want %s 400", refusal.Code, refusal.Status, code)
	}
	if !strings.HasPrefix(refusal.Message, lead) || !strings.Contains(refusal.Message, want) {
		t.Errorf("message is %q, want %q … %q", refusal.Message, lead, want)
	}
}

func TestKindsOfDocuments(t *testing.T) {
	t.Parallel()
	trust := func(document string) (*Policy, error) {
		_, err := ParseTrust(document)
		return nil, err
	}
	for name, c := range map[string]struct {
		parse              func(string) (*Policy, error)
		limit              int
		tooLong, malformed string
		lead               string
	}{
		"identity": {Parse, 6144, "InvalidParameter.PolicyDocument.Length", "MalformedPolicyDocument", "The policy document is malformed: "},
		"session":  {ParseSession, 2048, "InvalidParameter.PolicySize", "InvalidParameter.PolicyGrammar", "The parameter Policy has not passed grammar check: "},
		"trust":    {trust, 4096, "InvalidParameter.AssumeRolePolicyDocument.Length", "MalformedPolicyDocument", "The trust policy document is malformed: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.parse(strings.Repeat("容", c.limit+1))
			checkRefusal(t, err, c.tooLong, "The policy document has ", fmt.Sprintf("%d characters; at most %d are allowed", c.limit+1, c.limit))
			_, err = c.parse(strings.Repeat("容", c.limit))
			checkRefusal(t, err, c.malformed, c.lead, "not JSON")
		})
	}
}

func TestSessionPolicyHasTheIdentityGrammar(t *testing.T) {
	t.Parallel()
	if _, err := ParseSession(withStatement(allowAll)); err != nil {
		t.Error(err)
	}
	_, err := ParseSession(withStatement(`{"Effect":"Allow","Action":"*"}`))
	checkRefusal(t, err, "InvalidParameter.PolicyGrammar", "", "Statement[0].Resource is missing")
}
