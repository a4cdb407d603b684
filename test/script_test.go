// Package test runs the end-to-end scripts: one for each operation in
// docs/examples, which are also the examples of the documentation, and those
// of the command line and of bad input in testdata.
package test

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"portolan/internal/app"
	"portolan/internal/cli"
	"portolan/internal/sas"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"portolan": portolan})
}

// portolan is the command, as cmd/portolan has it.
func portolan() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

const examples = "../docs/examples"

func TestExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("each calls one operation: nothing for a race detector to see that TestScripts does not show")
	}
	run(t, examples)
}

func TestScripts(t *testing.T) { run(t, "testdata") }

func run(t *testing.T, dir string) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Values[worldKey{}], e.Values[receiverKey{}] = &world{}, &receiver{}
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"registry": startRegistry,
			"quay":     quay,
			"server":   startServer,
			"stop":     stopServer,
			"capture":  capture,
			"until":    until,
			"newer":    makeNewer,
			"event":    sendEvent,
			"tag":      moveTag,
			"untag":    removeTag,
			"age":      age,
			"receiver": startReceiver,
			"refuse":   refuse,
			"received": checkReceived,
		},
	})
}

// Every operation has a script that calls it.
func TestEveryOperationHasAScript(t *testing.T) {
	t.Parallel()
	for _, e := range app.Endpoints(&sas.Service{}) {
		b, err := os.ReadFile(filepath.Join(examples, e.Name+".txtar"))
		if err != nil {
			t.Errorf("%s has no script: %v", e.Name, err)
			continue
		}
		if !strings.Contains(string(b), "exec portolan call "+e.Product+" "+e.Name) {
			t.Errorf("the script of %s does not call it", e.Name)
		}
	}
}
