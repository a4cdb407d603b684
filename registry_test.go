package portolan_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"portolan"
)

func TestNormalizeDomain(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"registry.example.com":  "registry.example.com",
		"Registry.Example.COM.": "registry.example.com",
		"localhost":             "localhost",
		"my_registry.corp":      "my_registry.corp",
		"r1---x.example":        "r1---x.example",
		"bücher.example":        "xn--bcher-kva.example",
		"BÜCHER.example":        "xn--bcher-kva.example",
		"例え.テスト":                "xn--r8jz45g.xn--zckzah",
		"ex。ample.com。":         "ex.ample.com",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
		"192.0.2.1":             "192.0.2.1",
		"192.0.2.1.":            "192.0.2.1",
		"１９２.0.2.1":             "192.0.2.1",
		"2001:DB8::0:1":         "2001:db8::1",
		"[2001:db8::1]":         "2001:db8::1",
		"::ffff:192.0.2.1":      "192.0.2.1",
	}
	for in, want := range tests {
		if got, err := portolan.NormalizeDomain("DomainName", in); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", ".", "..", "a..b", "-a.b", "a-.b", "a b", "a/b", "a:5000", "http://a", "a@b", "*.a", "a.b..", "[192.0.2.1]", "[::1", "::1]", "fe80::1%eth0", "a\x00b",
		strings.Repeat("a", 64), strings.Repeat("a.", 127) + "a", "\xff",
	} {
		got, err := portolan.NormalizeDomain("DomainName", in)
		if e, ok := errors.AsType[*portolan.Error](err); !ok || e.Code != "InvalidParameter" || !strings.HasPrefix(e.Message, "DomainName must be a host name") {
			t.Errorf("%q is %q, %v", in, got, err)
		}
	}
}

// A host that was accepted stays what it is.
func FuzzNormalizeDomain(f *testing.F) {
	for _, seed := range []string{"a.example", "[::1]", "bücher.example", "1.2.3.4.", "a。b", "xn--a", "-", "[", "a_b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		host, err := portolan.NormalizeDomain("DomainName", in)
		if err != nil {
			return
		}
		if again, err := portolan.NormalizeDomain("DomainName", host); err != nil || again != host {
			t.Errorf("%q is %q, and that is %q, %v", in, host, again, err)
		}
		if strings.ContainsAny(host, "/@%[] \x00") || host == "" {
			t.Errorf("%q is %q", in, host)
		}
	})
}

func TestParseAddressList(t *testing.T) {
	t.Parallel()
	got, err := portolan.ParseAddressList("WhiteList", " 192.0.2.7 ,192.0.2.99/24,, 2001:db8::1,2001:db8::/32,::ffff:192.0.2.8,::ffff:192.0.2.0/120")
	want := "[192.0.2.7/32 192.0.2.0/24 2001:db8::1/128 2001:db8::/32 192.0.2.8/32 192.0.2.0/24]"
	if err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v; want %s", got, err, want)
	}
	for _, in := range []string{"x", "192.0.2.0/33", "192.0.2", "192.0.2.1 192.0.2.2", "192.0.2.1/", "fe80::1%eth0", "fe80::%eth0/64", "::ffff:0:0/95", strings.Repeat("192.0.2.1,", 101)} {
		if _, err := portolan.ParseAddressList("WhiteList", in); err == nil || !strings.Contains(err.Error(), "WhiteList holds") {
			t.Errorf("%.30q: %v", in, err)
		}
	}
	if list, err := portolan.ParseAddressList("WhiteList", strings.Repeat("192.0.2.1,", 100)); err != nil || len(list) != 100 {
		t.Errorf("100 addresses: %d, %v", len(list), err)
	}
}

func FuzzParseAddressList(f *testing.F) {
	for _, seed := range []string{"192.0.2.1", "192.0.2.0/24, ::1", ",,", "::ffff:1.2.3.0/120", "a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		list, err := portolan.ParseAddressList("WhiteList", in)
		if err != nil {
			return
		}
		for _, p := range list {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr() == (netip.Addr{}) {
				t.Errorf("%q holds %v", in, p)
			}
		}
	})
}

func TestRegistryFields(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{"": false, "a": true, strings.Repeat("像", 128): true, strings.Repeat("像", 129): false, "a\x7f": false, "a\nb": false, " ": true, "\xff": false} {
		if portolan.ValidRegistryName(name) != ok {
			t.Errorf("name %.20q: %t", name, !ok)
		}
	}
	for region, ok := range map[string]bool{"": false, "cn-hangzhou": true, "A": false, "a_b": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "0-": true} {
		if portolan.ValidRegion(region) != ok {
			t.Errorf("region %.20q: %t", region, !ok)
		}
	}
	for want, r := range map[string]portolan.Registry{
		"a.example":          {DomainName: "a.example", Port: 443, Protocol: portolan.ProtocolHTTPS},
		"a.example:443":      {DomainName: "a.example", Port: 443, Protocol: portolan.ProtocolHTTP},
		"a.example:5000":     {DomainName: "a.example", Port: 5000, Protocol: portolan.ProtocolHTTPS},
		"[2001:db8::1]:5000": {DomainName: "2001:db8::1", Port: 5000, Protocol: portolan.ProtocolHTTPS},
		"[2001:db8::1]":      {DomainName: "2001:db8::1", Port: 80, Protocol: portolan.ProtocolHTTP},
	} {
		if got := r.Address(); got != want {
			t.Errorf("address %s, want %s", got, want)
		}
	}
}
