package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"portolan"
	"portolan/internal/store"
)

// scale is the size of a store.
type scale struct {
	registries, repositories, images int // repositories and images of each registry, and of each repository
}

func (s scale) total() int { return s.registries * s.repositories * s.images }

const account = 1_000_000_000_000_001

// fill fills a new store through the engine's own writes: registries, and one
// published reading of each.
func fill(ctx context.Context, db *store.DB, s scale) error {
	if err := db.Update(ctx, func(tx *store.Tx) error { return tx.AddAccount(ctx, account, "bench") }); err != nil {
		return err
	}
	types := []portolan.RegistryType{portolan.Harbor, portolan.OCI, portolan.Quay, portolan.ACR}
	regions := []string{"cn-hangzhou", "ap-southeast-1", "eu-central-1"}
	n := 0
	for start := 0; start < s.registries; start += 100 {
		var ids []int64
		err := db.Update(ctx, func(tx *store.Tx) error {
			ids = ids[:0]
			for i := start; i < min(start+100, s.registries); i++ {
				id, err := tx.AddRegistry(ctx, &portolan.Registry{
					AccountID: account, Type: types[i%len(types)], Name: registryName(i), DomainName: fmt.Sprintf("registry-%d.example.com", i),
					Port: 443, Protocol: 2, NetType: 1, RegionID: regions[i%len(regions)], Version: "V2", TransPerHour: 30, PersistenceDay: 30,
					InstanceID: store.NewInstanceID(),
				}, nil)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := fillRegistry(ctx, db, id, s, &n); err != nil {
				return err
			}
		}
	}
	return nil
}

func registryName(i int) string {
	switch i % 500 {
	case 7:
		return fmt.Sprintf("镜像仓库-%d", i)
	case 11:
		return fmt.Sprintf("docks 🚢 %d", i)
	}
	return fmt.Sprintf("Registry %d of team %d", i, i%97)
}

func fillRegistry(ctx context.Context, db *store.DB, registry int64, s scale, n *int) error {
	id := uuid.NewString()
	err := db.Update(ctx, func(tx *store.Tx) error {
		_, _, err := tx.RequestSync(ctx, store.SyncRequest{AccountID: account, RegistryID: registry, Cause: portolan.CauseAdd, NewID: id})
		return err
	})
	if err != nil || s.images == 0 {
		return err
	}
	lease, err := db.Claim(ctx, id, "bench", time.Minute)
	if err != nil {
		return err
	}
	lease.Plan = []byte("{}")
	now := time.Now()
	var changes []store.Change
	rows := 0
	for r := range s.repositories {
		c := store.Change{Staged: store.StagedRepository{Path: fmt.Sprintf("team-%d/group-%d/app-%d", r%31, r%7, r)}, Make: true, State: store.StagedDone}
		for range s.images {
			*n++
			c.Insert = append(c.Insert, image(*n, now))
		}
		changes = append(changes, c)
		if rows += s.images; rows >= 400 {
			if err := db.Apply(ctx, lease, changes, true); err != nil {
				return err
			}
			changes, rows = nil, 0
		}
	}
	if err := db.Apply(ctx, lease, changes, true); err != nil {
		return err
	}
	lease.Sync.Status = portolan.SyncOK
	return db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Finish(ctx, lease, store.Finish{CountDelta: s.repositories * s.images, NextSync: now.Add(time.Hour)})
		return err
	})
}

func image(n int, now time.Time) portolan.Image {
	pushed := now.Add(-time.Duration(n%1_000_003) * time.Second)
	return portolan.Image{
		UUID: uuid.Must(uuid.NewV7()).String(), Digest: portolan.Digest(fmt.Sprintf("sha256:%064x", uint64(n)*0x9E3779B97F4A7C15)),
		Tags:      []portolan.Tag{{Name: fmt.Sprintf("v%d.%d.%d", n%9, n%97, n%1009), Pushed: pushed}},
		MediaType: "application/vnd.oci.image.manifest.v1+json", ImageID: portolan.Digest(fmt.Sprintf("sha256:%064x", uint64(n)*0xC2B2AE3D27D4EB4F)),
		Size: int64(n) * 1000, Pushed: pushed, Updated: pushed, FirstSeen: now,
	}
}
