package event

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/store"
)

// EventTest is the type of the message that a test sends.
const EventTest = "webhook.test"

// message is the body of what is sent.
type message struct {
	Type      string      `json:"type"`
	Timestamp string      `json:"timestamp"`
	Account   string      `json:"account"`
	Registry  *registryOf `json:"registry,omitempty"`
	Data      any         `json:"data"`
}

type registryOf struct {
	ID           int64 `json:"Id"`
	RegistryName string
	RegistryType portolan.RegistryType
}

// changes are the data of a message that tells of images.
type changes struct {
	SyncID     string `json:"SyncId,omitempty"`
	TotalCount int
	Changes    []change
	// Next is the call that answers the rest, nil if this is all.
	Next *next `json:",omitempty"`
}

type change struct {
	Kind          store.ChangeKind
	RepoNamespace string
	RepoName      string
	Digest        string
	UUID          string   `json:"Uuid"`
	TagsBefore    []string `json:",omitempty"`
	Tags          []string `json:",omitempty"`
}

type next struct {
	Action                string
	RegistryID            int64  `json:"RegistryId"`
	SyncID                string `json:"SyncId"`
	Kind                  store.ChangeKind
	CurrentPage, PageSize int
}

// maxChanges is how many changes one message holds.
const maxChanges = 100

// body writes the message of a delivery: the same at every attempt.
func (s *Service) body(ctx context.Context, d *store.Delivery) ([]byte, error) {
	m := message{Type: d.Event, Timestamp: d.Created.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano), Account: strconv.FormatInt(d.AccountID, 10)}
	if r := d.Registry; r != nil {
		m.Registry = &registryOf{r.ID, r.Name, r.Type}
	}
	m.Data = d.Facts
	if d.SetID != "" {
		var err error
		if m.Data, err = s.changes(ctx, d); err != nil {
			return nil, err
		}
	}
	return json.Marshal(&m)
}

func (s *Service) changes(ctx context.Context, d *store.Delivery) (*changes, error) {
	kind := store.ChangeKind(strings.TrimPrefix(d.Event, "image."))
	list, total, err := s.DB.Changes(ctx, d.AccountID, store.ChangeFilter{SetID: d.SetID, Kind: kind}, 1, maxChanges)
	if err != nil {
		return nil, fmt.Errorf("load the changes of message %s: %w", d.ID, err)
	}
	data := &changes{TotalCount: total, Changes: []change{}}
	for i := range list {
		c := &list[i]
		namespace, name := portolan.SplitRepository(c.Path)
		data.Changes = append(data.Changes, change{c.Kind, namespace, name, c.Digest.Wire(), c.UUID, c.Before, c.After})
	}
	if d.Registry != nil && d.Registry.Type.Pull() {
		data.SyncID = d.SetID
	}
	if total > len(list) && d.Registry != nil {
		data.Next = &next{"DescribeImageChanges", d.Registry.ID, d.SetID, kind, 2, maxChanges}
	}
	return data, nil
}
