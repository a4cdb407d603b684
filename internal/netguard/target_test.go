package netguard_test

import (
	"net/netip"
	"strings"
	"testing"

	"portolan"
	"portolan/internal/netguard"
)

func TestCheckLiteral(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		target  netguard.Target
		refused bool
	}{
		"name":                 {netguard.Target{Host: "registry.example.com"}, false},
		"name of a number":     {netguard.Target{Host: "163.com"}, false},
		"name like hex":        {netguard.Target{Host: "registry.0xyz"}, false},
		"public":               {netguard.Target{Host: "203.0.113.9"}, false},
		"opened":               {netguard.Target{Host: "10.1.2.3"}, false},
		"localhost is a name":  {netguard.Target{Host: "localhost"}, false},
		"loopback":             {netguard.Target{Host: "127.0.0.1"}, true},
		"bracketed":            {netguard.Target{Host: "[::1]"}, true},
		"mapped":               {netguard.Target{Host: "::ffff:127.0.0.1"}, true},
		"private":              {netguard.Target{Host: "10.2.0.1"}, true},
		"host address":         {netguard.Target{Host: "registry.example.com", HostIP: "192.168.0.1"}, true},
		"public host address":  {netguard.Target{Host: "registry.example.com", HostIP: "203.0.113.9"}, false},
		"short form":           {netguard.Target{Host: "127.1"}, true},
		"one number":           {netguard.Target{Host: "2130706433"}, true},
		"trailing dot":         {netguard.Target{Host: "127.1."}, true},
		"hex":                  {netguard.Target{Host: "0x7f.0x1"}, true},
		"empty hex":            {netguard.Target{Host: "127.0x"}, true},
		"octal":                {netguard.Target{Host: "0177.0.0.01"}, true},
		"VPC, private":         {netguard.Target{Host: "10.2.0.1", NetType: portolan.NetVPC}, false},
		"VPC, loopback":        {netguard.Target{Host: "127.0.0.1", NetType: portolan.NetVPC}, true},
		"VPC, metadata":        {netguard.Target{Host: "100.100.100.200", NetType: portolan.NetVPC}, true},
		"VPC, short form":      {netguard.Target{Host: "127.1", NetType: portolan.NetVPC}, true},
		"metadata, IPv6":       {netguard.Target{Host: "fd00:ec2::254"}, true},
		"6to4 of loopback":     {netguard.Target{Host: "2002:7f00:1::1"}, true},
		"NAT64 of a public":    {netguard.Target{Host: "64:ff9b::8.8.8.8"}, false},
		"link-local with zone": {netguard.Target{Host: "fe80::1%eth0"}, true},
	}
	g, err := netguard.New(netguard.Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := g.CheckLiteral(tt.target)
			if (err != nil) != tt.refused {
				t.Fatalf("CheckLiteral(%+v) = %v, want refused %t", tt.target, err, tt.refused)
			}
			if err != nil {
				wantClass(t, err, portolan.AddressForbidden)
			}
		})
	}
}

func TestTrustOfTarget(t *testing.T) {
	t.Parallel()
	g, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t)
	sum := strings.Repeat("0a", 32)
	tests := map[string]struct{ ca, leaf, want string }{
		"neither":           {"", "", ""},
		"authority":         {ca.pem(), "", ""},
		"certificate":       {"", sum, ""},
		"with colons":       {"", strings.TrimSuffix(strings.Repeat("0A:", 32), ":"), ""},
		"no PEM":            {"MIIB", "", "caCertificate"},
		"a key":             {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "", "caCertificate"},
		"short fingerprint": {"", sum[2:], "certificateSha256"},
		"no hex":            {"", strings.Repeat("zz", 32), "certificateSha256"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := g.Client(netguard.Target{Host: "a.test", CACertificate: tt.ca, CertificateSHA256: tt.leaf})
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want+" ")) {
				t.Errorf("Client: %v, want an error that starts with %s", err, tt.want)
			}
		})
	}
}

func TestBadTarget(t *testing.T) {
	t.Parallel()
	g, err := netguard.New(netguard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]netguard.Target{
		"host address": {Host: "a.test", HostIP: "b.test"},
		"authority":    {Host: "a.test", CACertificate: "x"},
		"certificate":  {Host: "a.test", CertificateSHA256: "x"},
	} {
		if _, err := g.Client(target); err == nil {
			t.Errorf("%s: Client makes a client", name)
		}
		if _, err := g.Resolve(t.Context(), target); err == nil {
			t.Errorf("%s: Resolve answers", name)
		}
		if err := g.DialTCP(t.Context(), target); err == nil {
			t.Errorf("%s: DialTCP connects", name)
		}
		if _, err := g.Handshake(t.Context(), target); err == nil {
			t.Errorf("%s: Handshake succeeds", name)
		}
	}
}
