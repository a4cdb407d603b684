package sas

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"portolan"
	"portolan/internal/rpc"
)

// pageInfo tells where a page is in its list.
type pageInfo struct {
	Count       int `doc:"The number of entries on this page." example:"20"`
	CurrentPage int `doc:"The page, from 1." example:"1"`
	PageSize    int `doc:"The number of entries asked for." example:"20"`
	TotalCount  int `doc:"The exact number of entries on all pages." example:"69"`
}

func pageOf(p rpc.Paging, count, total int) pageInfo {
	return pageInfo{Count: count, CurrentPage: p.CurrentPage, PageSize: p.PageSize, TotalCount: total}
}

// registryState are our fields of a registry, after the documented ones.
type registryState struct {
	SyncStatus       string `doc:"pending until the first reading starts, syncing while one runs, then ok, partial or failed." example:"ok"`
	LastSyncTime     string `json:",omitempty" doc:"The end of the last finished reading." example:"2026-01-02 10:23:30"`
	SyncErrorCode    string `json:",omitempty" doc:"Why the last finished reading was not ok." example:"BadCredentials"`
	SyncErrorMessage string `json:",omitempty" doc:"What was seen, and what to do." example:"User name or password not accepted by harbor.example.com."`

	registryManners

	LastEventTime string `json:",omitempty" doc:"When the registry's webhook last told of a change." example:"2026-01-02 10:31:07"`

	CredentialExpires string `json:",omitempty" doc:"When the registry's credential ends, as far as the registry tells." example:"2026-04-02 10:23:30"`
}

// registryManners are the settings of how a registry is read, ours too.
type registryManners struct {
	Paused              bool     `json:",omitempty" doc:"true while nobody reads it: PauseImageRegistry, ResumeImageRegistry." example:"true"`
	ExcludeRepositories []string `json:",omitempty" doc:"Patterns of repositories that are left out: * stands for text within a segment of the path, ** for any." example:"team/tmp-*"`
	RequestsPerMinute   int      `json:",omitempty" doc:"Requests a minute at most; absent for any number." example:"600"`
	SyncWindow          string   `json:",omitempty" doc:"When scheduled readings run, in the zone of the server; absent for always." example:"22:00-06:00"`
}

func mannersOf(r *portolan.Registry) registryManners {
	return registryManners{
		Paused: r.Paused, ExcludeRepositories: r.Extra.Excludes, RequestsPerMinute: r.Extra.RequestsPerMinute, SyncWindow: r.Extra.SyncWindow,
	}
}

func (s *Service) stateOf(r *portolan.Registry) registryState {
	return registryState{
		SyncStatus: string(r.SyncStatus), LastSyncTime: s.when(r.LastSync),
		SyncErrorCode: string(r.SyncError), SyncErrorMessage: r.SyncMessage,
		registryManners: mannersOf(r), LastEventTime: s.when(r.LastEvent), CredentialExpires: s.when(r.CredentialExpires),
	}
}

// when writes a time as the registry lists do, "" for none.
func (s *Service) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(s.Zone).Format(time.DateTime)
}

func password(r *portolan.Registry) string {
	if r.HasPassword {
		return portolan.PasswordMask
	}
	return ""
}

func token(r *portolan.Registry) string {
	if r.TokenPrefix == "" {
		return ""
	}
	return r.TokenPrefix + portolan.TokenMask
}

// placed tells where an image or repository is.
type placed struct {
	InstanceID    string `json:"InstanceId" doc:"The instance of the registry, one for each." example:"cri-0123456789abcdef"`
	RegionID      string `json:"RegionId" doc:"The region label of the registry." example:"cn-hangzhou"`
	RegistryType  string `doc:"The type of the registry." example:"harbor"`
	RepoID        string `json:"RepoId" doc:"The id of the repository." example:"crr-0123456789abcdef"`
	RepoName      string `doc:"The last part of the repository's path." example:"server"`
	RepoNamespace string `doc:"The path of the repository before its last slash; may be empty." example:"platform/auth"`
	Endpoints     string `doc:"Where the registry is, as JSON text." example:"[{\"type\":\"internet\",\"domains\":[\"harbor.example.com\"]}]"`
}

func placeOf(p *portolan.Repository) placed {
	return placed{
		InstanceID: p.Registry.InstanceID, RegionID: p.Registry.RegionID, RegistryType: string(p.Registry.Type),
		RepoID: p.RepoID, RepoName: p.Name, RepoNamespace: p.Namespace, Endpoints: endpoints(p.Registry),
	}
}

// endpoints is the JSON text of where a registry is.
func endpoints(r *portolan.Registry) string {
	kind := "internet"
	if r.NetType == portolan.NetVPC {
		kind = "vpc"
	}
	type endpoint struct {
		Type    string   `json:"type"`
		Domains []string `json:"domains"`
	}
	if r.DomainName == "" { // of a build system that nobody named
		return "[]"
	}
	b, err := json.Marshal([]endpoint{{kind, []string{r.Address()}}})
	if err != nil {
		return "[]" // strings always encode
	}
	return string(b)
}

func repoType(p *portolan.Repository) string {
	if p.Visibility == "public" {
		return "public"
	}
	return "private"
}

func tagNames(i *portolan.Image) []string {
	names := make([]string, len(i.Tags))
	for k, t := range i.Tags {
		names[k] = t.Name
	}
	slices.Sort(names)
	return names
}

// built is when an image was made: as it says itself, else when it came.
func built(i *portolan.Image) time.Time {
	for _, t := range []time.Time{i.Created, i.Pushed} {
		if !t.IsZero() {
			return t
		}
	}
	return i.FirstSeen
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
