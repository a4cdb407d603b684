package sas

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan"
	"portolan/internal/connector"
	"portolan/internal/store/storetest"
)

func hexOf(n int) string { return digestOf(n).Wire() }

// places names the images of rows as path@number.
func places(rows []imageRow) string {
	list := make([]string, len(rows))
	for i, row := range rows {
		list[i] = fmt.Sprintf("%s/%s@%s", row.RepoNamespace, row.RepoName, strings.TrimLeft(row.Digest, "0"))
	}
	return strings.Join(list, " ")
}

func TestDescribeImageInstances(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		resp := must[describeImageInstancesResponse](r, "DescribeImageInstances")
		if resp.PageInfo != (pageInfo{Count: 5, CurrentPage: 1, PageSize: 20, TotalCount: 5}) || r.entry(id).ImageCount != 5 {
			t.Fatalf("%+v, ImageCount %d", resp.PageInfo, r.entry(id).ImageCount)
		}
		byPlace := map[string]imageRow{}
		for _, row := range resp.ImageInstanceList {
			byPlace[places([]imageRow{row})] = row
		}
		front := byPlace["public/web/front@12"]
		if front.Tag != "latest" || strings.Join(front.Tags, " ") != "1.1 latest" || front.RepoType != "public" || front.ImageID != hexOf(0x12) || front.ImageSize != "100" ||
			fmt.Sprint(front.RegistryID) != id || front.RegistryType != "oci" || front.Status != "NORMAL" || front.Endpoints != `[{"type":"internet","domains":["shelf.example.com"]}]` ||
			!strings.HasPrefix(front.InstanceID, "cri-") || !strings.HasPrefix(front.RepoID, "crr-") || front.ImageUpdate != fmt.Sprint(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMilli()) {
			t.Errorf("front 1.1: %+v", front)
		}
		multi := byPlace["/solo@20"]
		if multi.ImageID != "" || strings.Join(multi.Platforms, " ") != "linux/amd64 linux/arm64" || multi.RepoNamespace != "" || multi.RepoType != "private" {
			t.Errorf("the index: %+v", multi)
		}
		if multi.VulStatus != "NO" || multi.ScaResult != "TASK_NOT_EXISTS" || multi.ScaStatus != "INIT" || multi.VulCount != 0 {
			t.Errorf("fields of scanning: %+v", multi)
		}
		for i := range resp.ImageInstanceList[1:] {
			a, b := resp.ImageInstanceList[i], resp.ImageInstanceList[i+1]
			if a.ImageUpdate < b.ImageUpdate || a.ImageUpdate == b.ImageUpdate && a.UUID <= b.UUID {
				t.Errorf("row %d (%s %s) comes before (%s %s)", i, a.ImageUpdate, a.UUID, b.ImageUpdate, b.UUID)
			}
		}
		if resp := must[describeImageInstancesResponse](r, "DescribeImageInstances", "Scanned", "true"); resp.PageInfo.TotalCount != 0 {
			t.Errorf("scanned: %+v", resp.PageInfo)
		}
		if resp := must[describeImageInstancesResponse](r, "DescribeImageInstances", "CurrentPage", "2", "PageSize", "4", "Scanned", "false"); len(resp.ImageInstanceList) != 1 || resp.PageInfo.TotalCount != 5 {
			t.Errorf("page 2: %+v", resp.PageInfo)
		}
		if n := must[describeImageStatisticsResponse](r, "DescribeImageStatistics").InstanceCount; n != 5 {
			t.Errorf("DescribeImageStatistics counts %d", n)
		}
	})
}

