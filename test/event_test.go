package test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// tooLarge is more than an event may have.
const tooLarge = 300 << 10

// event PATH FILE sends a file to the server as a registry sends its events,
// and prints the status and the answer. Variables in the file are expanded,
// $LARGE to more than an event may have.
func sendEvent(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: event PATH FILE")
	}
	body := os.Expand(ts.ReadFile(args[1]), func(name string) string {
		if name == "LARGE" {
			return strings.Repeat(" ", tooLarge)
		}
		return ts.Getenv(name)
	})
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, ts.Getenv("PORTOLAN_ENDPOINT")+args[0], strings.NewReader(body))
	ts.Check(err)
	resp, err := (&http.Client{}).Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	_, _ = fmt.Fprintf(ts.Stdout(), "%d %s\n", resp.StatusCode, answer)
}
