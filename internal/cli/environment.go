package cli

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

const envPrefix = "PORTOLAN_"

// fromEnvironment gives every flag that the command line leaves out the value
// of its environment variable: --sync-interval is PORTOLAN_SYNC_INTERVAL. Names
// bound it to some flags.
func (s *shell) fromEnvironment(flags *pflag.FlagSet, names ...string) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if names != nil && !slices.Contains(names, f.Name) {
			return
		}
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := s.env(name)
		if f.Changed || value == "" || f.Name == "help" || failed != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			failed = usagef("%s: %q is not a value of --%s, which is %s", name, value, f.Name, f.Usage)
		}
	})
	return failed
}

// prefixes reads networks and single addresses.
func prefixes(flag string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, item := range list {
		item = strings.TrimSpace(item)
		p, err := netip.ParsePrefix(item)
		if addr, e := netip.ParseAddr(item); e == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, usagef("--%s: %q is neither a network, such as 10.0.0.0/8, nor an address", flag, item)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// storeFlags are the flags that say where a store is.
func storeFlags() []string { return []string{"data", "database", "master-key-file"} }
