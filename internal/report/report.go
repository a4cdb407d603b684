// Package report takes what builds report of their images: who may report to a
// registry, what a report must say, and that it is in the store before it is
// answered. Reports that come at the same time share a transaction.
//
// It knows the store and the keyed hashes of tokens. It must not know HTTP, the
// wire's encodings, or how a token is made.
package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// Config of a Service.
type Config struct {
	DB *store.DB
	// Tokens has the hashes by which tokens are recognised.
	Tokens *secret.Hasher
	Log    *slog.Logger
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Service takes reports. Start starts its writer.
type Service struct {
	Config
	writer
}

// New makes a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{c, newWriter()}
}

// Receipt is the answer to a report that is in the store, as Data of
// CreateJenkinsImageScanTask of Sas 2018-12-03 has it.
type Receipt struct {
	ImageScanCapacity int64  `doc:"How many scans of the registry's images may start in an hour: nothing scans yet, so none is used up." example:"100"`
	RepoID            string `json:"RepoId" doc:"The id of the repository." example:"crr-0123456789abcdef"`
	RepoInstanceID    string `json:"RepoInstanceId" doc:"The instance of the registry." example:"cri-0123456789abcdef"`
	RepoRegionID      string `json:"RepoRegionId" doc:"The region label of the registry." example:"cn-hangzhou"`
	TaskID            string `json:"TaskId" doc:"The id of the task: DescribeImageScanTask tells of it." example:"fc98d58eb56f699d49bf7ebbd6d7a0b1"`
	UUID              string `json:"Uuid" doc:"The id of the image, the same for every report of it." example:"6690a46c-0edb-4663-a641-3629d1a90000"`
}

// refused is ErrNoPermission with its reason, which is for the log alone.
func refused(why string) error { return fmt.Errorf("%s: %w", why, portolan.ErrNoPermission) }

// Open answers the registry of an id if a token is its token and the peer may
// report to it. All refusals are portolan.ErrNoPermission, wrapped with a reason
// that only the log may tell; a suspended account's is portolan.ErrSuspended.
func (s *Service) Open(ctx context.Context, id int64, token string, peer netip.Addr) (*portolan.Registry, error) {
	h, err := s.DB.Holder(ctx, id, func(t store.Tokens) bool {
		current, old := s.Tokens.Match(token, t.Hash), s.Tokens.Match(token, t.OldHash)
		return current || old && s.Now().Before(t.OldUntil)
	})
	switch {
	case err != nil:
		return nil, err
	case !h.Known:
		return nil, refused("there is no CI/CD registry of that id")
	case h.Registry == nil:
		return nil, refused("the token is not, or no longer, that of the registry")
	case !h.Registry.Admits(peer):
		return nil, refused("the address is on BlackList or not on WhiteList")
	case h.Suspended:
		return nil, portolan.ErrSuspended
	}
	return h.Registry, nil
}

// Holder answers the registry of an account that has a token, if the peer may
// report to it. All refusals are portolan.ErrNoPermission; why is logged.
func (s *Service) Holder(ctx context.Context, account int64, token string, peer netip.Addr) (*portolan.Registry, error) {
	hash := s.Tokens.Sum(token)
	r, err := s.DB.HolderOf(ctx, account, hash[:])
	switch {
	case errors.Is(err, store.ErrNotFound):
		err = refused("the token is not, or no longer, that of a registry of the account")
	case err == nil && !r.Admits(peer):
		err = refused("the address is on BlackList or not on WhiteList")
	}
	if errors.Is(err, portolan.ErrNoPermission) {
		s.Log.WarnContext(ctx, "a report is refused", "account", account, "peer", peer, "reason", err)
	}
	return r, err
}

// Submit checks a report of a registry and keeps it. When it answers without an
// error, the report is in the store.
func (s *Service) Submit(ctx context.Context, r *portolan.Registry, f *Fields) (*Receipt, error) {
	q, err := f.report(s.Now())
	if err != nil {
		return nil, err
	}
	q.AccountID, q.RegistryID = r.AccountID, r.ID
	task, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	fresh, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	q.TaskID, q.NewUUID = strings.ReplaceAll(task.String(), "-", ""), fresh.String()
	kept, err := s.write(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("keep a report of registry %d: %w", r.ID, err)
	}
	switch {
	case errors.Is(kept.Err, store.ErrNotFound):
		return nil, refused("the registry was deleted meanwhile")
	case errors.Is(kept.Err, store.ErrFull):
		return nil, portolan.Refused("LimitExceeded.Image", "A registry holds up to %d reported images; fewer PersistenceDay makes room.", store.MaxReported)
	}
	return &Receipt{
		ImageScanCapacity: int64(r.TransPerHour), RepoID: kept.RepoID, RepoInstanceID: r.InstanceID, RepoRegionID: r.RegionID,
		TaskID: q.TaskID, UUID: kept.UUID,
	}, nil
}
