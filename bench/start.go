package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"portolan/internal/sign"
)

const settle = 3 * time.Second

// startup measures what a server costs before it does anything.
func (b *bench) startup(ctx context.Context, s *section, full *world, database string) error {
	name := fmt.Sprintf("%s, %d registries and %d images", database, full.scale.all(), full.scale.total())
	var took []time.Duration
	for range b.runs {
		q := pageQuestion(sign.ACS3SHA256)
		started := time.Now()
		z, err := launchWith(ctx, b.folder, full.spec)
		if err != nil {
			return err
		}
		_, err = fetch(ctx, z, &q, full.key)
		took = append(took, time.Since(started))
		if err := errors.Join(err, z.stop()); err != nil {
			return err
		}
	}
	m := middle(took)
	s.add(figure{what: "from start to the first answer, " + name, value: millis(m), want: "< 150 ms", met: m < 150*time.Millisecond, note: "with the list of registries loaded"})
	z, err := launchWith(ctx, b.folder, full.spec)
	if err != nil {
		return err
	}
	select {
	case <-time.After(settle):
	case <-ctx.Done():
	}
	u, err := z.usage()
	if err := errors.Join(err, z.stop()); err != nil {
		return err
	}
	s.add(figure{what: "resident memory when idle, " + name, value: fmt.Sprintf("%d MB", u.RSS/1e6), want: "< 60 MB", met: u.RSS < 60e6})
	return nil
}

func (b *bench) binary(ctx context.Context, s *section) error {
	path := filepath.Join(b.folder, "portolan")
	//nolint:gosec // a folder of this run
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "portolan/cmd/portolan")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	s.add(figure{what: "size of the program", value: fmt.Sprintf("%d MB", info.Size()/1e6), want: "< 80 MB", met: info.Size() < 80e6})
	return nil
}