func TestImageCriteria(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		all := must[describeImageInstancesResponse](r, "DescribeImageInstances").ImageInstanceList
		row := all[0]
		tests := []struct {
			name, criteria, exp string
			want                int
		}{
			{"none", "", "", 5},
			{"empty list", "[]", "", 5},
			{"substring, folded", `[{"name":"repoName","value":"FRON"}]`, "", 2},
			{"namespace", `[{"name":"repoNamespace","value":"web"}]`, "", 2},
			{"tag, folded", `[{"name":"tag","value":"üNÏ"}]`, "", 1},
			{"tag, plain percent", `[{"name":"tag","value":"0%"}]`, "", 1},
			{"same name: any", `[{"name":"repoName","value":"front"},{"name":"repoName","value":"api"}]`, "", 4},
			{"different names: all", `[{"name":"repoName","value":"front"},{"name":"tag","value":"1.0"}]`, "", 1},
			{"LogicalExp", `[{"name":"repoName","value":"front"},{"name":"tag","value":"1.0"}]`, "OR", 3},
			{"own logicalExp", `[{"name":"repoName","value":"front"},{"name":"tag","value":"1.0","logicalExp":"OR"}]`, "", 3},
			{"LogicalExp wins", `[{"name":"repoName","value":"front"},{"name":"tag","value":"1.0","logicalExp":"OR"}]`, "AND", 1},
			{"digest, bare", `[{"name":"digest","value":"` + hexOf(0x11) + `"}]`, "", 2},
			{"digest, full", `[{"name":"digest","value":"sha256:` + hexOf(0x11) + `"}]`, "", 2},
			{"no digest", `[{"name":"digest","value":"11"}]`, "", 0},
			{"imageId", `[{"name":"imageId","value":"` + hexOf(0x11) + `"}]`, "", 2},
			{"ImageId", `[{"name":"ImageId","value":"` + hexOf(0x13) + `"}]`, "", 1},
			{"instanceId", `[{"name":"instanceId","value":"` + row.InstanceID + `"}]`, "", 5},
			{"registry id", `[{"name":"instanceId","value":"` + id + `"}]`, "", 5},
			{"instanceId, unknown", `[{"name":"instanceId","value":"cri-x"}]`, "", 0},
			{"uuid", `[{"name":"uuid","value":"` + row.UUID + `"}]`, "", 1},
			{"repoId", `[{"name":"repoId","value":"` + row.RepoID + `"}]`, "", map[string]int{"front": 2, "api": 2, "solo": 1}[row.RepoName]},
			{"regionId", `[{"name":"regionId","value":"cn-hangzhou"}]`, "", 5},
			{"registryType", `[{"name":"registryType","value":"harbor"}]`, "", 0},
			{"status", `[{"name":"vulStatus","value":"NO"}]`, "", 5},
			{"status of scanning", `[{"name":"riskStatus","value":"YES"}]`, "", 0},
			{"status or", `[{"name":"riskStatus","value":"YES"},{"name":"repoName","value":"solo"}]`, "OR", 1},
		}
		for _, tt := range tests {
			resp := must[describeImageInstancesResponse](r, "DescribeImageInstances", "Criteria", tt.criteria, "LogicalExp", tt.exp)
			if resp.PageInfo.TotalCount != tt.want || len(resp.ImageInstanceList) != tt.want {
				t.Errorf("%s: %d of %d images, want %d", tt.name, len(resp.ImageInstanceList), resp.PageInfo.TotalCount, tt.want)
			}
			// Repositories can be selected by the same names.
			if _, err := r.call("DescribeImageRepoDetailList", "Criteria", tt.criteria, "LogicalExp", tt.exp); err != nil {
				t.Errorf("%s: repositories: %v", tt.name, err)
			}
		}
	})
}

