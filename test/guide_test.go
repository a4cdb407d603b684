package test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"portolan/internal/cli/samples"
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestGuide runs the shell blocks of the guide.
func TestGuide(t *testing.T) {
	t.Parallel()
	runPage(t, "../docs/guide.md", "It adds up", "InstanceCount", "NoPermission", "Denied implicitly", "harbor-eu")
}

// runPage runs the shell blocks of a page, in order, as a reader would type
// them, and looks for texts in what they print.
func runPage(t *testing.T, page string, wanted ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the command")
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		t.Fatalf("%s has no shell blocks", page)
	}
	script := "set -euo pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n"
	for _, b := range blocks {
		script += b[1]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "portolan"), "../cmd/portolan")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.CommandContext(ctx, "bash", "-c", script)
	run.Dir = dir
	run.Env = append(withoutPortolan(os.Environ()), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "DATA="+filepath.Join(dir, "data"),
		"REGISTRY_PORT="+sampleRegistry(t))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range wanted {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

func withoutPortolan(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "PORTOLAN_") && !strings.HasPrefix(v, "ALIBABA_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// sampleRegistry serves a registry with the sample images and answers its port.
func sampleRegistry(t *testing.T) string {
	t.Helper()
	handler, err := samples.New()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() { _ = server.Close(); wg.Wait() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
