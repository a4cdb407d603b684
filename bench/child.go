package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"portolan/bench/shelf"
	"portolan/internal/app"
	"portolan/internal/gateway"
	"portolan/internal/sign"
)

// spec says what a child process serves.
type spec struct {
	// Floor serves a constant body instead of a Portolan: the cheapest server
	// that checks the same signature.
	Floor bool
	// Data and Database are the store of a Portolan.
	Data, Database string
	// Body is what a floor answers, Secret what requests are signed with.
	Body   []byte
	Secret string
	// Shelf is the number of repositories of a registry in memory, if it is to
	// be one.
	Shelf int
}

// usage is what a process has used since it started.
type usage struct {
	CPU     time.Duration
	Mallocs uint64
	Bytes   uint64
	RSS     int64 // of this moment
}

// serveChild is a server in a process of its own, so that its CPU time is not
// that of its clients. It says its address, obeys the words profile FILE and
// profiled, answers each word with its usage, and ends when there are no more.
func serveChild(ctx context.Context, text string, in io.Reader, out io.Writer) error {
	var s spec
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	app.CollectSeldom(os.Getenv("GOGC")) // as a server does, and what it is compared with
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	addr, err := s.start(ctx, ended)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, addr); err != nil {
		return err
	}
	if err := obey(in, out); err != nil {
		return err
	}
	cancel()
	return <-ended
}

func (s *spec) start(ctx context.Context, ended chan<- error) (addr string, err error) {
	switch {
	case s.Floor:
		return s.startFloor(ctx, ended)
	case s.Shelf > 0:
		return s.startShelf(ctx, ended)
	}
	log := app.NewLogWriter(os.Stderr)
	a, err := app.New(ctx, app.Config{
		Data: s.Data, Database: s.Database, Listen: "127.0.0.1:0", MetricsListen: app.Off,
		AllowDial: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Log:       slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	if err != nil {
		return "", err
	}
	go func() { ended <- errors.Join(a.Run(ctx), a.Close(), log.Close()) }()
	return a.Addr(), nil
}

// startFloor serves what every server has to do: read the request, verify its
// signature, write as many bytes.
func (s *spec) startFloor(ctx context.Context, ended chan<- error) (addr string, err error) {
	limits := sign.Limits{Params: 1_000, Name: 128, Value: 512 << 10}
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				var signature *sign.Signature
				signature, err = sign.Parse(&sign.Request{
					Method: r.Method, Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Host: r.Host, Header: r.Header, Body: body,
				}, limits)
				if err == nil {
					err = signature.Verify(s.Secret)
				}
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			w.Header().Set("Content-Type", "application/json;charset=utf-8")
			w.Header().Set("Content-Length", strconv.Itoa(len(s.Body)))
			_, _ = w.Write(s.Body)
		}),
	}
	return serve(ctx, server, gateway.Limit, ended)
}

// startShelf serves a registry in memory.
func (s *spec) startShelf(ctx context.Context, ended chan<- error) (addr string, err error) {
	server := &http.Server{Handler: shelf.New(s.Shelf)} //nolint:gosec // on loopback, for its own client
	return serve(ctx, server, func(l net.Listener) net.Listener { return l }, ended)
}

// serve serves on loopback until the context ends.
func serve(ctx context.Context, server *http.Server, limit func(net.Listener) net.Listener, ended chan<- error) (addr string, err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		<-ctx.Done()
		ended <- server.Close()
	}()
	go func() { _ = server.Serve(limit(listener)) }() // ends with Close
	return listener.Addr().String(), nil
}

// obey answers the words of the parent until there are no more.
func obey(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	var profile *os.File
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch word {
		case "profile":
			if profile, err = os.Create(rest); err == nil {
				err = pprof.StartCPUProfile(profile)
			}
		case "profiled":
			pprof.StopCPUProfile()
			err = profile.Close()
		}
		if err = errors.Join(err, json.NewEncoder(out).Encode(used())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func used() usage {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails only for a wrong argument
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return usage{
		CPU:     time.Duration(r.Utime.Nano() + r.Stime.Nano()),
		Mallocs: m.Mallocs, Bytes: m.TotalAlloc, RSS: resident(os.Getpid()),
	}
}

// resident is the resident memory of a process in bytes, 0 if it cannot be
// told.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}
