package policy

import (
	"slices"
	"strings"
	"testing"
)

// allowedBy lists those of the actions that a system policy allows.
func allowedBy(t *testing.T, name string, actions []string) []string {
	t.Helper()
	s, ok := LookupSystem(name)
	if !ok {
		t.Fatalf("there is no %s", name)
	}
	p, err := Parse(s.Document)
	if err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, action := range actions {
		req := Request{Action: action, Resource: "acs:" + strings.ReplaceAll(action, ":", ":*:1234567890123456:")}
		if Decide(req, Set{Policies: []Named{{Name: name, Policy: p}}}).Allowed() {
			allowed = append(allowed, action)
		}
	}
	return allowed
}

var (
	sasReads = []string{
		"yundun-sas:PageImageRegistry", "yundun-sas:ListPrivateRegistryList", "yundun-sas:ListPrivateRegistryType",
		"yundun-sas:ListImageRegistryRegion", "yundun-sas:ListImageRegistryExtra", "yundun-sas:GetRegistryScanDayNum",
		"yundun-sas:QueryJenkinsImageRegistryPersistenceDay", "yundun-sas:DescribeImageRepoList",
		"yundun-sas:DescribeImageInstances", "yundun-sas:DescribeImageInfoList", "yundun-sas:ListImageRisk",
		"yundun-sas:DescribeImageRegistrySync", "yundun-sas:DescribeImageRegistrySyncs", "yundun-sas:FindImage",
		"yundun-sas:CheckInstall", "yundun-aegis:DescribeInstances", "yundun-aegis:CheckInstall",
	}
	sasWrites = []string{
		"yundun-sas:AddPrivateRegistry", "yundun-sas:ModifyImageRegistry", "yundun-sas:DeletePrivateRegistry",
		"yundun-sas:RestoreImageRegistry", "yundun-sas:RefreshRegistryToken", "yundun-sas:SetRegistryScanDayNum",
		"yundun-sas:CreateJenkinsImageRegistry", "yundun-sas:UpdateJenkinsImageRegistryName",
		"yundun-sas:UpdateJenkinsImageRegistryPersistenceDay", "yundun-sas:CreateJenkinsImageScanTask",
		"yundun-sas:RefreshContainerAssets", "yundun-sas:TestImageRegistry", "yundun-sas:SyncImageRegistry",
		"yundun-sas:PublicPreCheckImageScanTask", "yundun-sas:PublicCreateImageScanTask",
		"yundun-sas:PublicSyncAndCreateImageScanTask", "yundun-sas:AddImageVulWhiteList",
		"yundun-sas:DeleteImageVulWhitelist", "yundun-sas:UpdateImageVulWhitelistTarget", "yundun-sas:OperateImageVul",
	}
	ramReads  = []string{"ram:GetUser", "ram:ListUsers", "ram:GenerateCredentialReport"}
	ramWrites = []string{"ram:CreateUser", "ram:AttachPolicyToUser", "ram:DeleteRole"}
	others    = []string{"sts:AssumeRole", "ecs:RunInstances", "yundun-aegis:FindX"}
)

func TestSystemPolicies(t *testing.T) {
	t.Parallel()
	all := slices.Concat(sasReads, sasWrites, ramReads, ramWrites, others)
	want := map[string][]string{
		"AdministratorAccess":           all,
		"AliyunRAMFullAccess":           slices.Concat(ramReads, ramWrites),
		"AliyunRAMReadOnlyAccess":       ramReads,
		"AliyunSTSAssumeRoleAccess":     {"sts:AssumeRole"},
		"AliyunYundunSASFullAccess":     slices.Concat(sasReads, sasWrites, []string{"yundun-aegis:FindX"}),
		"AliyunYundunSASReadOnlyAccess": sasReads,
	}
	for _, s := range SystemPolicies() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			if got := allowedBy(t, s.Name, all); !slices.Equal(got, want[s.Name]) {
				t.Errorf("allows %q, want %q", got, want[s.Name])
			}
			if s.Description == "" {
				t.Error("has no description")
			}
		})
	}
	if got := len(SystemPolicies()); got != len(want) {
		t.Errorf("there are %d system policies, want %d", got, len(want))
	}
	if !slices.IsSortedFunc(SystemPolicies(), func(a, b System) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the list is not in the order of names")
	}
}

func TestLookupSystem(t *testing.T) {
	t.Parallel()
	if s, ok := LookupSystem("aliyunyundunsasFULLaccess"); !ok || s.Name != "AliyunYundunSASFullAccess" {
		t.Errorf("another case finds %q, %v", s.Name, ok)
	}
	if s, ok := LookupSystem("AliyunYundunSASFullAccess "); ok {
		t.Errorf("a name with a blank finds %q", s.Name)
	}
}
