package test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/rogpeppe/go-internal/testscript"

	"portolan/internal/store"
)

// tag REPOSITORY FROM TO gives what a tag of the script's registry names
// another tag, or moves that one.
func moveTag(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: tag REPOSITORY FROM TO")
	}
	status, kind, manifest := ask(ts, http.MethodGet, args[0], args[1], "", nil)
	if status != http.StatusOK {
		ts.Fatalf("get %s:%s: status %d", args[0], args[1], status)
	}
	if status, _, _ := ask(ts, http.MethodPut, args[0], args[2], kind, manifest); status != http.StatusCreated {
		ts.Fatalf("put %s:%s: status %d", args[0], args[2], status)
	}
}

// untag REPOSITORY TAG takes a tag away.
func removeTag(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: untag REPOSITORY TAG")
	}
	if status, _, _ := ask(ts, http.MethodDelete, args[0], args[1], "", nil); status != http.StatusAccepted {
		ts.Fatalf("delete %s:%s: status %d", args[0], args[1], status)
	}
}

// ask sends a request about a manifest to the script's registry.
func ask(ts *testscript.TestScript, method, repository, tag, kind string, body []byte) (status int, contentType string, answer []byte) {
	url := "http://127.0.0.1:" + ts.Getenv("REGISTRY_PORT") + "/v2/" + repository + "/manifests/" + tag
	req, err := http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body))
	ts.Check(err)
	req.Header.Set("Content-Type", kind)
	resp, err := (&http.Client{}).Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	ts.Check(err)
	return resp.StatusCode, resp.Header.Get("Content-Type"), answer
}

// age DAYS has images be gone for so many days more.
func age(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: age DAYS")
	}
	ctx := context.Background()
	db, err := store.Open(ctx, "sqlite:"+ts.MkAbs("data/portolan.db"), store.Options{})
	ts.Check(err)
	_, err = db.Writer().ExecContext(ctx, `UPDATE images SET gone_at = gone_at - CAST($1 AS BIGINT) * 86400000 WHERE gone_at > 0`, args[0])
	ts.Check(errors.Join(err, db.Close()))
}
