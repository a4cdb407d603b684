package policy

import "strings"

// System is a policy that every account has and none can change.
type System struct {
	Name        string
	Description string
	Document    string
}

// SystemPolicies lists all system policies by name.
func SystemPolicies() []System {
	return []System{
		{"AdministratorAccess", "Manage all resources of the account.", administratorAccess},
		{"AliyunRAMFullAccess", "Manage RAM: users, keys, groups, roles and policies.", ramFullAccess},
		{"AliyunRAMReadOnlyAccess", "Read RAM: users, keys, groups, roles and policies.", ramReadOnlyAccess},
		{"AliyunSTSAssumeRoleAccess", "Call AssumeRole of STS.", stsAssumeRoleAccess},
		{"AliyunYundunSASFullAccess", "Manage Security Center.", sasFullAccess},
		{"AliyunYundunSASReadOnlyAccess", "Read Security Center.", sasReadOnlyAccess},
	}
}

// LookupSystem finds a system policy by its name, compared without case as the
// names of custom policies are.
func LookupSystem(name string) (System, bool) {
	for _, s := range SystemPolicies() {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return System{}, false
}

const administratorAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    }
  ]
}`

const ramFullAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "ram:*",
      "Resource": "*"
    }
  ]
}`

const ramReadOnlyAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "ram:Get*",
        "ram:List*",
        "ram:GenerateCredentialReport"
      ],
      "Resource": "*"
    }
  ]
}`

const stsAssumeRoleAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "sts:AssumeRole",
      "Resource": "*"
    }
  ]
}`

// The documents of the two Security Center policies are not published; these
// grant what their names say. ReadOnly goes by the verbs with which the vendor
// names reads. Page and Check belong to them: without Page a reader could not
// call PageImageRegistry. Find is ours, for FindImage, and therefore granted
// under yundun-sas alone. An operation that changes or dials must not get a
// name with one of these verbs. yundun-aegis is the same service's older code:
// granted as the vendor does, though no operation here goes by it.
const (
	sasFullAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "yundun-sas:*",
        "yundun-aegis:*"
      ],
      "Resource": "*"
    }
  ]
}`

	sasReadOnlyAccess = `{
  "Version": "1",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": [
        "yundun-sas:Get*",
        "yundun-sas:List*",
        "yundun-sas:Describe*",
        "yundun-sas:Query*",
        "yundun-sas:Page*",
        "yundun-sas:Check*",
        "yundun-sas:Find*",
        "yundun-aegis:Get*",
        "yundun-aegis:List*",
        "yundun-aegis:Describe*",
        "yundun-aegis:Query*",
        "yundun-aegis:Page*",
        "yundun-aegis:Check*"
      ],
      "Resource": "*"
    }
  ]
}`
)