func TestDescribeImageRepoDetailList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		resp := must[describeImageRepoDetailListResponse](r, "DescribeImageRepoDetailList")
		sum := 0
		for _, p := range resp.ImageRepoResponses {
			sum += p.ImageCount
			if p.VulStatus != "NO" || fmt.Sprint(p.RegistryID) != id {
				t.Errorf("%+v", p)
			}
		}
		if sum != r.entry(id).ImageCount || resp.PageInfo.TotalCount != 3 || resp.PageInfo.Count != 3 {
			t.Errorf("the repositories count %d images: %+v", sum, resp.PageInfo)
		}
		for criteria, want := range map[string]int{
			`[{"name":"repoName","value":"API"}]`: 1, `[{"name":"tag","value":"1.0"}]`: 2, `[{"name":"ImageId","value":"` + hexOf(0x11) + `"}]`: 2,
			`[{"name":"riskStatus","value":"YES"}]`: 0, `[{"name":"repoNamespace","value":"web"},{"name":"tag","value":"1.0"}]`: 1,
		} {
			resp, err := call[describeImageRepoDetailListResponse](r, "DescribeImageRepoDetailList", "Criteria", criteria)
			if err != nil || resp.PageInfo.TotalCount != want || len(resp.ImageRepoResponses) != want {
				t.Errorf("%s: %+v, %v; want %d repositories", criteria, resp, err, want)
			}
		}
	})
}

func TestDescribeImageRepoList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.stock()
		list := func(params ...string) *describeImageRepoListResponse {
			t.Helper()
			return must[describeImageRepoListResponse](r, "DescribeImageRepoList", append(params, "Type", "image_repo", "TargetType", "image_repo")...)
		}
		tests := []struct {
			name        string
			params      []string
			rows, total int
		}{
			{"all", nil, 3, 3},
			{"field", []string{"FieldName", "repoName", "FieldValue", "FRONT"}, 1, 1},
			{"namespace field", []string{"FieldName", "repoNamespace", "FieldValue", "e"}, 2, 2},
			{"name", []string{"RepoName", "o"}, 2, 2},
			{"name and namespace", []string{"RepoName", "o", "RepoNamespace", "web"}, 1, 1},
			{"name and field", []string{"RepoName", "o", "FieldName", "repoName", "FieldValue", "s"}, 1, 1},
			{"count", []string{"OperateType", "count"}, 0, 3},
			{"not selected", []string{"Selected", "0"}, 3, 3},
			{"selected", []string{"Selected", "1"}, 0, 0},
			{"page", []string{"CurrentPage", "2", "PageSize", "2"}, 1, 3},
			{"past the end", []string{"CurrentPage", "9"}, 0, 3},
		}
		for _, tt := range tests {
			resp := list(tt.params...)
			if len(resp.ImageRepoList) != tt.rows || resp.PageInfo.TotalCount != tt.total || resp.PageInfo.Count != tt.rows || resp.AllTargetCount != 3 || resp.AddTargetCount+resp.DelTargetCount != 0 {
				t.Errorf("%s: %d rows, %+v", tt.name, len(resp.ImageRepoList), resp)
			}
			for _, p := range resp.ImageRepoList {
				if p.Flag != "" || p.RegistryID == 0 || p.ImageCount == 0 {
					t.Errorf("%s: row %+v", tt.name, p)
				}
			}
		}
		refuse(r, "MissingType", "", "DescribeImageRepoList", "TargetType", "image_repo")
		refuse(r, "InvalidParameter", "FieldName", "DescribeImageRepoList", "Type", "image_repo", "TargetType", "image_repo", "FieldName", "tag")
	})
}

func TestDescribeImage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		row := must[describeImageInstancesResponse](r, "DescribeImageInstances", "Criteria", `[{"name":"tag","value":"latest"}]`).ImageInstanceList[0]
		params := func(instance, region, repo, tag string) []string {
			return []string{"ImageInstanceId", instance, "ImageRegionId", region, "ImageRepoId", repo, "ImageTag", tag}
		}
		for _, instance := range []string{row.InstanceID, id} {
			if got := must[describeImageResponse](r, "DescribeImage", params(instance, "cn-hangzhou", row.RepoID, "1.1")...).Data.Digest; got != hexOf(0x12) {
				t.Errorf("1.1 is %s", got)
			}
		}
		for _, wrong := range [][]string{
			params("cri-x", "cn-hangzhou", row.RepoID, "1.1"), params(id, "x", row.RepoID, "1.1"), params(id, "cn-hangzhou", "crr-x", "1.1"),
			params(id, "cn-hangzhou", row.RepoID, "1"), params(id, "cn-hangzhou", row.RepoID, "LATEST"), params(id, "cn-hangzhou", row.RepoID, "1.1\nlatest"),
		} {
			refuse(r, "ImageNotExist", "The specified image does not exist.", "DescribeImage", wrong...)
		}
		refuse(r, "MissingImageTag", "", "DescribeImage", params(id, "cn-hangzhou", row.RepoID, "")...)
	})
}

