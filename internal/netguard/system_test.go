package netguard_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

// system is the authority that the system trusts in these tests.
var system *authority

func TestMain(m *testing.M) {
	code, err := withSystem(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withSystem runs what it is given where one authority alone is trusted: Go reads
// the system's when one is needed first.
func withSystem(run func() int) (code int, err error) {
	if system, err = makeAuthority(); err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "netguard")
	if err != nil {
		return 0, err
	}
	file := filepath.Join(folder, "system.pem")
	err = errors.Join(os.WriteFile(file, []byte(system.pem()), 0o600), os.Setenv("SSL_CERT_FILE", file), os.Setenv("SSL_CERT_DIR", folder))
	if err == nil {
		code = run()
	}
	return code, errors.Join(err, os.RemoveAll(folder))
}

// A target's own authority is trusted beside those of the system.
func TestSystemAuthorities(t *testing.T) {
	t.Parallel()
	own := newAuthority(t)
	public := serveTLS(t, system.issue(t, later(), "registry.test", "api.test"), whoami)
	private := serveTLS(t, own.issue(t, later(), "registry.test", "api.test"), whoami)
	for name, test := range map[string]struct {
		target  netguard.Target
		trusted map[string]bool // by host, of the private server; the public one is always trusted
	}{
		"none of its own": {netguard.Target{}, nil},
		"its own":         {netguard.Target{CACertificate: own.pem()}, map[string]bool{"registry.test": true, "api.test": true}},
		"for it alone":    {netguard.Target{CACertificate: own.pem(), CAForHostOnly: true}, map[string]bool{"registry.test": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.target.Host = "registry.test"
			client := newClient(t, netguard.Config{Allow: loopback(), Lookup: always("127.0.0.1")}, test.target)
			for _, host := range []string{"registry.test", "api.test"} {
				if _, err := get(t, client, "https://"+host+":"+port(t, public.URL)); err != nil {
					t.Errorf("%s with the system's authority: %v", host, err)
				}
				_, err := get(t, client, "https://"+host+":"+port(t, private.URL))
				if test.trusted[host] && err != nil {
					t.Errorf("%s with its own authority: %v", host, err)
				}
				if !test.trusted[host] {
					wantClass(t, err, portolan.TLSFailure)
				}
			}
		})
	}
}
