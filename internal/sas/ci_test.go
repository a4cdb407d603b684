package sas

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/rpc"
	"portolan/internal/store/storetest"
)

// addCI adds a CI/CD registry and answers its id and token.
func (r *rig) addCI(params ...string) (id, token string) {
	r.t.Helper()
	resp := must[createJenkinsImageRegistryResponse](r, "CreateJenkinsImageRegistry", params...)
	return fmt.Sprint(resp.Data.ID), resp.Data.Token
}

func TestCreateJenkinsImageRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id, token := r.addCI()
		row := r.entry(id)
		if len(token) != 36 || row.Token != token[:8]+"****" || row.RegistryName != "CI/CD" || row.RegistryType != "CI/CD" || row.DomainName != "" ||
			row.PersistenceDay != 30 || row.TransPerHour != 30 || row.SyncStatus != "pending" || row.Password != "" || row.ImageCount != 0 {
			t.Errorf("token %s, row %+v", token, row)
		}
		id, _ = r.addCI("RegistryName", "jenkins", "RegistryType", "CI/CD", "DomainName", "Jenkins.Example.com", "RegistryHostIp", "10.0.0.5", "PersistenceDay", "7",
			"TransPerHour", "5", "UserName", "u", "Password", "p", "WhiteList", "192.0.2.0/24", "BlackList", "192.0.2.9", "RegionId", "cn-shanghai", "RegistryVersion", "V1")
		row = r.entry(id)
		if row.RegistryName != "jenkins" || row.DomainName != "jenkins.example.com" || row.RegistryHostIP != "10.0.0.5" || row.PersistenceDay != 7 || row.TransPerHour != 5 ||
			row.UserName != "u" || row.Password != "******" || row.WhiteList != "192.0.2.0/24" || row.BlackList != "192.0.2.9" || row.RegionID != "cn-shanghai" {
			t.Errorf("row %+v", row)
		}
		if info := must[listPrivateRegistryListResponse](r, "ListPrivateRegistryList", "RegistryType", "CI/CD"); info == nil {
			t.Error("no list")
		}
		// As many as one likes, with the same fields.
		r.addCI("RegistryName", "jenkins", "DomainName", "jenkins.example.com")
		refuse(r, "InvalidParameter", "RegistryType", "CreateJenkinsImageRegistry", "RegistryType", "harbor")
		refuse(r, "InvalidParameter", "WhiteList", "CreateJenkinsImageRegistry", "WhiteList", "everybody")
		refuse(r, "InvalidParameter", "PersistenceDay", "CreateJenkinsImageRegistry", "PersistenceDay", "0")
		refuse(r, "InvalidParameter", "RegistryVersion", "CreateJenkinsImageRegistry", "RegistryVersion", "V3")
		if n := len(r.jobs); n != 0 {
			t.Errorf("%d readings of registries that report", n)
		}
	})
}

func TestChangeJenkinsImageRegistry(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id, token := r.addCI()
		pull := r.add()
		r.wait(time.Minute)
		must[jenkinsDone](r, "UpdateJenkinsImageRegistryName", "RegistryId", id, "RegistryName", "renamed")
		must[jenkinsDone](r, "UpdateJenkinsImageRegistryPersistenceDay", "RegistryId", id, "PersistenceDay", "9")
		before := r.entry(id)
		r.wait(time.Minute)
		fresh := must[refreshRegistryTokenResponse](r, "RefreshRegistryToken", "RegistryId", id).Data
		row := r.entry(id)
		if row.RegistryName != "renamed" || row.PersistenceDay != 9 || row.Token != fresh[:8]+"****" || fresh == token || row.GmtModified <= before.GmtModified {
			t.Errorf("before %+v, after %+v", before, row)
		}
		must[modifyImageRegistryResponse](r, "ModifyImageRegistry", "Id", id, "WhiteList", "192.0.2.0/24")
		for _, field := range [][]string{{"DomainName", "elsewhere.example.com"}, {"Password", "secret"}, {"ExtraParam", `{"syncWindow":"22:00-06:00"}`}, {"ProtocolType", "1"}} {
			refuse(r, "InvalidParameter", field[0]+" cannot be changed", "ModifyImageRegistry", append([]string{"Id", id, "WhiteList", "198.51.100.0/24"}, field...)...)
		}
		if row := r.entry(id); row.WhiteList != "192.0.2.0/24" || row.DomainName != "" {
			t.Errorf("after ModifyImageRegistry %+v", row)
		}
		if days := must[queryJenkinsImageRegistryPersistenceDayResponse](r, "QueryJenkinsImageRegistryPersistenceDay").Data; days != 30 {
			t.Errorf("%d days", days)
		}
		for _, call := range [][]string{
			{"UpdateJenkinsImageRegistryName", "RegistryName", "x"}, {"UpdateJenkinsImageRegistryPersistenceDay", "PersistenceDay", "3"}, {"RefreshRegistryToken"},
		} {
			refuse(r, "MissingRegistryId", "", call[0], call[1:]...)
			refuse(r, "RegistryNotExist", "", call[0], append([]string{"RegistryId", "999"}, call[1:]...)...)
			refuse(r, "UnsupportedOperation", "of type oci", call[0], append([]string{"RegistryId", pull}, call[1:]...)...)
			r.account = accountB
			refuse(r, "RegistryNotExist", "", call[0], append([]string{"RegistryId", id}, call[1:]...)...)
			r.account = accountA
		}
		refuse(r, "InvalidParameter", "GraceSeconds must be an integer from 0 to 604800", "RefreshRegistryToken", "RegistryId", id, "GraceSeconds", "604801")
		refuse(r, "InvalidParameter", "PersistenceDay", "UpdateJenkinsImageRegistryPersistenceDay", "RegistryId", id, "PersistenceDay", "3651")
	})
}