func TestDescribeImageInfoList(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.stock()
		all := must[describeImageInstancesResponse](r, "DescribeImageInstances").ImageInstanceList
		want := []string{all[3].UUID, all[0].UUID, all[4].UUID}
		resp := must[describeImageInfoListResponse](r, "DescribeImageInfoList", "Uuids", want[0]+",nobody,"+want[1]+", "+want[2])
		var got []string
		for _, i := range resp.ImageInfos {
			got = append(got, i.UUID)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("order (-want +got):\n%s", d)
		}
		info, row := resp.ImageInfos[0], all[3]
		if info.Digest != row.Digest || fmt.Sprint(info.ImageSize) != row.ImageSize || fmt.Sprint(info.ImageUpdate) != row.ImageUpdate || fmt.Sprint(info.ImageCreate) != row.ImageCreate ||
			info.placed != row.placed || info.Tag != row.Tag || info.RegistryID != row.RegistryID {
			t.Errorf("info %+v, row %+v", info, row)
		}
		refuse(r, "MissingUuids", "", "DescribeImageInfoList")
		refuse(r, "InvalidParameter", "at most 100", "DescribeImageInfoList", "Uuids", strings.Repeat("x,", 101))
	})
}

func TestCriteriaLists(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.stock()
		lists := map[string]map[string]string{}
		for _, operation := range []string{"DescribeImageCriteria", "DescribeImageRepoCriteria"} {
			lists[operation] = map[string]string{}
			for _, c := range must[criteriaListResponse](r, operation).CriteriaList {
				lists[operation][c.Name] = c.Type + " " + c.Values
			}
		}
		got := lists["DescribeImageCriteria"]
		for name, want := range map[string]string{
			"repoName": "input api,front,solo", "repoNamespace": "input public/web,team", "vulStatus": "select NO,YES", "alarmStatus": "select NO,YES", "hcStatus": "select NO,YES",
			"riskStatus": "select NO,YES", "registryType": "select acr,harbor,quay,CI/CD,oci", "regionId": "input cn-hangzhou",
			"digest": "input " + strings.Join([]string{hexOf(0x11), hexOf(0x12), hexOf(0x13), hexOf(0x20)}, ","),
		} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
		for _, name := range []string{"instanceId", "repoName", "repoId", "repoNamespace", "regionId", "vulStatus", "alarmStatus", "hcStatus", "riskStatus", "registryType", "ImageId", "tag"} {
			if lists["DescribeImageRepoCriteria"][name] == "" {
				t.Errorf("DescribeImageRepoCriteria has no %s", name)
			}
		}
		for _, c := range must[criteriaListResponse](r, "DescribeImageCriteria", "Value", "FRO").CriteriaList {
			if c.Name == "repoName" && c.Values != "front" || c.Name == "repoNamespace" && c.Values != "" {
				t.Errorf("choices with FRO: %+v", c)
			}
		}
	})
}

