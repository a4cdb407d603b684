package sas

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"portolan/internal/store/storetest"
)

func TestAddPrivateRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		got := must[addPrivateRegistryResponse](r, "AddPrivateRegistry", "RegistryType", "quay", "DomainName", "Bücher.Example.", "ProtocolType", "1", "NetType", "2", "VpcId", "vpc-1",
			"UserName", "u", "Password", "p", "RegistryRegionId", "eu-1", "RegistryVersion", "V2", "TransPerHour", "7", "PersistenceDay", "9", "RegistryName", strings.Repeat("🚀", 128),
			"RegistryHostIp", "::ffff:10.0.0.9").Data
		want := addedRegistry{
			AliUID: accountA, DomainName: "xn--bcher-kva.example", ID: got.ID, NetType: 2, Password: "******", ProtocolType: 1, RegionID: "eu-1", RegistryHostIP: "10.0.0.9",
			RegistryType: "quay", RegistryVersion: "V2", TransPerHour: 7, UserName: "u", VpcID: "vpc-1", Port: 80, RegistryName: strings.Repeat("🚀", 128),
		}
		if got != want {
			t.Errorf("answer\n%+v, want\n%+v", got, want)
		}
		if len(r.jobs) != 1 {
			t.Errorf("%d readings were asked for", len(r.jobs))
		}
	})
}

func TestAddPrivateRegistryRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	base := func(more ...string) []string {
		params := []string{"RegistryType", "harbor", "DomainName", "harbor.example.com"}
		for i := 0; i < len(more); i += 2 {
			switch more[i] {
			case "RegistryType":
				params[1] = more[i+1]
			case "DomainName":
				params[3] = more[i+1]
			default:
				params = append(params, more[i], more[i+1])
			}
		}
		return params
	}
	many := func(n int) string { return strings.TrimSuffix(strings.Repeat("192.0.2.1,", n), ",") }
	tests := []struct {
		code, part string
		params     []string
	}{
		{"MissingRegistryType", "", []string{"DomainName", "a.example"}},
		{"MissingDomainName", "", []string{"RegistryType", "harbor"}},
		{"InvalidParameter", "RegistryType must be one of", base("RegistryType", "CI/CD")},
		{"InvalidParameter", "RegistryType must be one of", base("RegistryType", "Harbor")},
		{"InvalidParameter", "RegistryName", base("RegistryName", strings.Repeat("像", 129))},
		{"InvalidParameter", "RegistryName", base("RegistryName", "a\tb")},
		{"InvalidParameter", "RegistryName", base("RegistryName", "a\u0085b")},
		{"MissingPassword", "", base("UserName", "u")},
		{"MissingUserName", "", base("Password", "p")},
		{"InvalidParameter", "mask", base("UserName", "u", "Password", "******")},
		{"InvalidParameter", "Port", base("Port", "0")},
		{"InvalidParameter", "Port", base("Port", "65536")},
		{"InvalidParameter", "ProtocolType", base("ProtocolType", "3")},
		{"InvalidParameter", "NetType", base("NetType", "3")},
		{"MissingVpcId", "", base("NetType", "2")},
		{"InvalidParameter", "VpcId", base("VpcId", "vpc-1")},
		{"InvalidParameter", "VpcId", base("NetType", "1", "VpcId", "vpc-1")},
		{"InvalidParameter", "RegistryRegionId", base("RegistryRegionId", "CN")},
		{"InvalidParameter", "RegistryRegionId", base("RegistryRegionId", strings.Repeat("a", 65))},
		{"UnsupportedOperation", "V1", base("RegistryVersion", "V1")},
		{"InvalidParameter", "RegistryVersion", base("RegistryVersion", "v2")},
		{"InvalidParameter", "TransPerHour", base("TransPerHour", "0")},
		{"InvalidParameter", "TransPerHour", base("TransPerHour", "100001")},
		{"InvalidParameter", "PersistenceDay", base("PersistenceDay", "3651")},
		{"InvalidParameter", "WhiteList holds", base("WhiteList", "192.0.2.0/33")},
		{"InvalidParameter", "more than 100", base("BlackList", many(101))},
		{"InvalidParameter", "RegistryHostIp", base("RegistryHostIp", "harbor.example.com")},
		{"AddressForbidden", "DomainName 127.0.0.1", base("DomainName", "127.0.0.1")},
		{"AddressForbidden", "DomainName 127.0.0.1", base("DomainName", "１２７.0.0.1.")},
		{"AddressForbidden", "DomainName ::1", base("DomainName", "[::1]")},
		{"AddressForbidden", "DomainName 10.0.0.1", base("DomainName", "::ffff:10.0.0.1")},
		{"AddressForbidden", "RegistryHostIp 169.254.169.254", base("RegistryHostIp", "169.254.169.254")},
	}
	for _, host := range []string{
		"https://harbor.example.com", "harbor.example.com:443", "harbor.example.com/x", "a b", "-a.example", "a..example", ".", "*.example.com", "[1.2.3.4]",
		"fe80::1%eth0", strings.Repeat("a", 64) + ".example", strings.Repeat("abcdefg.", 32) + "example",
	} {
		tests = append(tests, struct {
			code, part string
			params     []string
		}{"InvalidParameter", "DomainName must be a host name", base("DomainName", host)})
	}
	for _, tt := range tests {
		refuse(r, tt.code, tt.part, "AddPrivateRegistry", tt.params...)
	}
	if n := must[pageImageRegistryResponse](r, "PageImageRegistry").PageInfo.TotalCount; n != 0 {
		t.Errorf("%d registries were saved by refused calls", n)
	}
	must[addPrivateRegistryResponse](r, "AddPrivateRegistry", base("DomainName", "my_registry.r1---x.example", "WhiteList", many(100)+", ,")...)
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		first := r.add("DomainName", "One.Example.Com")
		refuse(r, "RegistryAlreadyExists", "Id "+first, "AddPrivateRegistry", "RegistryType", "oci", "DomainName", "one.example.com.", "ProtocolType", "1", "Port", "443")
		for i, other := range [][]string{
			{"RegistryType", "quay"}, {"Port", "444"}, {"UserName", "u", "Password", "p"}, {"NetType", "2", "VpcId", "v"}, {"RegistryHostIp", "203.0.113.1"},
		} {
			if id := r.add(append(other, "DomainName", "one.example.com")...); id == first {
				t.Errorf("%d: the same id %s twice", i, id)
			}
		}
		second := r.add("Port", "5000", "DomainName", "one.example.com")
		refuse(r, "RegistryAlreadyExists", "Id "+first, "ModifyImageRegistry", "Id", second, "Port", "443")
		r.account = accountB
		r.add("DomainName", "one.example.com")
		r.account = accountA
		must[doneResponse](r, "DeletePrivateRegistry", "RegistryId", first)
		again := r.add("DomainName", "one.example.com")
		if again == first {
			t.Errorf("id %s is used again", again)
		}
		refuse(r, "RegistryAlreadyExists", "was added since", "RestoreImageRegistry", "RegistryId", first)
	})
}

// A registry of another account is as unknown as one that never was.
func TestForeignRegistries(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		foreign := r.stock()
		r.account = accountB
		for _, id := range []string{foreign, "9007199254740991"} {
			for operation, param := range map[string]string{
				"ModifyImageRegistry": "Id", "DeletePrivateRegistry": "RegistryId", "RestoreImageRegistry": "RegistryId", "ListImageRegistryExtra": "RegistryId",
				"SyncImageRegistry": "RegistryId", "TestImageRegistry": "RegistryId", "DescribeImageRegistrySync": "RegistryId", "DescribeImageRegistrySyncs": "RegistryId",
			} {
				refuse(r, "RegistryNotExist", "The specified registry does not exist.", operation, param, id)
			}
		}
		if n := must[describeImageInstancesResponse](r, "DescribeImageInstances").PageInfo.TotalCount; n != 0 {
			t.Errorf("another account sees %d images", n)
		}
		if n := must[describeImageRepoListResponse](r, "DescribeImageRepoList", "Type", "image_repo", "TargetType", "image_repo").AllTargetCount; n != 0 {
			t.Errorf("another account sees %d repositories", n)
		}
		if n := must[findImageResponse](r, "FindImage", "Image", "1.0").PageInfo.TotalCount; n != 0 {
			t.Errorf("another account finds %d images", n)
		}
		if n := must[describeImageStatisticsResponse](r, "DescribeImageStatistics").InstanceCount; n != 0 {
			t.Errorf("another account counts %d images", n)
		}
		for _, c := range must[criteriaListResponse](r, "DescribeImageCriteria").CriteriaList {
			if c.Type == "input" && c.Values != "" {
				t.Errorf("another account is shown the choices %+v", c)
			}
		}
		for _, x := range must[listPrivateRegistryTypeResponse](r, "ListPrivateRegistryType").RegistryTypeInfos {
			if x.Count != 0 {
				t.Errorf("another account counts %+v", x)
			}
		}
	})
}

func TestModifyImageRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.add("UserName", "u", "Password", "p", "RegistryName", "old")
		r.read()
		must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "RegistryName", "new", "TransPerHour", "5", "PersistenceDay", "6", "WhiteList", "192.0.2.1", "BlackList", "192.0.2.2",
			"RegistryRegionId", "x-1", "UserName", "", "DomainName", "", "Port", "")
		row := r.entry(id)
		if row.RegistryName != "new" || row.TransPerHour != 5 || row.PersistenceDay != 6 || row.WhiteList != "192.0.2.1" || row.BlackList != "192.0.2.2" || row.RegionID != "x-1" ||
			row.UserName != "u" || row.DomainName != "shelf.example.com" || row.Password == "" {
			t.Errorf("after a change of everything harmless: %+v", row)
		}
		if len(r.jobs) != 0 {
			t.Errorf("it is read again although nothing of how it is read changed")
		}
		must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "ClearFields.1", "WhiteList", "ClearFields.2", "BlackList")
		if row := r.entry(id); row.WhiteList+row.BlackList != "" {
			t.Errorf("ClearFields left %+v", row)
		}
		resp := must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "Password", "q")
		if resp.outcome != succeeded() || len(r.jobs) != 1 {
			t.Errorf("a new password: %+v, %d readings asked for", resp, len(r.jobs))
		}
		r.read()
		must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "ClearFields.1", "UserName")
		if row := r.entry(id); row.UserName != "" || row.Password != "" || len(r.jobs) != 1 {
			t.Errorf("made anonymous: %+v", row)
		}
		// Anonymous: there is no secret that could go elsewhere.
		must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "DomainName", "elsewhere.example.com", "ProtocolType", "1")
		if got := r.entry(id); got.DomainName != "elsewhere.example.com" || got.ProtocolType != 1 {
			t.Errorf("moved: %+v", got)
		}
		for _, info := range collectInfos(t, r, "") {
			if info.Port != 80 {
				t.Errorf("the port that went without saying is %d after the protocol became HTTP", info.Port)
			}
		}
		refuse(r, "MissingId", "", "ModifyImageRegistry", "RegistryName", "x")
		refuse(r, "InvalidParameter", `ClearFields holds "DomainName"`, "ModifyImageRegistry", "Id", id, "ClearFields.1", "DomainName")
		refuse(r, "AddressForbidden", "127.0.0.1", "ModifyImageRegistry", "Id", id, "DomainName", "127.0.0.1")
		refuse(r, "UnsupportedOperation", "V1", "ModifyImageRegistry", "Id", id, "RegistryVersion", "V1")
		refuse(r, "MissingPassword", "", "ModifyImageRegistry", "Id", id, "UserName", "u")
		refuse(r, "MissingUserName", "", "ModifyImageRegistry", "Id", id, "Password", "p")
	})
}

func collectInfos(t *testing.T, r *rig, kind string) (list []registryInfo) {
	t.Helper()
	for info, err := range must[listPrivateRegistryListResponse](r, "ListPrivateRegistryList", "RegistryType", kind).ImageRegistryInfos {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info)
	}
	return list
}

func TestRestoreImageRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		before := must[describeImageInstancesResponse](r, "DescribeImageInstances")
		must[doneResponse](r, "DeletePrivateRegistry", "RegistryId", id)
		refuse(r, "RegistryNotExist", "", "DeletePrivateRegistry", "RegistryId", id)
		if n := must[describeImageInstancesResponse](r, "DescribeImageInstances").PageInfo.TotalCount; n != 0 {
			t.Errorf("%d images of a deleted registry are shown", n)
		}
		if n := must[pageImageRegistryResponse](r, "PageImageRegistry").PageInfo.TotalCount; n != 0 {
			t.Errorf("%d registries are shown", n)
		}
		r.wait(7*24*time.Hour - time.Minute)
		if done := must[doneResponse](r, "RestoreImageRegistry", "RegistryId", id); !done.Data || len(r.jobs) != 1 {
			t.Errorf("restored: %+v, %d readings asked for", done, len(r.jobs))
		}
		refuse(r, "RegistryNotExist", "", "RestoreImageRegistry", "RegistryId", id)
		after := must[describeImageInstancesResponse](r, "DescribeImageInstances")
		if len(after.ImageInstanceList) != len(before.ImageInstanceList) || after.ImageInstanceList[0].UUID != before.ImageInstanceList[0].UUID || r.entry(id).ImageCount != 5 {
			t.Errorf("restored with %+v", after.PageInfo)
		}
		r.read()
		must[doneResponse](r, "DeletePrivateRegistry", "RegistryId", id)
		r.wait(7*24*time.Hour + time.Minute)
		refuse(r, "RegistryNotExist", "", "RestoreImageRegistry", "RegistryId", id)
	})
}

func TestRegistryLists(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var ids []string
		for i, kind := range []string{"harbor", "oci", "harbor", "quay"} {
			ids = append(ids, r.add("RegistryType", kind, "DomainName", fmt.Sprintf("r%d.example.com", i), "RegistryRegionId", fmt.Sprintf("z-%d", i%2), "UserName", "u", "Password", "p"))
		}
		infos := collectInfos(t, r, "")
		if len(infos) != 4 || strconv.FormatInt(infos[0].ID, 10) != ids[3] || infos[0].AliUID != accountA || infos[0].Password != "******" || infos[0].Port != 443 || infos[0].RegistryVersion != "V2" {
			t.Errorf("ListPrivateRegistryList: %+v", infos)
		}
		if infos := collectInfos(t, r, "harbor"); len(infos) != 2 {
			t.Errorf("ListPrivateRegistryList of harbor: %+v", infos)
		}
		if infos := collectInfos(t, r, "Harbor"); len(infos) != 0 {
			t.Errorf("ListPrivateRegistryList of a type that does not exist: %+v", infos)
		}
		var counts string
		for _, x := range must[listPrivateRegistryTypeResponse](r, "ListPrivateRegistryType").RegistryTypeInfos {
			counts += fmt.Sprintf("%s=%d ", x.RegistryType, x.Count)
		}
		if counts != "acr=0 harbor=2 quay=1 CI/CD=0 oci=1 " {
			t.Errorf("ListPrivateRegistryType: %s", counts)
		}
		var regions []string
		for _, x := range must[listImageRegistryRegionResponse](r, "ListImageRegistryRegion", "Lang", "zh").Regions {
			regions = append(regions, x.RegionID)
		}
		if got := strings.Join(regions, " "); got != "cn-hangzhou ap-southeast-1 z-0 z-1" {
			t.Errorf("ListImageRegistryRegion: %s", got)
		}
	})
}

func TestRefreshContainerAssets(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.stock()
		refuse(r, "UnsupportedOperation", "CONTAINER", "RefreshContainerAssets", "AssetType", "CONTAINER")
		refuse(r, "InvalidParameter", "AssetType must be one of", "RefreshContainerAssets", "AssetType", "IMAGES")
		refuse(r, "MissingAssetType", "", "RefreshContainerAssets")
		must[emptyResponse](r, "RefreshContainerAssets", "AssetType", "IMAGE")
		if err := r.service.Inventory.Due(t.Context()); err != nil || len(r.jobs) != 1 {
			t.Errorf("%d readings are due, %v", len(r.jobs), err)
		}
	})
}
