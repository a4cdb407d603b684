package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portolan"
)

// info is what ListPrivateRegistryList tells of a registry.
type info struct {
	ID             int64  `json:"Id"`
	Type           string `json:"RegistryType"`
	Name           string `json:"RegistryName"`
	DomainName     string
	HostIP         string `json:"RegistryHostIp"`
	Port           int
	ProtocolType   int
	NetType        int
	UserName       string
	Password       string
	VpcID          string `json:"VpcId"`
	RegionID       string `json:"RegionId"`
	WhiteList      string
	BlackList      string
	TransPerHour   int
	PersistenceDay int
	manners
}

// infos lists all registries of a type, of any for "".
func (c *client) infos(ctx context.Context, kind string) ([]info, error) {
	var answer struct{ ImageRegistryInfos []info }
	err := c.call(ctx, "ListPrivateRegistryList", params{"RegistryType": kind}, &answer)
	return answer.ImageRegistryInfos, err
}

// namespaces lists the namespaces that a registry is bound to.
func (c *client) namespaces(ctx context.Context, id int64) ([]string, error) {
	var answer struct{ ImageRegistryExtraInfos []struct{ Namespace string } }
	err := c.call(ctx, "ListImageRegistryExtra", params{"RegistryId": number(id)}, &answer)
	names := make([]string, len(answer.ImageRegistryExtraInfos))
	for i, x := range answer.ImageRegistryExtraInfos {
		names[i] = x.Namespace
	}
	return names, err
}

func (s *shell) registryShow() *cobra.Command {
	var form output
	c := s.one(&cobra.Command{
		Use: "show", Short: "Show all about one registry",
		Example: "  portolan registry show harbor-prod\n  portolan registry show 12 --output json",
	}, func(c *cobra.Command, server *client, r *row) error {
		if form.form == asJSON {
			return s.showJSON(c.Context(), server, r)
		}
		return s.showRegistry(c.Context(), server, r)
	})
	form.add(c, asJSON)
	return c
}

func (s *shell) showJSON(ctx context.Context, server *client, r *row) error {
	for raw, err := range server.rows(ctx, "PageImageRegistry", "List", params{"RegistryNameLike": r.Name}) {
		var found row
		if err == nil {
			err = json.Unmarshal(raw, &found)
		}
		if err != nil {
			return err
		}
		if found.ID == r.ID {
			return s.answer(raw)
		}
	}
	return &exitError{ExitFailed, fmt.Errorf("there is no registry %d", r.ID)}
}

func (s *shell) showRegistry(ctx context.Context, server *client, r *row) error {
	list, err := server.infos(ctx, r.Type)
	if err != nil {
		return err
	}
	names, err := server.namespaces(ctx, r.ID)
	if err != nil {
		return err
	}
	place := ""
	for _, i := range list {
		if i.ID == r.ID && i.DomainName != "" {
			scheme := map[int]string{portolan.ProtocolHTTP: "http", portolan.ProtocolHTTPS: "https"}[i.ProtocolType]
			place = scheme + "://" + net.JoinHostPort(i.DomainName, strconv.Itoa(i.Port))
		}
	}
	lastRead := "Last read"
	if r.Type == string(portolan.CICD) {
		lastRead = "Last report"
	}
	s.facts(
		"Id", number(r.ID), "Name", r.Name, "Type", r.Type, "Place", place,
		"Dialled address", r.HostIP, "VPC", r.VpcID, "User", r.UserName, "Password", r.Password, "Token", r.Token, "Credential ends", r.CredentialExpires, "Only below", strings.Join(names, ", "), "Without", strings.Join(r.ExcludeRepositories, ", "),
		"Requests a minute", number(r.RequestsPerMinute), "Window", r.SyncWindow, "Paused", r.paused(),
		"Region", r.RegionID, "Scans an hour", number(r.TransPerHour), "Remembers", number(r.PersistenceDay)+" days",
		"White list", r.WhiteList, "Black list", r.BlackList, "Added", r.GmtCreate, "Changed", r.GmtModified,
		"Images", strconv.Itoa(r.ImageCount), "Status", r.SyncStatus, lastRead, r.LastSyncTime, "Last build", r.JenkinsEnv, "Last event", r.LastEventTime, "Error", r.SyncErrorCode, "", r.SyncErrorMessage,
	)
	return nil
}
