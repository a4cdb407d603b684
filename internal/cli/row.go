package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"portolan"
)

// row is a registry, as PageImageRegistry answers it.
type row struct {
	ID               int64  `json:"Id"`
	Name             string `json:"RegistryName"`
	Type             string `json:"RegistryType"`
	DomainName       string
	HostIP           string `json:"RegistryHostIp"`
	UserName         string
	Password         string
	NetType          int
	ProtocolType     int
	VpcID            string `json:"VpcId"`
	RegionID         string `json:"RegionId"`
	Token            string
	JenkinsEnv       string
	WhiteList        string
	BlackList        string
	TransPerHour     int
	PersistenceDay   int
	ImageCount       int
	GmtCreate        string
	GmtModified      string
	SyncStatus       string
	LastSyncTime     string
	SyncErrorCode    string
	SyncErrorMessage string
	manners

	CredentialExpires string
	LastEventTime     string
}

// registryByID answers a registry.
func (c *client) registryByID(ctx context.Context, id int64) (*row, error) {
	return c.oneRegistry(ctx, "", func(r *row) bool { return r.ID == id }, strconv.FormatInt(id, 10))
}

// find answers the registry of an id or of a name.
func (c *client) find(ctx context.Context, text string) (*row, error) {
	if id, err := strconv.ParseInt(text, 10, 64); err == nil && id > 0 {
		return c.registryByID(ctx, id)
	}
	return c.oneRegistry(ctx, text, func(r *row) bool { return r.Name == text }, text)
}

// oneRegistry answers the only registry that fits, among those whose name
// contains like.
func (c *client) oneRegistry(ctx context.Context, like string, fits func(*row) bool, text string) (*row, error) {
	var found *row
	for raw, err := range c.rows(ctx, "PageImageRegistry", "List", params{"RegistryNameLike": like}) {
		if err != nil {
			return nil, err
		}
		var r row
		if err := json.Unmarshal(raw, &r); err != nil {
			return nil, fmt.Errorf("the answer to PageImageRegistry is not in its documented form: %w", err)
		}
		if !fits(&r) {
			continue
		}
		if found != nil {
			return nil, usagef("several registries have the name %q: use the id, such as %d or %d", text, r.ID, found.ID)
		}
		found = &r
	}
	if found == nil {
		return nil, &exitError{ExitFailed, fmt.Errorf("there is no registry %s; portolan registry list shows them", text)}
	}
	return found, nil
}

// byEvents is what readings of repositories that events told of have changed
// since a reading of the whole registry.
type byEvents struct {
	// readings is how many there were, and images by how many more there are.
	readings, images int
}

// lastEnded answers the last finished reading of a whole registry, and what
// events have changed since.
func (c *client) lastEnded(ctx context.Context, id int64) (*ledger, byEvents, error) {
	var running *ledger
	var since byEvents
	for raw, err := range c.rows(ctx, "DescribeImageRegistrySyncs", "List", params{"RegistryId": number(id)}) {
		if err != nil {
			return nil, since, err
		}
		var l ledger
		if err := json.Unmarshal(raw, &l); err != nil {
			return nil, since, fmt.Errorf("the answer to DescribeImageRegistrySyncs is not in its documented form: %w", err)
		}
		switch {
		case l.Trigger != portolan.CauseWebhook && l.ended():
			return &l, since, nil
		case l.Trigger != portolan.CauseWebhook:
			running = &l
		case l.ended():
			since.readings++
			since.images += l.ImagesAdded - l.ImagesGone
		}
	}
	return nil, since, neverRead(id, running)
}

// neverRead says why a registry has no finished reading.
func neverRead(id int64, running *ledger) error {
	if running == nil || running.Status == portolan.SyncPending {
		return &exitError{ExitSyncFailed, fmt.Errorf("registry %d has not been read yet; its first reading waits for its turn", id)}
	}
	return &exitError{ExitSyncFailed, fmt.Errorf("registry %d is being read for the first time: %d of %s so far, %s; portolan registry ledger %d shows how far it is",
		id, running.RepositoriesRead+running.RepositoriesSkipped+running.RepositoriesFailed, count(running.RepositoriesListed, "repository", "repositories"), count(running.ImagesSeen, "image", "images"), id)}
}