func TestCreateJenkinsImageScanTask(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		id, token := r.addCI("RegistryName", "ci")
		made := must[createJenkinsImageScanTaskResponse](r, "CreateJenkinsImageScanTask", "Token", token, "Namespace", "team", "RepoName", "api",
			"Tag", "1.0", "Digest", digestOf(0x11).Wire(), "ImageId", digestOf(0x12).Wire(), "ImageSize", "77", "ImageCreate", "1717430400000",
			"ImageUpdate", "1717430498600", "JenkinsEnv", "release", "Uuid", "not-known").Data
		list := must[describeImageInstancesResponse](r, "DescribeImageInstances").ImageInstanceList
		if len(list) != 1 {
			t.Fatalf("images %+v", list)
		}
		i := list[0]
		if i.UUID != made.UUID || i.RepoID != made.RepoID || i.InstanceID != made.RepoInstanceID || i.Tag != "1.0" || i.ImageSize != "77" || i.ImageCreate != "1717430400000" ||
			i.ImageUpdate != "1717430498600" || i.RegistryType != "CI/CD" || i.Endpoints != "[]" || i.ImageID != digestOf(0x12).Wire() || i.Digest != digestOf(0x11).Wire() {
			t.Errorf("receipt %+v, image %+v", made, i)
		}
		repos := must[describeImageRepoDetailListResponse](r, "DescribeImageRepoDetailList").ImageRepoResponses
		row := r.entry(id)
		if len(repos) != 1 || repos[0].ImageCount != 1 || row.ImageCount != 1 || row.SyncStatus != "ok" || row.LastSyncTime == "" || row.JenkinsEnv != "release" {
			t.Errorf("repositories %+v, row %+v", repos, row)
		}
		task := must[describeImageScanTaskResponse](r, "DescribeImageScanTask", "TaskId", made.TaskID).Data
		if task.Status != "recorded" || task.UUID != made.UUID || fmt.Sprint(task.RegistryID) != id || task.JenkinsEnv != "release" || task.RepoName != "api" || task.CreateTime == "" {
			t.Errorf("task %+v", task)
		}
		refuse(r, "ImageScanTaskNotExist", "", "DescribeImageScanTask", "TaskId", "x")
		r.account = accountB
		refuse(r, "ImageScanTaskNotExist", "", "DescribeImageScanTask", "TaskId", made.TaskID)
		r.account = accountA
		refuse(r, "MissingToken", "", "CreateJenkinsImageScanTask", "RepoName", "api", "Tag", "1.0")
		refuse(r, "MissingRepoName", "", "CreateJenkinsImageScanTask", "Token", token, "Tag", "1.0")
		refuse(r, "MissingTag", "", "CreateJenkinsImageScanTask", "Token", token, "RepoName", "api")
		refuse(r, "InvalidParameter", "at most 4096 characters", "CreateJenkinsImageScanTask", "Token", token, "RepoName", "api", "Tag", "1.0", "JenkinsEnv", strings.Repeat("x", 4097))
	})
}

// Whom a registry's lists refuse learns nothing else, also over a signed call.
func TestScanTaskRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	_, token := r.addCI("WhiteList", "192.0.2.0/24")
	from := func(peer string, token string) error {
		e := r.endpoints["CreateJenkinsImageScanTask"]
		caller := rpc.Caller{Principal: portolan.Principal{AccountID: accountA}, Peer: netip.MustParseAddr(peer)}
		_, err := e.Call(t.Context(), &caller, rpc.Values{"Token": token, "RepoName": "app", "Tag": "1"})
		return err
	}
	if err := from("192.0.2.7", token); err != nil {
		t.Error(err)
	}
	for _, err := range []error{from("203.0.113.9", token), from("192.0.2.7", "c3de8326-273e-41fc-a0e3-d012435c0000")} {
		e, ok := errors.AsType[*portolan.Error](err)
		if !ok || e.Status != 403 || e.Code != "NoPermission" || e.Message != "caller has no permission" {
			t.Errorf("refused as %v", err)
		}
	}
}
