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
	registries, repositories, images int // repositories of each registry, images of each repository
	// empty registries come on top
	empty int
}

func (s scale) all() int   { return s.registries + s.empty }
func (s scale) total() int { return s.registries * s.repositories * s.images }

// filler fills a new store through the engine's own writes: registries, and
// one published reading of each.
type filler struct {
	db      *store.DB
	account int64
	scale   scale
	n       int
}

const (
	fillRegistries = 200   // in a transaction
	fillRows       = 4_000 // in a transaction
)

func (f *filler) fill(ctx context.Context) error {
	ids, err := f.add(ctx, 0, f.scale.registries)
	for _, id := range ids {
		if err == nil {
			err = f.read(ctx, id)
		}
	}
	return err
}

// add adds registries that have not been read yet, from the nth to the last.
func (f *filler) add(ctx context.Context, n, last int) (ids []int64, err error) {
	for start := n; start < last; start += fillRegistries {
		kept := len(ids)
		err := f.db.Update(ctx, func(tx *store.Tx) error {
			ids = ids[:kept]
			for i := start; i < min(start+fillRegistries, last); i++ {
				id, err := tx.AddRegistry(ctx, f.registry(i), nil)
				if err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func (f *filler) registry(i int) *portolan.Registry {
	types := []portolan.RegistryType{portolan.Harbor, portolan.OCI, portolan.Quay, portolan.ACR}
	regions := []string{"cn-hangzhou", "ap-southeast-1", "eu-central-1"}
	return &portolan.Registry{
		AccountID: f.account, Type: types[i%len(types)], Name: registryName(i), DomainName: fmt.Sprintf("registry-%d.example.com", i),
		Port: 443, Protocol: portolan.ProtocolHTTPS, NetType: 1, RegionID: regions[i%len(regions)], Version: "V2", TransPerHour: 30, PersistenceDay: 30,
		InstanceID: store.NewInstanceID(),
	}
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

// read makes and publishes the reading of a registry.
func (f *filler) read(ctx context.Context, registry int64) error {
	id := uuid.NewString()
	err := f.db.Update(ctx, func(tx *store.Tx) error {
		_, _, err := tx.RequestSync(ctx, store.SyncRequest{AccountID: f.account, RegistryID: registry, Cause: portolan.CauseAdd, NewID: id})
		return err
	})
	if err != nil {
		return err
	}
	lease, err := f.db.Claim(ctx, id, "bench", time.Minute)
	if err != nil {
		return err
	}
	lease.Plan = []byte("{}")
	now := time.Now()
	var changes []store.Change
	rows := 0
	for r := range f.scale.repositories {
		c := store.Change{Staged: store.StagedRepository{Path: fmt.Sprintf("team-%d/group-%d/app-%d", r%31, r%7, r)}, Make: true, State: store.StagedDone}
		for range f.scale.images {
			f.n++
			c.Insert = append(c.Insert, imageOf(f.n, now))
		}
		changes = append(changes, c)
		if rows += f.scale.images; rows >= fillRows {
			if err := f.db.Apply(ctx, lease, changes, true); err != nil {
				return err
			}
			changes, rows = nil, 0
		}
	}
	lease.Sync.Status = portolan.SyncOK
	if err := f.db.Apply(ctx, lease, changes, true); err != nil {
		return err
	}
	return f.db.Update(ctx, func(tx *store.Tx) error {
		_, err := tx.Finish(ctx, lease, store.Finish{CountDelta: f.scale.repositories * f.scale.images, NextSync: now.Add(24 * time.Hour)})
		return err
	})
}

// imageOf makes an image whose times, tags and digests are spread as those of
// a real registry: the order of its time has nothing to do with its row.
func imageOf(n int, now time.Time) portolan.Image {
	const mixed = 0x9E3779B97F4A7C15
	pushed := now.Add(-time.Duration(uint64(n)*mixed%(365*24*3600*1000)) * time.Millisecond)
	return portolan.Image{
		UUID: uuid.Must(uuid.NewV7()).String(), Digest: portolan.Digest(fmt.Sprintf("sha256:%064x", uint64(n)*mixed)),
		Tags:      []portolan.Tag{{Name: fmt.Sprintf("v%d.%d.%d", n%9, n%97, n%1009), Pushed: pushed}},
		MediaType: "application/vnd.oci.image.manifest.v1+json", ImageID: portolan.Digest(fmt.Sprintf("sha256:%064x", uint64(n)*0xC2B2AE3D27D4EB4F)),
		Size: int64(n) * 1000, Pushed: pushed, Updated: pushed, FirstSeen: now,
	}
}
