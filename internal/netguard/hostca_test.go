package netguard_test

import (
	"strings"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

// TestAuthorityForTheTargetOnly: who may vouch for the registry alone cannot
// vouch for the host of a public API.
func TestAuthorityForTheTargetOnly(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	server := serveTLS(t, ca.issue(t, later(), "registry.test", "api.test"), whoami)
	for _, only := range []bool{false, true} {
		target := netguard.Target{Host: "registry.test", CACertificate: ca.pem(), CAForHostOnly: only}
		client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, target)
		if _, err := get(t, client, "https://registry.test:"+port(t, server.URL)); err != nil {
			t.Errorf("the target, only %t: %v", only, err)
		}
		_, err := get(t, client, "https://api.test:"+port(t, server.URL))
		if !only {
			if err != nil {
				t.Errorf("another host: %v", err)
			}
			continue
		}
		if failure := failureOf(t, err, portolan.TLSFailure); !strings.Contains(failure.Message, "unknown authority") {
			t.Errorf("message %q", failure.Message)
		}
	}
}
