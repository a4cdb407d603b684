// Command serve is the reference registry, distribution 3, with the content of
// the benchmarks in memory. It says its address and ends with its input.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/manifest/ocischema" // the manifests' type
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/distribution/reference"
	"github.com/sirupsen/logrus"

	"portolan/bench/shelf"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("want the number of repositories")
	}
	repositories, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	kept := inmemory.New()
	if err := fill(ctx, kept, repositories); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: registry(ctx, kept)} //nolint:gosec // on loopback, for its own client
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	fmt.Fprintln(out, listener.Addr())
	_, _ = io.Copy(io.Discard, in)
	if err := errors.Join(server.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// fill pushes all images, without the layers.
func fill(ctx context.Context, kept driver.StorageDriver, repositories int) error {
	namespace, err := storage.NewRegistry(ctx, kept)
	if err != nil {
		return err
	}
	for r := range repositories {
		name, err := reference.WithName(shelf.Repository(r))
		if err != nil {
			return err
		}
		repository, err := namespace.Repository(ctx, name)
		if err != nil {
			return err
		}
		if err := push(ctx, repository, r); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func push(ctx context.Context, repository distribution.Repository, r int) error {
	manifests, err := repository.Manifests(ctx, storage.SkipLayerVerification())
	if err != nil {
		return err
	}
	for t := range shelf.Tags {
		manifest, described, err := distribution.UnmarshalManifest(shelf.ManifestType, shelf.Manifest(r, t))
		if err != nil {
			return err
		}
		if _, err := manifests.Put(ctx, manifest); err != nil {
			return err
		}
		if err := repository.Tags(ctx).Tag(ctx, shelf.Tag(t), described); err != nil {
			return err
		}
	}
	return nil
}

// registry is distribution over what is kept.
func registry(ctx context.Context, kept driver.StorageDriver) http.Handler {
	factory.Register("filled", filled{kept})
	config := &configuration.Configuration{Version: "0.1"}
	config.Storage = configuration.Storage{
		"filled":      nil,
		"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
	}
	config.HTTP.Secret = "for uploads only"
	config.Catalog.MaxEntries = 1_000
	logrus.SetOutput(io.Discard)
	logrus.SetLevel(logrus.ErrorLevel) // else it writes a line for each request
	return handlers.NewApp(ctx, config)
}

// filled hands out the one driver that has been filled.
type filled struct{ driver.StorageDriver }

func (f filled) Create(context.Context, map[string]any) (driver.StorageDriver, error) {
	return f.StorageDriver, nil
}
