package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"portolan"
)

// ledger is a reading, as DescribeImageRegistrySync answers it.
type ledger struct {
	SyncID              string `json:"SyncId"`
	RegistryID          int64  `json:"RegistryId"`
	Status              portolan.SyncStatus
	Trigger             string
	StartTime           string
	EndTime             string
	RepositoriesListed  int
	RepositoriesRead    int
	RepositoriesSkipped int
	RepositoriesFailed  int
	RowsListed          int
	RowsFailed          int
	TagsRead            int
	ManifestsRead       int
	ImagesSeen          int
	DuplicateTags       int
	ImagesAdded         int
	ImagesUpdated       int
	ImagesGone          int
	ImagesHeld          int
	Accessories         int
	OtherArtifacts      int
	Unexplained         int
	Requests            int64
	BytesRead           int64
	Throttled           int64
	Truncated           bool
	ErrorCode           string
	ErrorMessage        string
	Issues              []struct{ Repository, Step, Code, Message string }
}

// ended reports whether the reading is over.
func (l *ledger) ended() bool {
	return l.Status != portolan.SyncPending && l.Status != portolan.SyncRunning
}

// reading answers a reading of a registry, the latest if sync is "".
func (c *client) reading(ctx context.Context, id int64, sync string) (*ledger, error) {
	var answer struct{ Data ledger }
	err := c.call(ctx, "DescribeImageRegistrySync", params{"RegistryId": number(id), "SyncId": sync}, &answer)
	return &answer.Data, err
}

// Waits look again after this long, twice as long each time up to the limit.
const (
	firstLook = 50 * time.Millisecond
	lastLook  = 2 * time.Second
)

// wait waits for the end of a reading, the latest if sync is "".
func (s *shell) wait(ctx context.Context, c *client, id int64, sync string) (*ledger, error) {
	p := s.line
	defer p.done()
	started := time.Now()
	for look := firstLook; ; look = min(2*look, lastLook) {
		l, err := c.reading(ctx, id, sync)
		if err == nil && l.ended() {
			return l, nil
		}
		if err == nil {
			p.say(fmt.Sprintf("Registry %d: %s, %d of %d repositories, %d images, %s",
				id, l.Status, l.RepositoriesRead+l.RepositoriesSkipped+l.RepositoriesFailed, l.RepositoriesListed, l.ImagesSeen, time.Since(started).Round(time.Second)))
			sync = l.SyncID
			err = pause(ctx, look)
		}
		if errors.Is(err, context.Canceled) {
			p.done()
			return nil, &exitError{ExitInterrupted, fmt.Errorf("interrupted; the reading goes on in the server: portolan registry ledger %d", id)}
		}
		if err != nil {
			return nil, err
		}
	}
}

// result tells how a reading ended, and fails unless it is complete.
func (s *shell) result(l *ledger) error {
	if l.Status == portolan.SyncOK {
		skipped := ""
		if l.RepositoriesSkipped > 0 {
			skipped = fmt.Sprintf("; %s unchanged", count(l.RepositoriesSkipped, "more is", "more are"))
		}
		s.tell("Read registry %d: %s in %s%s.", l.RegistryID, count(l.ImagesSeen, "image", "images"), count(l.RepositoriesRead, "repository", "repositories"), skipped)
		return nil
	}
	for _, i := range l.Issues {
		if i.Message != l.ErrorMessage {
			s.tell("  %s %s: %s: %s", i.Step, i.Repository, i.Code, i.Message)
		}
	}
	verb := "failed"
	if l.Status == portolan.SyncPartial {
		verb = "is not complete"
	}
	return &exitError{ExitSyncFailed, fmt.Errorf("the reading of registry %d %s: %s: %s", l.RegistryID, verb, l.ErrorCode, l.ErrorMessage)}
}
