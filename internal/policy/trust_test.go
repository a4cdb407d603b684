package policy

import "testing"

func TestParseTrustRefuses(t *testing.T) {
	t.Parallel()
	principal := func(p string) string {
		return withStatement(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":` + p + `}`)
	}
	for name, c := range map[string]struct{ document, want string }{
		"no principal":           {withStatement(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), "Statement[0].Principal is missing"},
		"resource":               {withStatement(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Principal":{"RAM":"acs:ram::1:root"}}`), `Statement[0]: "Resource" is not an element here; use Effect, Action, Principal, Condition, Sid`},
		"NotAction":              {withStatement(`{"Effect":"Allow","NotAction":"sts:AssumeRole","Principal":{"RAM":"acs:ram::1:root"}}`), `"NotAction" is not an element here`},
		"star":                   {principal(`"*"`), "Statement[0].Principal must be an object with RAM, Service or Federated"},
		"empty":                  {principal(`{}`), "Statement[0].Principal must be an object with RAM, Service or Federated"},
		"unknown kind":           {principal(`{"AWS":"x"}`), `Statement[0].Principal: "AWS" is not an element here; use RAM, Service, Federated`},
		"empty list":             {principal(`{"RAM":[]}`), "Statement[0].Principal.RAM must not be an empty list"},
		"number":                 {principal(`{"RAM":[1]}`), "Statement[0].Principal.RAM must be a string or a list of strings"},
		"star of RAM":            {principal(`{"RAM":"*"}`), `Statement[0].Principal.RAM: "*" must be acs:ram::<account id>:root, :user/<name> or :role/<name>, without wildcards`},
		"any account":            {principal(`{"RAM":"acs:ram::*:root"}`), `"acs:ram::*:root" must be`},
		"no account":             {principal(`{"RAM":"acs:ram:::root"}`), `"acs:ram:::root" must be`},
		"any user":               {principal(`{"RAM":"acs:ram::1:user/*"}`), `"acs:ram::1:user/*" must be`},
		"user without a name":    {principal(`{"RAM":"acs:ram::1:user/"}`), `"acs:ram::1:user/" must be`},
		"root with a path":       {principal(`{"RAM":"acs:ram::1:root/x"}`), `"acs:ram::1:root/x" must be`},
		"group":                  {principal(`{"RAM":"acs:ram::1:group/x"}`), `"acs:ram::1:group/x" must be`},
		"another service":        {principal(`{"RAM":"acs:sts::1:root"}`), `"acs:sts::1:root" must be`},
		"a region":               {principal(`{"RAM":"acs:ram:cn-hangzhou:1:root"}`), `must be acs:ram::`},
		"provider of RAM":        {principal(`{"RAM":"acs:ram::1:oidc-provider/x"}`), `must be acs:ram::<account id>:root`},
		"user as federated":      {principal(`{"Federated":"acs:ram::1:user/x"}`), `Statement[0].Principal.Federated: "acs:ram::1:user/x" must be acs:ram::<account id>:oidc-provider/<name>`},
		"root as federated":      {principal(`{"Federated":"acs:ram::1:root"}`), `must be acs:ram::<account id>:oidc-provider/<name>`},
		"any provider":           {principal(`{"Federated":"acs:ram::1:oidc-provider/*"}`), `must be acs:ram::<account id>:oidc-provider/<name>`},
		"service with wildcards": {principal(`{"Service":"*.aliyuncs.com"}`), `Statement[0].Principal.Service: "*.aliyuncs.com" must be the name of a service, such as ecs.aliyuncs.com`},
		"service without a name": {principal(`{"Service":""}`), "must be the name of a service"},
		"bad condition":          {withStatement(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":"acs:ram::1:root"},"Condition":{"Null":{"a":"true"}}}`), `the condition operator "Null" is not supported`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseTrust(c.document)
			checkRefusal(t, err, "MalformedPolicyDocument", "The trust policy document is malformed: ", c.want)
		})
	}
}
