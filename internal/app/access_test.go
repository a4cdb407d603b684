package app_test

import (
	"testing"

	"portolan/internal/app"
	"portolan/internal/policy"
	"portolan/internal/rpc"
	"portolan/internal/sas"
)

// The system policy for readers allows the operations that read, and none that
// changes or dials.
func TestReadOnlyAccess(t *testing.T) {
	t.Parallel()
	system, ok := policy.LookupSystem("AliyunYundunSASReadOnlyAccess")
	if !ok {
		t.Fatal("there is no such policy")
	}
	document, err := policy.Parse(system.Document)
	if err != nil {
		t.Fatal(err)
	}
	readers := policy.Set{Policies: []policy.Named{{Name: system.Name, Policy: document}}}
	for _, e := range app.Endpoints(&sas.Service{}) {
		allowed := policy.Decide(policy.Request{Action: e.Action, Resource: "*"}, readers).Allowed()
		if allowed != (e.Access != rpc.Write) {
			t.Errorf("%s has access %v; a reader is allowed: %t", e.Name, e.Access, allowed)
		}
	}
}