func TestFindImage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		r.stock()
		r.shelves["odd.example.com"] = &shelf{repos: map[string]map[string]portolan.Digest{"my.team/api": {"1.0": digestOf(0x31)}, "api": {"1.0": digestOf(0x11)}}}
		r.add("DomainName", "odd.example.com", "Port", "5000")
		r.read()
		tests := map[string]string{
			hexOf(0x12):                                    "public/web/front@12",
			"sha256:" + hexOf(0x12):                        "public/web/front@12",
			strings.ToUpper(hexOf(0x13)):                   "team/api@13",
			"latest":                                       "public/web/front@12",
			"Ünïcode_50%":                                  "team/api@13",
			"api:1.0":                                      "/api@11 my.team/api@31 team/api@11",
			"team/api:1.0":                                 "team/api@11",
			"eam/api:1.0":                                  "",
			"team/api":                                     "team/api@11 team/api@13",
			"web/front:1.1":                                "public/web/front@12",
			"shelf.example.com/team/api:1.0":               "team/api@11",
			"SHELF.example.com:443/team/api:1.0":           "team/api@11",
			"shelf.example.com:5000/team/api:1.0":          "",
			"odd.example.com:5000/api:1.0":                 "/api@11 my.team/api@31",
			"odd.example.com/api:1.0":                      "",
			"my.team/api":                                  "my.team/api@31",
			"team/api@sha256:" + hexOf(0x13):               "team/api@13",
			"team/api:1.0@sha256:" + hexOf(0x13):           "",
			"team/api:1.0@" + hexOf(0x11):                  "team/api@11",
			"shelf.example.com/solo@sha256:" + hexOf(0x20): "/solo@20",
			"nobody":                    "",
			"elsewhere.io/team/api:1.0": "",
		}
		for text, want := range tests {
			resp := must[findImageResponse](r, "FindImage", "Image", text)
			got := strings.Fields(places(resp.List))
			slices.Sort(got)
			if strings.Join(got, " ") != want || resp.PageInfo.TotalCount != len(got) {
				t.Errorf("%s is at %q (%d), want %q", text, got, resp.PageInfo.TotalCount, want)
			}
		}
		for _, wrong := range []string{"team/api@sha256:12", "@sha256:" + hexOf(1), ":1.0", "team/api:", "team//api", "/api", "api/", "a@b@c"} {
			refuse(r, "InvalidParameter", "Image has", "FindImage", "Image", wrong)
		}
		refuse(r, "MissingImage", "", "FindImage")
		if resp := must[findImageResponse](r, "FindImage", "Image", "1.0", "PageSize", "1", "CurrentPage", "2"); len(resp.List) != 1 || resp.PageInfo.TotalCount != 4 {
			t.Errorf("page 2 of 1.0: %+v", resp.PageInfo)
		}
	})
}

func TestSyncOperations(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		first := must[describeImageRegistrySyncResponse](r, "DescribeImageRegistrySync", "RegistryId", id).Data
		if first.Status != "ok" || first.Trigger != "add" || first.StartTime == "" || first.EndTime == "" || first.RepositoriesListed != 3 || first.RepositoriesRead != 3 ||
			first.RowsListed != 6 || first.ImagesSeen != 5 || first.DuplicateTags != 1 || first.ImagesAdded != 5 || first.ErrorCode != "" || len(first.Issues) != 0 {
			t.Errorf("first reading: %+v", first)
		}
		started := must[syncImageRegistryResponse](r, "SyncImageRegistry", "RegistryId", id).Data.SyncID
		waiting := must[describeImageRegistrySyncResponse](r, "DescribeImageRegistrySync", "RegistryId", id).Data
		if waiting.SyncID != started || waiting.Status != "pending" || waiting.Trigger != "manual" || waiting.StartTime+waiting.EndTime != "" {
			t.Errorf("waiting: %+v", waiting)
		}
		if joined := must[syncImageRegistryResponse](r, "SyncImageRegistry", "RegistryId", id, "Full", "true", "ConfirmVanished", "true").Data.SyncID; joined != started {
			t.Errorf("a waiting reading was not joined: %s, %s", started, joined)
		}
		r.shelves["shelf.example.com"].fail(connector.Errorf(portolan.BadCredentials, "No."))
		r.read()
		failed := must[describeImageRegistrySyncResponse](r, "DescribeImageRegistrySync", "RegistryId", id, "SyncId", started).Data
		if failed.Status != "failed" || failed.ErrorCode == "" || failed.ErrorMessage == "" || r.entry(id).ImageCount != 5 {
			t.Errorf("failed: %+v, %d images", failed, r.entry(id).ImageCount)
		}
		list := must[describeImageRegistrySyncsResponse](r, "DescribeImageRegistrySyncs", "RegistryId", id, "PageSize", "1")
		if len(list.List) != 1 || list.List[0].SyncID != started || list.PageInfo.TotalCount != 2 {
			t.Errorf("history: %+v", list)
		}
		if last := must[describeImageRegistrySyncsResponse](r, "DescribeImageRegistrySyncs", "RegistryId", id, "PageSize", "1", "CurrentPage", "2"); last.List[0].SyncID != first.SyncID {
			t.Errorf("end of the history: %+v", last)
		}
		refuse(r, "SyncNotExist", "", "DescribeImageRegistrySync", "RegistryId", id, "SyncId", "nobody")
		other := r.add("DomainName", "other.example.com")
		refuse(r, "SyncNotExist", "", "DescribeImageRegistrySync", "RegistryId", other, "SyncId", started)
		refuse(r, "MissingRegistryId", "", "SyncImageRegistry")
		refuse(r, "InvalidParameter", "Full must be true or false", "SyncImageRegistry", "RegistryId", id, "Full", "yes")
	})
}

