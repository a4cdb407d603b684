// Command bench measures a whole Portolan: each figure is a ratio to a floor
// or to a smaller store that is measured in the same run, in turn with it. It
// writes docs/performance.md. No timing is an error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// bench is a run of all measurements.
type bench struct {
	out      io.Writer
	folder   string
	postgres string // URL of a server on which databases can be made, or ""
	quick    bool
	runs     int // pairs of runs of a ratio
	requests int // of a run
	only     string
	keep     bool // the stores, for the next run
	sections []*section
}

var newID = regexp.MustCompile(`"Id":(\d+)`)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := start(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context) (err error) {
	b := &bench{out: os.Stdout, runs: 5, requests: 20_000}
	serve := flag.String("serve", "", "for the benchmark itself")
	flag.BoolVar(&b.quick, "quick", false, "fewer and smaller runs")
	flag.StringVar(&b.postgres, "postgres", os.Getenv("PORTOLAN_TEST_POSTGRES"), "URL of a PostgreSQL to measure on too")
	flag.StringVar(&b.only, "only", "", "only these parts: page, images, sync, large, start")
	keep := flag.String("keep", "", "folder in which the stores are kept for the next run")
	out := flag.String("out", "", "file to write the report to")
	flag.Parse()
	if *serve != "" {
		return serveChild(ctx, *serve, os.Stdin, os.Stdout)
	}
	if b.quick {
		b.runs, b.requests = 3, 8_000
	}
	if b.keep = *keep != ""; b.keep {
		if b.folder, err = filepath.Abs(*keep); err != nil {
			return err
		}
	} else {
		if b.folder, err = os.MkdirTemp("", "portolan-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(b.folder)) }()
	}
	started := time.Now()
	if err := b.all(ctx); err != nil {
		return err
	}
	took := time.Since(started)
	b.say("all in %s\n", took.Round(time.Second))
	if *out == "" {
		return nil
	}
	return b.report(*out, took)
}

func (b *bench) part(name string) bool { return b.only == "" || strings.Contains(b.only, name) }

// say shows how far the run is. Nobody may be reading.
func (b *bench) say(format string, args ...any) { _, _ = fmt.Fprintf(b.out, format, args...) }

func (b *bench) section(title, text string) *section {
	s := &section{out: b.out, title: title, text: text}
	b.sections = append(b.sections, s)
	b.say("\n== %s\n", title)
	return s
}
