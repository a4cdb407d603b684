package test

import (
	"fmt"
	"net"
	"net/http"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"portolan/internal/connector/quay/quaytest"
)

// quay serve ORGANISATION TOKEN serves a Quay, and tells its port in
// $QUAY_PORT. Then
//
//	quay push PATH TAG SEED
//	quay delete PATH [TAG]
//	quay expire
//
// push an image that differs by the seed (under a tag that is there: move it),
// delete a tag or a repository, or end the token.
func quay(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	if len(args) == 3 && args[0] == "serve" {
		w.quay = serveQuay(ts, args[1], args[2])
		return
	}
	if len(args) == 0 || w.quay == nil {
		ts.Fatalf("usage: quay serve | push | delete | expire")
	}
	w.quay.Update(func(m *quaytest.Model) {
		switch {
		case args[0] == "push" && len(args) == 4:
			m.Push(args[1], args[2], "application/vnd.oci.image.manifest.v1+json", quayImage(args[3]))
		case args[0] == "delete" && len(args) == 3:
			m.DeleteTag(args[1], args[2])
		case args[0] == "delete" && len(args) == 2:
			m.DeleteRepository(args[1])
		case args[0] == "expire":
			m.Tokens[0].Expired = true
		default:
			ts.Fatalf("quay does not know %q", args)
		}
	})
}

func serveQuay(ts *testscript.TestScript, organisation, token string) *quaytest.Server {
	fake := quaytest.New(quaytest.Model{
		Namespaces: []quaytest.Namespace{{Name: organisation}},
		Tokens:     []quaytest.Token{{Secret: token, Scopes: []string{"repo:read"}, Admin: []string{organisation}}},
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := &http.Server{Handler: fake}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(listener) })
	ts.Defer(func() { _ = server.Close(); wg.Wait() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Setenv("QUAY_PORT", port)
	return fake
}

// quayImage is the manifest of an image that differs by the seed.
func quayImage(seed string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":7},`+
		`"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":%q,"size":100}]}`,
		quaytest.Digest("config "+seed), quaytest.Digest("layer "+seed))
}
