package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"portolan"
)

// importFlags are the flags of registry import.
type importFlags struct {
	target
	dryRun, resend bool
}

func (s *shell) registryImport() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "import FILE", Short: "Add or change many registries from a YAML or CSV file",
		Long: `Adds the registries of a file, and changes those that exist already where they
differ. Running it again changes nothing. A registry is the same if type, host,
port, user, vpc and address are. "-" reads YAML from standard input.

A YAML file is a list; a CSV file has the same names in its first line, and
separates namespaces by blanks:

  - type: harbor                      # harbor, quay, acr or oci
    host: harbor.example.com
    name: harbor-prod
    user: robot$portolan
    passwordFile: secrets/harbor.txt  # beside this file; or password:
    namespaces: [platform, data]

More names: port, http, region, vpc, address, repositories, authTokens, caFile,
certificateSha256, transPerHour, persistenceDay, whiteList, blackList.

Passwords, tokens, repositories and certificates cannot be read back, so they
are not compared: --resend sends those of the file for existing registries.`,
		Example: "  portolan registry import registries.yaml --dry-run\n  portolan registry import registries.yaml",
		Args:    takes(1),
		RunE:    func(c *cobra.Command, args []string) error { return s.importFile(c.Context(), &f, args[0]) },
	}
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be done, and do nothing")
	c.Flags().BoolVar(&f.resend, "resend", false, "send what cannot be compared for existing registries too")
	f.add(c.Flags())
	return c
}

// importer adds and changes registries.
type importer struct {
	*shell
	client *client
	importFlags
	base     string
	existing map[string]info
	counts   map[string]int
}

func (s *shell) importFile(ctx context.Context, f *importFlags, path string) error {
	entries, err := s.readEntries(path)
	if err != nil {
		return err
	}
	server, err := s.client(f.target)
	if err != nil {
		return err
	}
	list, err := server.infos(ctx, "")
	if err != nil {
		return err
	}
	m := &importer{shell: s, client: server, importFlags: *f, base: filepath.Dir(path), existing: map[string]info{}, counts: map[string]int{}}
	for _, i := range list {
		m.existing[identity(i.Type, i.DomainName, i.Port, i.UserName, i.VpcID, i.HostIP)] = i
	}
	if slices.ContainsFunc(entries, func(e settings) bool { return e.Password != "" || e.PasswordFile != "" }) {
		s.warnPlain(server)
	}
	for _, e := range entries {
		if err := m.entry(ctx, e); err != nil {
			return err
		}
	}
	return m.summary()
}

// Outcomes of an entry.
const (
	outcomeAdded     = "added"
	outcomeChanged   = "changed"
	outcomeUnchanged = "unchanged"
	outcomeFailed    = "failed"
)

// entry takes up one entry. A refusal is told and counted; the others go on.
func (m *importer) entry(ctx context.Context, e settings) error {
	outcome, detail, err := m.take(ctx, e)
	if _, refused := errors.AsType[*refusal](err); refused {
		outcome, detail, err = outcomeFailed, err.Error(), nil
	}
	if err != nil {
		return err
	}
	m.counts[outcome]++
	if m.dryRun && outcome != outcomeUnchanged {
		outcome = "would be " + outcome
	}
	m.print("%s: %s %s%s\n", outcome, e.Type, cmp.Or(e.Name, e.Host), detail)
	return nil
}

func (m *importer) take(ctx context.Context, e settings) (outcome, detail string, err error) {
	if e.PasswordFile != "" {
		if e.Password, err = m.readValue("passwordFile", inFolder(m.base, e.PasswordFile)); err != nil {
			return "", "", err
		}
	}
	p, err := e.params(m.base)
	if err != nil {
		return "", "", err
	}
	if i, found := m.existing[e.identity()]; found {
		return m.change(ctx, e, i, p)
	}
	if m.dryRun {
		return outcomeAdded, "", nil
	}
	id, err := m.client.add(ctx, p)
	return outcomeAdded, " with id " + number(id), err
}

// change sends what differs.
func (m *importer) change(ctx context.Context, e settings, i info, p params) (outcome, detail string, err error) {
	var names []string
	if e.Namespaces != nil {
		if names, err = m.client.namespaces(ctx, i.ID); err != nil {
			return "", "", err
		}
	}
	diff := e.differs(i, names, p)
	if m.resend {
		diff["Password"], diff["ExtraParam"] = p["Password"], p["ExtraParam"]
	}
	maps.DeleteFunc(diff, func(_, value string) bool { return value == "" })
	if len(diff) == 0 {
		return outcomeUnchanged, "", nil
	}
	detail = fmt.Sprintf(" with id %d: %s", i.ID, strings.Join(slices.Sorted(maps.Keys(diff)), ", "))
	if m.dryRun {
		return outcomeChanged, detail, nil
	}
	diff["Id"] = number(i.ID)
	return outcomeChanged, detail, m.client.call(ctx, "ModifyImageRegistry", diff, &struct{}{})
}

func (m *importer) summary() error {
	m.tell("%d added, %d changed, %d unchanged, %d failed", m.counts[outcomeAdded], m.counts[outcomeChanged], m.counts[outcomeUnchanged], m.counts[outcomeFailed])
	if m.counts[outcomeFailed] > 0 {
		return &exitError{ExitFailed, nil}
	}
	return nil
}

// identity is what makes two entries the same registry, as the server sees it.
func identity(kind, host string, port int, user, vpc, address string) string {
	return strings.Join([]string{kind, host, strconv.Itoa(port), user, vpc, address}, "\n")
}

func (x *settings) protocol() int {
	if x.HTTP {
		return portolan.ProtocolHTTP
	}
	return portolan.ProtocolHTTPS
}

func (x *settings) identity() string {
	host, err := portolan.NormalizeDomain("host", x.Host)
	if err != nil {
		host = x.Host // the server says what is wrong with it
	}
	address := x.Address
	if a, err := netip.ParseAddr(address); err == nil {
		address = a.Unmap().String()
	}
	return identity(x.Type, host, cmp.Or(x.Port, portolan.DefaultPort(x.protocol())), x.User, x.VPC, address)
}

// differs answers the parameters that the settings give and the registry has
// otherwise.
func (x *settings) differs(i info, namespaces []string, p params) params {
	diff := params{}
	for name, has := range map[string]string{
		"RegistryName": i.Name, "RegistryRegionId": i.RegionID, "TransPerHour": number(i.TransPerHour),
		"PersistenceDay": number(i.PersistenceDay), "WhiteList": i.WhiteList, "BlackList": i.BlackList,
	} {
		if p[name] != "" && p[name] != has {
			diff[name] = p[name]
		}
	}
	if i.ProtocolType != x.protocol() {
		diff["ProtocolType"], diff["Password"] = number(x.protocol()), p["Password"]
	}
	if x.Namespaces != nil && !slices.Equal(slices.Sorted(slices.Values(x.Namespaces)), namespaces) {
		diff["ExtraParam"] = p["ExtraParam"]
	}
	return diff
}