func TestTestImageRegistry(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	id := r.stock()
	for _, params := range [][]string{{"RegistryId", id}, {"RegistryType", "oci", "DomainName", "shelf.example.com", "TimeoutSeconds", "1"}} {
		got := must[testImageRegistryResponse](r, "TestImageRegistry", params...).Data
		var steps []string
		for _, s := range got.Steps {
			steps = append(steps, s.Name+"="+s.Status)
		}
		if !got.Success || got.Product != "Shelf" || got.Version != "1" ||
			strings.Join(steps, " ") != "address=ok tcp=ok tls=ok authentication=ok permission=ok catalogue=ok tags=ok manifest=ok" {
			t.Errorf("%q: %+v", params, got)
		}
	}
	lost := must[testImageRegistryResponse](r, "TestImageRegistry", "RegistryType", "oci", "DomainName", "lost.example.com", "ProtocolType", "1").Data
	if lost.Success || lost.Steps[2].Status != "skipped" || lost.Steps[3].Status != "failed" || lost.Steps[7].Status != "skipped" || lost.Steps[3].Message == "" {
		t.Errorf("a registry that does not answer: %+v", lost)
	}
	if n := must[pageImageRegistryResponse](r, "PageImageRegistry").PageInfo.TotalCount; n != 1 {
		t.Errorf("tests saved something: %d registries", n)
	}
	refuse(r, "InvalidParameter", "TimeoutSeconds", "TestImageRegistry", "RegistryId", id, "TimeoutSeconds", "61")
	refuse(r, "InvalidParameter", "RegistryId must be absent", "TestImageRegistry", "RegistryId", id, "RegistryType", "oci", "DomainName", "x.example")
	refuse(r, "MissingRegistryType", "", "TestImageRegistry")
	refuse(r, "MissingPassword", "", "TestImageRegistry", "RegistryType", "oci", "DomainName", "x.example", "UserName", "u")
	refuse(r, "AddressForbidden", "", "TestImageRegistry", "RegistryType", "oci", "DomainName", "127.0.0.1")
}

func TestListImageRegistryExtra(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	id := r.add("RegistryType", "quay", "ExtraParam", `[{"namespace":"/zoo/","authToken":"64ad8ddf-6a4c-46b5-8dea-b105a06bd534"},{"namespace":"aa"},{"namespace":"bb","authToken":"short"}]`)
	var got []string
	for _, x := range must[listImageRegistryExtraResponse](r, "ListImageRegistryExtra", "RegistryId", id).ImageRegistryExtraInfos {
		if x.AliUID != accountA || fmt.Sprint(x.RegistryID) != id || x.RegistryType != "quay" {
			t.Errorf("%+v", x)
		}
		got = append(got, fmt.Sprintf("%d %s %s", x.ID, x.Namespace, x.AuthToken))
	}
	if d := cmp.Diff([]string{"1 aa ", "2 bb ****", "3 zoo 64ad8ddf****"}, got); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
}
