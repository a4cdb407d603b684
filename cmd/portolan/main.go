// Command portolan keeps the security inventory of every container-image
// registry of an organisation. See portolan --help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"portolan/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}
