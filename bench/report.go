package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

const preamble = `# Performance

Written by %s on %s (%s).

%s

How it is measured:

- A figure is a ratio to a floor, or to a smaller store, that is measured in the same run and in turn with it: the median of the
  pairs, and the smallest and largest of them in parentheses. No figure fails a test.
- Servers are processes of their own, so that their CPU time is theirs alone; where a server is compared with a floor, both have one processor
  and the clients another. Requests are signed before they are timed, each with a nonce of its own.
- The floor of an API call is a net/http server that reads the request, verifies its signature with the same code and writes a
  constant body of the same size. Portolan's log is written as in production, a line for each call.
- PostgreSQL is one of its own (scripts/postgres.sh) with the defaults of its version, but without fsync and without filling
  its log with zeros. The database's own work is in other processes: there a call's cost is the time that it takes when it is alone.
- The floor of a reading is a Go client that sends the same requests over as many connections and hashes what it reads. What is
  read is distribution 3, the reference registry, with its content in memory; beside it a registry that does as little as can be.
- Servers and their floors collect garbage as portolan serve does, with GOGC=200. The client is as Go makes it, with 100; with
  200 it would be a fiftieth quicker.
- A reading is timed from when it starts: how long it waits in the queue, up to a second, is not counted.
- On SQLite a writing transaction locks out all other writers. On PostgreSQL a reading locks its own rows; there it counts how
  long somebody takes who changes the registry meanwhile and asks for a reading, which meets those locks. The longest of
  thousands wait for the disk: to leave it out, have TMPDIR and the database in memory.

`

// report writes what was measured.
func (b *bench) report(path string, took time.Duration) error {
	var text strings.Builder
	command := "`make bench`"
	if b.quick {
		command = "`make bench QUICK=-quick`, which is short and less exact,"
	}
	fmt.Fprintf(&text, preamble, command, time.Now().UTC().Format("2 January 2006"), took.Round(time.Second), machine())
	for _, s := range b.sections {
		s.markdown(&text)
	}
	return os.WriteFile(path, []byte(strings.TrimRight(text.String(), "\n")+"\n"), 0o644) //nolint:gosec // a page of the documentation
}

var modelName = regexp.MustCompile(`model name\s*: (.*)`)

func machine() string {
	model := "unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := modelName.FindSubmatch(text); m != nil {
			model = string(m[1])
		}
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		fields := strings.Fields(string(text))
		load = fmt.Sprintf(", load %s over the last 15 minutes", fields[min(2, len(fields)-1)])
	}
	return fmt.Sprintf("Machine: %s, %d processors, %s/%s, %s%s.", model, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), load)
}

// parts are the functions that a profile is summed up by.
func parts() []struct{ name, function string } {
	return []struct{ name, function string }{
		{"net/http and the gateway, all of a request", "net/http.(*conn).serve"},
		{"reading requests", "net/http.(*conn).readRequest"},
		{"reading the parameters", "portolan/internal/sign.Parse"},
		{"checking key, signature and nonce", "portolan/internal/iam.(*Service).Authenticate"},
		{"of that, the signature", "portolan/internal/sign.(*Signature).Verify"},
		{"the operation: decoding, the page, its rows", "portolan/internal/rpc.(*Endpoint).Call"},
		{"encoding the answer", "portolan/internal/gateway.(*encoder).encode"},
		{"writing the answer", "portolan/internal/gateway.(*answer).whole"},
		{"writing the log and the metrics", "portolan/internal/gateway.(*Gateway).record"},
		{"collecting garbage", "runtime.gcBgMarkWorker"},
		{"system calls, wherever", "internal/runtime/syscall/linux.Syscall6"},
	}
}

// breakdown sums a profile up by its parts.
func breakdown(ctx context.Context, profile string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodefraction=0", "-nodecount=10000", self, profile).Output() //nolint:gosec // our own files
	if err != nil {
		return "", fmt.Errorf("read the profile: %w", err)
	}
	var b strings.Builder
	b.WriteString("Where the CPU time of the server goes (parts overlap):\n\n| part | share |\n|---|---|\n")
	lines := strings.Split(string(out), "\n")
	for _, p := range parts() {
		i := slices.IndexFunc(lines, func(line string) bool {
			return strings.HasSuffix(strings.TrimSuffix(line, " (inline)"), "  "+p.function)
		})
		if i < 0 {
			continue
		}
		fields := strings.Fields(lines[i])
		fmt.Fprintf(&b, "| %s | %s |\n", p.name, fields[4])
	}
	return b.String() + "\n", nil
}
