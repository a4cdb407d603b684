package main

import (
	"context"
	"errors"
	"fmt"
)

func (b *bench) all(ctx context.Context) error {
	for _, postgres := range []bool{false, true} {
		if postgres && b.postgres == "" {
			continue
		}
		if err := b.database(ctx, postgres); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) database(ctx context.Context, postgres bool) (err error) {
	name := "SQLite"
	if postgres {
		name = "PostgreSQL"
	}
	if b.part("sync") {
		if err := b.sync(ctx, postgres, name); err != nil {
			return err
		}
	}
	if b.part("large") {
		if err := b.large(ctx, postgres, name); err != nil {
			return err
		}
	}
	if !b.part("page") && !b.part("images") && !b.part("start") {
		return nil
	}
	images := 100
	if b.quick {
		images = 10
	}
	var worlds []*world
	defer func() {
		for _, w := range worlds {
			err = errors.Join(err, w.drop())
		}
	}()
	world := func(s scale, from *world) (*world, error) {
		w, err := b.world(ctx, postgres, s, from)
		worlds = append(worlds, w)
		return w, err
	}
	few, err := world(scale{20, 500, images, 0}, nil)
	if err != nil {
		return err
	}
	many, err := world(scale{20, 500, images, 19_980}, few)
	if err != nil {
		return err
	}
	small, err := world(scale{20, 5, 10, 0}, nil)
	if err != nil {
		return err
	}
	if b.part("start") {
		s := b.section("Start, "+name, "A first answer needs the list of registries, which is read with it.")
		if err := errors.Join(b.startup(ctx, s, few, name), b.startup(ctx, s, many, name), b.binary(ctx, s)); err != nil {
			return err
		}
	}
	if b.part("page") {
		if err := b.page(ctx, few, many, name); err != nil {
			return err
		}
	}
	if b.part("images") {
		if err := b.images(ctx, small, many, name); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) page(ctx context.Context, few, many *world, name string) error {
	s := b.section("PageImageRegistry, "+name, fmt.Sprintf("Pages of 20 rows over %d keep-alive connections, %d images in the store.", connections, many.scale.total()))
	for _, w := range []*world{few, many} {
		if err := b.againstFloor(ctx, s, w, name); err != nil {
			return err
		}
	}
	return b.overScale(ctx, s, few, many, name)
}
