package sas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"portolan/internal/store/storetest"
)

func TestPageImageRegistryFilters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		names := []string{
			"harbor-prod", "Harbor_50%", `back\slash`, "star*", "镜像仓库", "rocket 🚀 yard", "Straße", "İstanbul", "  blanks  ", "café", "%",
		}
		for i, name := range names {
			kind := []string{"harbor", "quay", "oci", "acr"}[i%4]
			r.add("RegistryType", kind, "RegistryName", name, "DomainName", fmt.Sprintf("r%d.example.com", i))
		}
		of := func(kind string) (list []string) {
			for i, n := range names {
				if []string{"harbor", "quay", "oci", "acr"}[i%4] == kind {
					list = append(list, n)
				}
			}
			return list
		}
		tests := []struct {
			name   string
			params []string
			want   []string
		}{
			{"nothing", nil, names},
			{"empty is absent", []string{"RegistryNameLike", "", "CurrentPage", "", "RegistryTypeInList", ""}, names},
			{"substring", []string{"RegistryNameLike", "bor"}, []string{"harbor-prod", "Harbor_50%"}},
			{"case", []string{"RegistryNameLike", "HARBOR"}, []string{"harbor-prod", "Harbor_50%"}},
			{"percent", []string{"RegistryNameLike", "%"}, []string{"Harbor_50%", "%"}},
			{"underscore", []string{"RegistryNameLike", "_"}, []string{"Harbor_50%"}},
			{"star", []string{"RegistryNameLike", "*"}, []string{"star*"}},
			{"backslash", []string{"RegistryNameLike", `\`}, []string{`back\slash`}},
			{"CJK", []string{"RegistryNameLike", "像仓"}, []string{"镜像仓库"}},
			{"emoji", []string{"RegistryNameLike", "🚀"}, []string{"rocket 🚀 yard"}},
			{"full case folding", []string{"RegistryNameLike", "STRASSE"}, []string{"Straße"}},
			{"folding of one that has no lower case", []string{"RegistryNameLike", "i̇stan"}, []string{"İstanbul"}},
			{"decomposed", []string{"RegistryNameLike", "CAFE\u0301"}, []string{"café"}},
			{"blanks count", []string{"RegistryNameLike", "  blanks  "}, []string{"  blanks  "}},
			{"blanks are not trimmed", []string{"RegistryNameLike", "   blanks"}, nil},
			{"one blank", []string{"RegistryNameLike", " "}, []string{"rocket 🚀 yard", "  blanks  "}},
			{"in", []string{"RegistryTypeInList.1", "harbor"}, of("harbor")},
			{"in, bare and with gaps", []string{"RegistryTypeInList.7", "quay", "RegistryTypeInList.1000", "acr"}, append(of("quay"), of("acr")...)},
			{"in, JSON", []string{"RegistryTypeInList", `["oci"]`}, of("oci")},
			{"in, exact", []string{"RegistryTypeInList", "Harbor"}, nil},
			{"unknown type matches nothing", []string{"RegistryTypeInList.1", "nexus"}, nil},
			{"unknown type takes nothing away", []string{"RegistryTypeNotInList.1", "nexus"}, names},
			{"not in", []string{"RegistryTypeNotInList.1", "harbor", "RegistryTypeNotInList.2", "quay", "RegistryTypeNotInList.3", "acr"}, of("oci")},
			{"in and not in", []string{"RegistryTypeInList.1", "harbor", "RegistryTypeNotInList.1", "harbor"}, nil},
			{"all at once", []string{"RegistryTypeInList.1", "harbor", "RegistryNameLike", "PROD"}, []string{"harbor-prod"}},
			{"unknown parameters are ignored", []string{"RegistryName", "harbor-prod", "SourceIp", "1.2.3.4"}, names},
		}
		for _, tt := range tests {
			resp := must[pageImageRegistryResponse](r, "PageImageRegistry", append(tt.params, "PageSize", "1000")...)
			var got []string
			for _, row := range resp.List {
				got = append(got, row.RegistryName)
			}
			want := slices.Clone(tt.want)
			slices.Sort(want)
			slices.Sort(got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, d)
			}
			if resp.PageInfo != (pageInfo{Count: len(want), CurrentPage: 1, PageSize: 1000, TotalCount: len(want)}) {
				t.Errorf("%s: page info is %+v", tt.name, resp.PageInfo)
			}
		}
	})
}

func TestPageImageRegistryPaging(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var want []int64
		for i := range 45 {
			id, _ := strconv.ParseInt(r.add("DomainName", fmt.Sprintf("r%d.example.com", i)), 10, 64)
			want = append(want, id)
			if i%3 == 0 {
				r.wait(time.Second)
			}
		}
		slices.Reverse(want)
		var got []int64
		for page := 1; page <= 10; page++ {
			resp := must[pageImageRegistryResponse](r, "PageImageRegistry", "CurrentPage", strconv.Itoa(page), "PageSize", "7")
			if resp.PageInfo.TotalCount != 45 || resp.PageInfo.Count != len(resp.List) || resp.PageInfo.CurrentPage != page {
				t.Fatalf("page %d: %+v", page, resp.PageInfo)
			}
			if len(resp.List) == 0 {
				break
			}
			for _, row := range resp.List {
				got = append(got, row.ID)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages have %v, want %v", got, want)
		}
		if resp := must[pageImageRegistryResponse](r, "PageImageRegistry"); len(resp.List) != 20 || resp.PageInfo.PageSize != 20 {
			t.Errorf("without parameters: %+v", resp.PageInfo)
		}
		for _, far := range []string{"4", "2147483647"} {
			resp := must[pageImageRegistryResponse](r, "PageImageRegistry", "CurrentPage", far, "PageSize", "1000")
			if len(resp.List) != 0 || resp.PageInfo.TotalCount != 45 || resp.PageInfo.Count != 0 {
				t.Errorf("page %s: %+v", far, resp.PageInfo)
			}
		}
		r.account = accountB
		if resp := must[pageImageRegistryResponse](r, "PageImageRegistry"); len(resp.List) != 0 || resp.PageInfo.TotalCount != 0 {
			t.Errorf("another account sees %+v", resp.PageInfo)
		}
	})
}

func TestPageImageRegistryBounds(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	for _, size := range []string{"0", "-1", "1001", "x", "1.0", "9223372036854775808"} {
		refuse(r, "InvalidParameter", "PageSize must be an integer from 1 to 1000", "PageImageRegistry", "PageSize", size)
	}
	for _, page := range []string{"0", "-1", "x", "2147483648"} {
		refuse(r, "InvalidParameter", "CurrentPage must be an integer from 1", "PageImageRegistry", "CurrentPage", page)
	}
	must[pageImageRegistryResponse](r, "PageImageRegistry", "RegistryNameLike", strings.Repeat("像", 256))
	refuse(r, "InvalidParameter", "RegistryNameLike must have at most 256 characters", "PageImageRegistry", "RegistryNameLike", strings.Repeat("像", 257))
	refuse(r, "InvalidParameter", "RegistryTypeInList.0", "PageImageRegistry", "RegistryTypeInList.0", "harbor")
	refuse(r, "InvalidParameter", "not both", "PageImageRegistry", "RegistryTypeInList.1", "harbor", "RegistryTypeInList", "quay")
}

// What is absent, what is empty, what is masked, and what moves GmtModified.
func TestPageImageRegistryRow(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.add()
		row := r.entry(id)
		want := registryRow{
			DomainName: "shelf.example.com", GmtCreate: "2026-01-02 11:04:05", GmtModified: "2026-01-02 11:04:05", ID: row.ID, NetType: 1, PersistenceDay: 30,
			ProtocolType: 2, RegionID: "cn-hangzhou", RegistryName: "shelf.example.com", RegistryType: "oci", TransPerHour: 30,
			registryState: registryState{SyncStatus: "pending"},
		}
		if d := cmp.Diff(want, row, cmp.AllowUnexported(registryRow{}, registryState{})); d != "" {
			t.Errorf("bare entry (-want +got):\n%s", d)
		}
		var members map[string]json.RawMessage
		b, _ := json.Marshal(row)
		if err := json.Unmarshal(b, &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"JenkinsEnv", "WhiteList", "BlackList", "UserName", "VpcId", "RegistryHostIp"} {
			if string(members[name]) != `""` {
				t.Errorf("%s is %s, want empty text", name, members[name])
			}
		}
		for _, name := range []string{"Token", "Password", "LastSyncTime", "SyncErrorCode", "SyncErrorMessage"} {
			if members[name] != nil {
				t.Errorf("%s is %s, want it absent", name, members[name])
			}
		}
		for _, name := range []string{"ImageCount", "NetType", "PersistenceDay", "ProtocolType", "TransPerHour", "Id"} {
			if members[name] == nil {
				t.Errorf("the number %s is absent", name)
			}
		}
		full := r.add("DomainName", "full.example.com", "UserName", "u", "Password", "x", "WhiteList", "192.0.2.0/24", "BlackList", "2001:db8::/32", "RegistryHostIp", "203.0.113.9")
		if row := r.entry(full); row.Password != "******" || row.WhiteList != "192.0.2.0/24" || row.BlackList != "2001:db8::/32" || row.RegistryHostIP != "203.0.113.9" || row.UserName != "u" {
			t.Errorf("full entry: %+v", row)
		}
		modified := func() string { return r.entry(full).GmtModified }
		before := modified()
		r.wait(time.Hour)
		r.read()
		if modified() != before || r.entry(full).LastSyncTime == "" {
			t.Errorf("a reading moved GmtModified to %s", modified())
		}
		for _, change := range [][]string{{"Id", full}, {"Id", full, "Password", "x"}, {"Id", full, "TransPerHour", "31"}} {
			r.wait(time.Hour)
			must[modifyImageRegistryResponse](r, "ModifyImageRegistry", change...)
			if modified() == before {
				t.Errorf("GmtModified stays %s after ModifyImageRegistry %q", before, change)
			}
			before = modified()
		}
	})
}

func TestSyncStatus(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id := r.stock()
		row := r.entry(id)
		if row.SyncStatus != "ok" || row.SyncErrorCode != "" || row.SyncErrorMessage != "" || row.LastSyncTime == "" || row.ImageCount != 5 {
			t.Errorf("after a good reading: %+v", row)
		}
		lost := r.add("DomainName", "lost.example.com")
		r.read()
		row = r.entry(lost)
		if row.SyncStatus != "failed" || row.SyncErrorCode != "ConnectFailure" || row.SyncErrorMessage == "" || row.LastSyncTime == "" {
			t.Errorf("after a failed reading: %+v", row)
		}
	})
}
