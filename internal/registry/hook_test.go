package registry_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/registry"
	"portolan/internal/store"
	"portolan/internal/store/storetest"
)

func TestHook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		r := newRig(t, url)
		var err error
		if r.Hooks, err = r.box.Hasher("webhook"); err != nil {
			t.Fatal(err)
		}
		g, err := r.Add(t.Context(), account, portolan.OCI, registry.Fields{DomainName: "registry.example.com", WhiteList: "192.0.2.0/24"})
		if err != nil {
			t.Fatal(err)
		}
		inside, outside := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.7")
		admit := func(name string, id int64, secret string, peer netip.Addr, want string) {
			t.Helper()
			got, err := r.AdmitHook(t.Context(), id, secret, peer)
			if want == "" && (err != nil || got.ID != g.ID) {
				t.Errorf("%s: %v", name, err)
			}
			if want != "" && (!errors.Is(err, portolan.ErrNoPermission) || !strings.Contains(err.Error(), want) || secret != "" && strings.Contains(err.Error(), secret)) {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
		admit("no secret yet", g.ID, "", inside, "no secret yet")
		first, err := r.NewHook(t.Context(), account, g.ID)
		if err != nil || len(first) != 32 {
			t.Fatalf("%q, %v", first, err)
		}
		admit("first", g.ID, first, inside, "")
		admit("black sheep", g.ID, first, outside, "address lists")
		admit("longer", g.ID, first+"0", inside, "not that of its webhook")
		admit("none", g.ID, "", inside, "not that of its webhook")
		admit("unknown registry", g.ID+1, first, inside, "no such registry")
		second, err := r.NewHook(t.Context(), account, g.ID)
		if err != nil || second == first {
			t.Fatalf("%q, %v", second, err)
		}
		admit("replaced", g.ID, first, inside, "not that of its webhook")
		admit("second", g.ID, second, inside, "")
		if _, sum, err := r.db.Hook(t.Context(), g.ID); err != nil || strings.Contains(string(sum), second) || len(sum) != 32 {
			t.Errorf("%x is kept, %v", sum, err)
		}
		if _, err := r.NewHook(t.Context(), account+1, g.ID); code(err) != "RegistryNotExist" && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("of another account: %v", err)
		}
		if err := r.Delete(t.Context(), account, g.ID); err != nil {
			t.Fatal(err)
		}
		admit("deleted", g.ID, second, inside, "no such registry")
	})
}
